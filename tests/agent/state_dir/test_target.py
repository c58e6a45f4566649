import os
import shutil
import tempfile
from pathlib import Path

import pytest

from openclaw_agent.errors import LocalStorageError, UsageError
from openclaw_agent.state_dir.target import resolve_target, staging_at


def build_and_raise(target: Path, problem: type[BaseException] | None) -> None:
    with staging_at(target) as building:
        (building / "folder").mkdir()
        (building / "folder" / "a").write_text("a")
        (building / "link").symlink_to("folder")
        if problem is not None:
            raise problem
        (target / "mine").mkdir(parents=True)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "opt" / "state"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("target", ["opt/state", "opt/state/inside", "opt/state/deep/inside", "opt", "."])
@pytest.mark.parametrize("state_is_there", [True, False])
def test_a_target_in_or_around_the_state_folder_is_refused(
    tmp_path: Path, state: Path, target: str, state_is_there: bool
) -> None:
    if not state_is_there:
        shutil.rmtree(state.parent)
    with pytest.raises(UsageError, match="neither in the other"):
        resolve_target(str(tmp_path / target), state)


@pytest.mark.parametrize("taken", ["file", "full folder", "loop"])
def test_a_target_that_is_taken_is_refused(tmp_path: Path, state: Path, taken: str) -> None:
    target = tmp_path / "look"
    if taken == "file":
        target.write_text("mine")
    elif taken == "loop":
        target.symlink_to(target)
    else:
        (target / "mine").mkdir(parents=True)
    with pytest.raises(UsageError, match="needs an empty or new folder"):
        resolve_target(str(target), state)


def test_a_symlink_and_a_relative_name_are_followed_once(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("new")
    monkeypatch.chdir(tmp_path / "real")
    assert resolve_target(str(tmp_path / "link"), state) == tmp_path / "real"
    assert resolve_target(str(tmp_path / "dangling"), state) == tmp_path / "new"
    assert resolve_target(".", state) == tmp_path / "real"


def test_a_folder_that_exists_is_built_in_itself_because_it_may_be_a_mount_point(tmp_path: Path) -> None:
    target = tmp_path / "mounted"
    target.mkdir()
    inode = target.stat().st_ino
    with staging_at(target) as building:
        (building / "a").write_text("a")
    assert target.stat().st_ino == inode
    assert os.listdir(tmp_path) == ["mounted"]  # noqa: PTH208
    assert (target / "a").read_text() == "a"


def test_a_new_folder_appears_whole_and_a_namesake_of_the_users_stays(tmp_path: Path) -> None:
    (tmp_path / "look.restoring").mkdir()
    (tmp_path / "look.restoring" / "precious").write_text("x")
    target = tmp_path / "deep" / "look"
    with staging_at(target) as building:
        (building / "a").write_text("a")
        assert not target.exists()
    with staging_at(tmp_path / "look") as building:
        (building / "b").write_text("b")
    assert (target / "a").read_text() == "a"
    assert (tmp_path / "look.restoring" / "precious").read_text() == "x"
    assert sorted(place.name for place in tmp_path.iterdir()) == ["deep", "look", "look.restoring"]


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("exists", [True, False])
def test_a_failure_leaves_nothing_of_what_was_built(tmp_path: Path, problem: type[BaseException], exists: bool) -> None:
    target = tmp_path / "look"
    if exists:
        target.mkdir()
    with pytest.raises(problem):
        build_and_raise(target, problem)
    assert [place.name for place in tmp_path.rglob("*")] == (["look"] if exists else [])


def test_what_has_taken_the_name_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "look"
    with pytest.raises(LocalStorageError, match="cannot be moved to"):
        build_and_raise(target, None)
    assert [place.name for place in tmp_path.iterdir()] == ["look"]
    assert (target / "mine").is_dir()


def test_a_name_that_no_folder_can_have_is_refused_before_anything_is_fetched(tmp_path: Path, state: Path) -> None:
    target = tmp_path / ("x" * 300)
    with pytest.raises(UsageError) as told:
        resolve_target(str(target), state)
    assert str(told.value) == f"The folder {target} cannot be looked into (File name too long)."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
@pytest.mark.parametrize("name", ["", "new"])
def test_a_folder_that_the_user_may_not_enter_is_refused_before_anything_is_fetched(state: Path, name: str) -> None:
    # Not in tmp_path, whose own parents are closed too.
    with tempfile.TemporaryDirectory() as closed:
        target = Path(closed, name)
        os.seteuid(1000)
        try:
            with pytest.raises(UsageError) as told:
                resolve_target(str(target), state)
        finally:
            os.seteuid(0)
    assert str(told.value) == f"The folder {target} cannot be looked into (Permission denied)."


def test_a_target_below_a_file_is_told(tmp_path: Path, state: Path) -> None:
    (tmp_path / "file").write_text("x")
    target = resolve_target(str(tmp_path / "file" / "look"), state)
    with pytest.raises(LocalStorageError) as told:
        build_and_raise(target, None)
    assert str(told.value) == f"No folder can be created beside {target} (File exists)."
    assert (tmp_path / "file").read_text() == "x"
