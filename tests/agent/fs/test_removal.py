"""What is not ours is never deleted: removal follows no mount and no link, and nothing else in the agent deletes."""

import ast
import errno
import os
from pathlib import Path

import pytest

from openclaw_agent.fs.mounts import is_mount_point, mounts_below
from openclaw_agent.fs.removal import MOST_HANDLES, remove_content, remove_tree
from tests.support.mounts import Mounts, needs_mounts

AGENT = Path(__file__).resolve().parents[3] / "scripts" / "openclaw_agent"
DELETES = {"rmtree", "unlink", "rmdir", "remove", "removedirs"}
# A list's and a set's own.
OF_COLLECTIONS = {"remove"}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("the only copy")
    return folder


def test_nothing_else_in_the_agent_deletes() -> None:
    found = {
        f"{place.relative_to(AGENT)}: {node.func.attr}"
        for place in AGENT.rglob("*.py")
        for node in ast.walk(ast.parse(place.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in DELETES
        and not (node.func.attr in OF_COLLECTIONS and not _is_module(node.func.value))
    }
    assert {row.split(":")[0] for row in found} == {"fs/removal.py"}, found


def _is_module(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("os", "shutil")


@pytest.mark.parametrize("link", ["link", "folder/link", "folder/deeper/link"])
def test_no_removal_follows_a_link(tmp_path: Path, outside: Path, link: str) -> None:
    tree = tmp_path / "tree"
    (tree / link).parent.mkdir(parents=True)
    (tree / link).symlink_to(outside)
    (tree / "file").write_text("x")
    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "precious").read_text() == "the only copy"
    (tmp_path / "itself").symlink_to(outside)
    remove_tree(tmp_path / "itself")
    assert sorted(place.name for place in tmp_path.iterdir()) == ["outside"]


@needs_mounts
@pytest.mark.parametrize("kind", ["bind", "tmpfs", "file"])
@pytest.mark.parametrize("place", ["mounted", "folder/with space/mounted"])
def test_no_removal_follows_a_mount_or_touches_what_is_around_it(
    tmp_path: Path, outside: Path, mounts: Mounts, kind: str, place: str
) -> None:
    tree = tmp_path / "tree"
    (tree / place).parent.mkdir(parents=True)
    (tree / "kept").write_text("x")
    mounts.mount(kind, outside, tree / place)
    for remove in (remove_tree, remove_content):
        with pytest.raises(OSError, match="busy") as told:
            remove(tree)
        assert told.value.errno == errno.EBUSY
        assert str(told.value.filename) == str(tree / place)
    assert mounts_below(tree) == (place,)
    mounts.require_untouched(tree / place)
    mounts.unmount(tree / place)
    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "precious").read_text() == "the only copy"


@needs_mounts
def test_a_mount_that_another_one_hides_is_none_in_what_is_seen(tmp_path: Path, outside: Path, mounts: Mounts) -> None:
    state = tmp_path / "state"
    (state / "hidden").mkdir(parents=True)
    mounts.mount("bind", outside, state / "hidden")
    mounts.mount("tmpfs", outside, state)
    (state / "hidden").mkdir()
    assert mounts_below(state) == ()
    assert is_mount_point(state)
    assert not is_mount_point(state / "hidden")
    assert mounts_below(state.parent) == ("state",)


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A tree deeper than any path may be long."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(50 * MOST_HANDLES):
        for name in ("name", "file"):
            if name == "file":
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=here))
            else:
                os.mkdir(name, dir_fd=here)
        deeper = os.open("name", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    return tmp_path / "name"


def test_a_tree_of_any_depth_is_removed_with_few_handles(deep: Path) -> None:
    remove_tree(deep)
    assert not deep.exists()


def test_folders_that_may_not_be_written_or_entered_are_removed(tmp_path: Path) -> None:
    for mode in (0o555, 0o000):
        folder = tmp_path / "tree" / f"{mode:o}"
        (folder / "deeper").mkdir(parents=True)
        (folder / "deeper" / "file").write_text("x")
        (folder / "deeper").chmod(mode)
        folder.chmod(mode)
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
