"""The way back to a moment, as a plan: a model bucket is written at random, and the plan leads to where it stood."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_tools.undelete.history import History, Version
from operator_tools.undelete.moments import parse_moment
from operator_tools.undelete.plan import is_manifest, is_ours, plan_undelete
from operator_tools.undelete.undelete_report import plan_lines

START = datetime(2026, 11, 25, tzinfo=UTC)
KEYS = (
    "owner.json",
    "latest/manifest.json",
    "latest/.openclaw/a",
    "latest/.openclaw/manifest.json",
    "snapshots/2026-11-24-00-00/manifest.json",
    "snapshots/2026-11-24-00-00/.openclaw/a",
    "snapshots/2026-11-24-00-00/quarantined",
    "snapshots/strange",
    "README.txt",
)
Step = tuple[str, str | None]
steps = st.lists(st.tuples(st.sampled_from(KEYS), st.one_of(st.none(), st.sampled_from("xyz"))), max_size=40)


def second(number: int) -> datetime:
    return START + timedelta(seconds=number)


def history_of(written: list[Step]) -> History:
    """One step a second: a key gets a content, or a delete marker for None."""
    versions = [
        Version(key, str(n), second(n), deleted=body is None, size=1 if body else 0, etag=body or "")
        for n, (key, body) in enumerate(written)
    ]
    return History(sorted(versions, key=lambda version: (version.key, -version.since.timestamp())))


def content(written: list[Step], count: int) -> dict[str, str]:
    model: dict[str, str | None] = dict(written[:count])
    return {key: body for key, body in model.items() if body is not None}


@given(written=steps, data=st.data())
def test_the_plan_leads_from_any_bucket_to_any_earlier_one(written: list[Step], data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(written)))

    plan = plan_undelete(history_of(written), second(count - 1))

    bucket = content(written, len(written))
    for wave in plan.waves:
        bucket |= {version.key: version.etag for version in wave.copies}
        for key in wave.deletions:
            del bucket[key]
    wanted = content(written, count)
    assert {key: body for key, body in bucket.items() if is_ours(key)} == {
        key: body for key, body in wanted.items() if is_ours(key)
    }
    assert bucket.get("README.txt") == content(written, len(written)).get("README.txt")


@given(written=steps, data=st.data())
def test_a_plan_cut_short_anywhere_never_shows_a_manifest_without_its_files(
    written: list[Step], data: st.DataObject
) -> None:
    plan = plan_undelete(history_of(written), second(data.draw(st.integers(-1, len(written)))))

    back: set[str] = set()
    gone: set[str] = set()
    to_come = {version.key for version in plan.copies}
    to_go = set(plan.deletions)
    for wave in plan.waves:
        for version in wave.copies:
            if is_manifest(version.key):
                folder = version.key.removesuffix("manifest.json")
                beside = {key for key in to_come if key.startswith(folder) and key != version.key}
                assert beside <= back
        for key in wave.deletions:
            if is_manifest(key) and key != "latest/manifest.json":
                folder = key.removesuffix("manifest.json")
                assert not {other for other in gone if other.startswith(folder)}
        back |= {version.key for version in wave.copies}
        gone |= set(wave.deletions)
    assert (back, gone) == (to_come, to_go)
    if "owner.json" in back:
        assert "owner.json" in {version.key for version in plan.waves[-1].copies}


@given(written=steps)
def test_a_second_plan_to_the_same_moment_finds_nothing_to_do(written: list[Step]) -> None:
    moment = second(len(written) // 2)
    first = plan_undelete(history_of(written), moment)
    # The first plan carried out, a step a second, after everything else.
    done: list[Step] = [*written, *((version.key, version.etag) for version in first.copies)]
    done += [(key, None) for key in first.deletions]

    assert plan_undelete(history_of(done), moment).waves == ()


def test_an_archived_version_is_named_and_never_copied() -> None:
    key = "latest/.openclaw/a"
    then = Version(key, "1", second(1), size=1, etag="x", storage_class="DEEP_ARCHIVE")
    now = Version(key, "2", second(5), size=1, etag="y")

    plan = plan_undelete(History([now, then]), second(2))

    assert (plan.copies, plan.archived) == ([], (then,))
    assert f"archived objects: {key}" in "\n".join(plan_lines("a-bucket", plan))


def test_an_object_that_was_archived_in_place_is_copied_back_into_the_standard_class() -> None:
    key = "latest/.openclaw/a"
    then = Version(key, "1", second(1), size=1, etag="x")
    archived = Version(key, "2", second(5), size=1, etag="x", storage_class="GLACIER")

    assert plan_undelete(History([archived, then]), second(2)).copies == [then]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-25T14:00Z", "2026-11-25T14:00:00+00:00"),
        ("2026-11-25 14:00", "2026-11-25T14:00:00+00:00"),
        ("2026-11-25T15:30:07+01:30", "2026-11-25T14:00:07+00:00"),
        (" 2026-11-25-14-00-07 ", "2026-11-25T14:00:07+00:00"),
        ("2026-11-25", "2026-11-25T00:00:00+00:00"),
    ],
)
def test_a_moment_is_read_in_every_form_that_the_help_names(text: str, wanted: str) -> None:
    assert parse_moment(text).isoformat() == wanted


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "14:00", "0001-01-01T00:00+23:00", "1e9"])
def test_what_is_no_moment_is_told_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; allowed is 2026-11-25T14:00Z"):
        parse_moment(text)
