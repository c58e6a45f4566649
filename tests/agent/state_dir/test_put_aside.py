"""What a restore puts aside is known by a record, never by a wildcard."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from openclaw_agent.agent_dir.aside import AsideRecords
from openclaw_agent.state_dir.put_aside import STAMP_FORMAT, remove_put_aside
from openclaw_agent.state_dir.staging import fresh_staging_dir
from openclaw_agent.state_dir.swap import Replacement, swap_in

DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}


@pytest.fixture
def records(tmp_path: Path) -> AsideRecords:
    (tmp_path / "agent").mkdir()
    return AsideRecords(tmp_path / "agent")


def stamp(at: datetime) -> str:
    return at.strftime(STAMP_FORMAT)


USERS_OWN = [
    "state.before-restore-",
    "state.before-restore-mine",
    "state.before-restore-2026.tar.gz",
    "state.before-restore-{today}.keep",
    "state.before-restore-{today} ",
    "my-state.before-restore-{today}",
    "state.before-restore-{yesterday}",
    "state.before-restore-{tomorrow}",
    "state.before-restore-20269999T999999999999Z",
    "state.restoring",
    "state.restoring-2",
]


@pytest.mark.parametrize("name", USERS_OWN)
@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_only_looks_like_ours_is_left_alone(tmp_path: Path, records: AsideRecords, name: str, kind: str) -> None:
    stamps = {day: stamp(datetime.now(UTC) + timedelta(days=count)) for day, count in DAYS.items()}
    place, elsewhere = tmp_path / name.format(**stamps), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "only-copy").write_text("x")
    if kind == "folder":
        place.mkdir()
        (place / "only-copy").write_text("x")
    elif kind == "file":
        place.write_text("x")
    else:
        place.symlink_to("elsewhere")
    assert remove_put_aside(records, tmp_path / "state") == []
    assert place.read_text() == "x" if kind == "file" else (place / "only-copy").read_text() == "x"
    assert (elsewhere / "only-copy").read_text() == "x"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_the_exact_name_is_no_proof_for_what_is_no_folder(tmp_path: Path, records: AsideRecords, kind: str) -> None:
    place = tmp_path / f"state.before-restore-{stamp(datetime.now(UTC))}"
    (tmp_path / "elsewhere").mkdir()
    place.write_text("x") if kind == "file" else place.symlink_to("elsewhere")
    remove_put_aside(records, tmp_path / "state")
    assert place.lstat()


def test_what_an_agent_without_records_put_aside_is_recognised(tmp_path: Path, records: AsideRecords) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "old").write_text("x")
    (tmp_path / "state").rename(tmp_path / f"state.before-restore-{stamp(datetime.now(UTC))}")
    assert remove_put_aside(records, tmp_path / "state") == []
    assert [place.name for place in tmp_path.iterdir()] == ["agent"]


@pytest.mark.parametrize("stays", [frozenset[str](), frozenset({"own"})])
def test_a_folder_that_took_the_place_of_a_recorded_one_is_the_user_s(
    tmp_path: Path, records: AsideRecords, stays: frozenset[str]
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for name in ("own", "old"):
        (state / name).write_text(name)
    kept = swap_in(records, fresh_staging_dir(records, state), state, Replacement(stay=stays))
    assert kept is not None
    kept.rename(tmp_path / "moved by the user")
    kept.mkdir()
    (kept / "only-copy").write_text("x")
    assert remove_put_aside(records, state) == []
    assert (kept / "only-copy").read_text() == "x"
    assert (tmp_path / "moved by the user" / "old").read_text() == "old"
