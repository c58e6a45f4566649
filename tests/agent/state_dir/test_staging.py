import ctypes
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from openclaw_agent.agent_dir.aside import AsideRecords
from openclaw_agent.errors import LocalStorageError
from openclaw_agent.state_dir import swap
from openclaw_agent.state_dir.staging import drop_staging, fresh_staging_dir, staging_for
from openclaw_agent.state_dir.swap import finish_interrupted_swap, swap_in


@pytest.fixture
def records(tmp_path: Path) -> AsideRecords:
    (tmp_path / "agent").mkdir()
    return AsideRecords(tmp_path / "agent")


def build_and_raise(records: AsideRecords, state: Path, problem: type[BaseException]) -> None:
    with staging_for(records, state) as building:
        (building / "a").write_text("a")
        raise problem


@pytest.mark.parametrize("there", ["folder", "file", "link", "dangling link"])
def test_what_has_the_name_of_a_staging_directory_and_is_none_of_ours_is_left_alone(
    tmp_path: Path, records: AsideRecords, there: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    place = tmp_path / "state.restoring"
    if there == "folder":
        place.mkdir()
        (place / "precious").write_text("x")
    elif there == "file":
        place.write_text("x")
    else:
        place.symlink_to("elsewhere" if there == "link" else "nowhere")
    before = place.lstat().st_ino
    building = fresh_staging_dir(records, tmp_path / "state")
    assert building.name == "state.restoring-2"
    assert not any(building.iterdir())
    drop_staging(records)
    assert place.lstat().st_ino == before
    assert not building.exists()
    assert there != "folder" or (place / "precious").read_text() == "x"


def test_what_a_broken_restore_left_is_removed_by_its_record(tmp_path: Path, records: AsideRecords) -> None:
    building = fresh_staging_dir(records, tmp_path / "state")
    (building / "half").mkdir()
    assert finish_interrupted_swap(records) == ""
    assert list(tmp_path.iterdir()) == [tmp_path / "agent"]
    building = fresh_staging_dir(records, tmp_path / "state")
    building.rename(tmp_path / "somewhere else")
    building.mkdir()
    assert finish_interrupted_swap(records) == ""
    assert building.is_dir()


def test_a_name_that_no_folder_can_have_is_told_with_its_reason(tmp_path: Path, records: AsideRecords) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LocalStorageError, match=r"cannot be created \(\w[^)]+\)") as told:
        fresh_staging_dir(records, tmp_path / "file" / "state")
    assert "None" not in str(told.value)


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_a_failed_build_leaves_nothing(tmp_path: Path, records: AsideRecords, problem: type[BaseException]) -> None:
    with pytest.raises(problem):
        build_and_raise(records, tmp_path / "state", problem)
    assert list(tmp_path.rglob("*")) == [tmp_path / "agent"]


def state_and_building(tmp_path: Path, records: AsideRecords) -> tuple[Path, Path]:
    state = tmp_path / "state"
    state.mkdir()
    (state / "old").write_text("old")
    building = fresh_staging_dir(records, state)
    (building / "new").write_text("new")
    return state, building


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_swap_that_fails_halfway_leaves_the_old_state_in_place_and_nothing_else(
    tmp_path: Path, records: AsideRecords, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    rename = Path.rename
    state, building = state_and_building(tmp_path, records)

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".restoring"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    if not exchanges:
        monkeypatch.setattr(swap, "exchange", lambda _one, _other: False)
    with pytest.raises(LocalStorageError, match="the old state is in place"):
        swap_in(records, building, state)
    assert sorted(place.name for place in tmp_path.rglob("*")) == ["agent", "old", "state"]


def c_library(code: int | None) -> SimpleNamespace:
    """A C library whose renameat2 fails with this code, or that has none."""

    def renameat2(*_arguments: object) -> int:
        ctypes.set_errno(code or 0)
        return -1

    return SimpleNamespace() if code is None else SimpleNamespace(renameat2=renameat2)


@pytest.mark.parametrize("code", [None, errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EOPNOTSUPP])
def test_where_two_names_cannot_be_exchanged_in_one_step_they_are_in_two(
    tmp_path: Path, records: AsideRecords, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    state, building = state_and_building(tmp_path, records)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: c_library(code))
    previous = swap_in(records, building, state)
    assert previous is not None
    assert {str(place.relative_to(tmp_path)) for place in tmp_path.glob("state*/*")} == {
        "state/new",
        f"{previous.name}/old",
    }


def test_an_exchange_that_fails_is_told_and_leaves_the_old_state_and_nothing_else(
    tmp_path: Path, records: AsideRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, building = state_and_building(tmp_path, records)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: c_library(errno.EIO))
    with pytest.raises(LocalStorageError) as told:
        swap_in(records, building, state)
    assert str(told.value) == (
        f"The restored state cannot be moved to {state} ({os.strerror(errno.EIO)}); the old state is in place."
    )
    assert sorted(place.name for place in tmp_path.rglob("*")) == ["agent", "old", "state"]
