"""`openclaw-lab snapshots`, `find` and `diff` on a bucket that an agent has written."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.moto.server import EmbeddedAws
from tests.support.operated_stack import OperatedStack, with_history

Lab = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stack(embedded_aws: EmbeddedAws, tmp_path: Path) -> OperatedStack:
    return OperatedStack(embedded_aws, tmp_path)


@pytest.fixture
def names(stack: OperatedStack) -> list[str]:
    """Three snapshots, from old to new."""
    world = stack.bucket()
    with_history(world)
    return world.snapshots()


def test_the_list_has_a_line_for_each_and_says_which_is_latest(lab: Lab, names: list[str]) -> None:
    code, out, err = lab("snapshots", "--all")

    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["snapshot", "(UTC)", "taken", "age", "files", "size", "kept", "until"]
    assert [line.split()[0] for line in lines[1:4]] == names[::-1]
    assert lines[1].endswith("latest")
    assert "3 snapshots can be restored" in out
    assert lines[-1].startswith("Next: openclaw-lab restore --at '2 hours ago'")


def test_snapshots_of_one_day_that_are_not_among_the_newest_share_a_line(
    lab: Lab, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operator_tools.snapshots.list.NEWEST", 1)
    _code, out, _err = lab("snapshots")

    assert out.splitlines()[2].split()[0] == names[1]
    assert out.splitlines()[2].endswith("and 1 more of that day")


def test_the_document_has_the_one_shape_of_a_snapshot(lab: Lab, names: list[str]) -> None:
    told = json.loads(lab("snapshots", "--json")[1])["snapshots"]

    assert [row["name"] for row in told] == names[::-1]
    assert set(told[0]) == {
        *(
            "name",
            "time",
            "age_seconds",
            "files",
            "bytes",
            "complete",
            "quarantined",
            "reason",
            "tier",
            "latest",
            "expires",
        )
    }
    assert [row["latest"] for row in told] == [True, False, False]
    assert all(row["complete"] is True and row["files"] == 2 for row in told[:1])


def test_an_empty_bucket_says_so_and_what_to_type(lab: Lab, stack: OperatedStack) -> None:
    stack.bucket()
    code, out, _err = lab("snapshots")

    assert code == 0
    assert out.splitlines() == [
        "Nothing has been backed up yet.",
        f"Next: openclaw-lab backup-now --stack {stack.name}",
    ]


def test_the_calendar_has_five_weeks(lab: Lab, names: list[str]) -> None:
    _code, out, _err = lab("snapshots", "--calendar")

    assert out.splitlines()[0].split() == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert sum(bool(re.match(r"[A-Z][a-z]{2} \d\d  ", line)) for line in out.splitlines()) == 5


def test_the_page_needs_nothing_else_and_names_every_snapshot(lab: Lab, names: list[str], tmp_path: Path) -> None:
    code, out, _err = lab("snapshots", "--html", str(tmp_path / "snapshots.html"))

    page = (tmp_path / "snapshots.html").read_text()
    assert (code, out) == (0, f"Wrote {tmp_path / 'snapshots.html'}.\n")
    assert all(f"<code>{name}</code>" in page for name in names)
    assert "http" not in page
    assert page.count('class="day') == 35
    assert lab("snapshots", "--html", "/nonexistent/page.html")[0] == 1


def test_a_file_is_found_in_all_its_versions(lab: Lab, names: list[str]) -> None:
    code, out, _err = lab("find", "notes.md")

    rows = [line.split() for line in out.splitlines() if line.startswith("workspace/")]
    assert code == 0
    assert [row[1] for row in rows] == names[::-1]
    assert "3 versions of 1 file." in out
    assert f"restore --at {names[-1]} --path workspace/notes.md" in out


def test_a_version_spans_the_snapshots_that_hold_it(lab: Lab, names: list[str]) -> None:
    told = json.loads(lab("find", "--json", "workspace/pl*")[1])["versions"]

    assert [(row["snapshot"], row["since"]) for row in told] == [(names[1], names[0])]


def test_a_file_that_nobody_kept_is_one_sentence(lab: Lab, names: list[str], stack: OperatedStack) -> None:
    code, out, err = lab("find", "never.md")

    assert (code, out) == (1, "")
    assert err == (
        f"No snapshot of {stack.name} holds a file 'never.md'. Next: openclaw-lab find --stack {stack.name} '*PART*'\n"
    )


def test_two_snapshots_are_compared_with_sizes(lab: Lab, names: list[str]) -> None:
    code, out, _err = lab("diff", names[0], names[2])

    assert code == 0
    assert out.splitlines()[1:5] == [
        "  ~ workspace/notes.md  (4 B becomes 19 B)",
        "  + workspace/photo.jpg  (2.0 KiB)",
        "  - workspace/plan.md  (7 B)",
        "1 added, 1 removed, 1 changed; 2.0 KiB more.",
    ]


def test_a_snapshot_that_is_not_there_is_told_with_its_neighbours(lab: Lab, names: list[str]) -> None:
    code, out, err = lab("diff", "2026-03-04-07-00", names[0])

    assert (code, out) == (2, "")
    assert err.startswith("There is no complete snapshot '2026-03-04-07-00'; the nearest: ")
    assert names[0] in err
    assert err.count("\n") == 1
