import ctypes
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.state_dir import staging as restore_workspace
from openclaw_agent.state_dir.staging import fresh_staging_dir, staging_beside, swap_in


def build_and_raise(state: Path, problem: type[BaseException]) -> None:
    with staging_beside(state) as building:
        (building / "a").write_text("a")
        raise problem


@pytest.mark.parametrize("left", ["folder", "file", "link", "dangling link"])
def test_whatever_a_broken_restore_left_is_removed_and_nothing_behind_a_link(tmp_path: Path, left: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    place = tmp_path / "state.restoring"
    if left == "folder":
        (place / "half").mkdir(parents=True)
    elif left == "file":
        place.write_text("x")
    else:
        place.symlink_to("elsewhere" if left == "link" else "nowhere")
    building = fresh_staging_dir(tmp_path / "state")
    assert building.is_dir()
    assert not building.is_symlink()
    assert not any(building.iterdir())
    assert (elsewhere / "precious").read_text() == "x"


def test_a_name_that_no_folder_can_have_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LocalStorageError, match=r"cannot be created \(\w[^)]+\)") as told:
        fresh_staging_dir(tmp_path / "file" / "state")
    assert "None" not in str(told.value)


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_a_failed_build_leaves_nothing(tmp_path: Path, problem: type[BaseException]) -> None:
    with pytest.raises(problem):
        build_and_raise(tmp_path / "state", problem)
    assert list(tmp_path.iterdir()) == []


def state_and_building(tmp_path: Path) -> tuple[Path, Path]:
    state = tmp_path / "state"
    state.mkdir()
    (state / "old").write_text("old")
    building = fresh_staging_dir(state)
    (building / "new").write_text("new")
    return state, building


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_swap_that_fails_halfway_leaves_the_old_state_in_place_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    rename = Path.rename
    state, building = state_and_building(tmp_path)

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".restoring"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    if not exchanges:
        monkeypatch.setattr(restore_workspace, "exchange", lambda _one, _other: False)
    with pytest.raises(LocalStorageError, match="the old state is in place"):
        swap_in(building, state)
    assert [place.name for place in tmp_path.rglob("*")] == ["state", "old"]


def c_library(code: int | None) -> SimpleNamespace:
    """A C library whose renameat2 fails with this code, or that has none."""

    def renameat2(*_arguments: object) -> int:
        ctypes.set_errno(code or 0)
        return -1

    return SimpleNamespace() if code is None else SimpleNamespace(renameat2=renameat2)


@pytest.mark.parametrize("code", [None, errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EOPNOTSUPP])
def test_where_two_names_cannot_be_exchanged_in_one_step_they_are_in_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    state, building = state_and_building(tmp_path)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: c_library(code))
    previous = swap_in(building, state)
    assert previous is not None
    assert {str(place.relative_to(tmp_path)) for place in tmp_path.glob("*/*")} == {"state/new", f"{previous.name}/old"}


def test_an_exchange_that_fails_is_told_and_leaves_the_old_state_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, building = state_and_building(tmp_path)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: c_library(errno.EIO))
    with pytest.raises(LocalStorageError) as told:
        swap_in(building, state)
    assert str(told.value) == (
        f"The restored state cannot be moved to {state} ({os.strerror(errno.EIO)}); the old state is in place."
    )
    assert [place.name for place in tmp_path.rglob("*")] == ["state", "old"]
