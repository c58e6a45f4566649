"""Building at a place of the user's choice."""

import os
from pathlib import Path

import pytest

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.state_dir.staging import staging_at


def build_and_raise(target: Path, problem: type[BaseException] | None) -> None:
    with staging_at(target) as building:
        (building / "folder").mkdir()
        (building / "folder" / "a").write_text("a")
        (building / "link").symlink_to("folder")
        if problem is not None:
            raise problem
        (target / "mine").mkdir(parents=True)


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
