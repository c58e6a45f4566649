import ctypes
import errno
import os
from pathlib import Path

import pytest

from openclaw_agent.fs import confined as beneath
from openclaw_agent.fs.clone import open_nofollow
from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath


@pytest.fixture(params=["in one call", "step by step"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder beside a secret, on a kernel that has openat2 and on one that has not."""
    if request.param == "step by step":
        monkeypatch.setattr(beneath, "SYS_OPENAT2", 100_000)
    state = tmp_path / "state"
    (state / "a/b").mkdir(parents=True)
    (state / "a/b/file").write_text("mine")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("secret")
    (state / "link").symlink_to(tmp_path / "outside")
    (state / "a/inner").symlink_to("b")
    return state


def test_what_lies_below_is_opened(root: Path) -> None:
    with ConfinedDir(root) as top:
        place = ConfinedPath(top, "a/b/file")
        handle = open_nofollow(place)
        assert os.read(handle, 10) == b"mine"
        os.close(handle)
        assert place.lstat().st_ino == (root / "a/b/file").stat().st_ino
        handle = top.open("", os.O_RDONLY | os.O_DIRECTORY)
        assert sorted(os.listdir(handle)) == ["a", "link"]  # noqa: PTH208 - a descriptor
        os.close(handle)


@pytest.mark.parametrize("path", ["link/file", "a/inner/file", "link", "a/nothing", "a/b/file/deeper"])
def test_no_symlink_is_followed_wherever_it_stands(root: Path, path: str) -> None:
    with ConfinedDir(root) as top, pytest.raises(FileNotFoundError):
        open_nofollow(ConfinedPath(top, path))


def test_no_descriptor_is_left_open(root: Path) -> None:
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names, not paths
    with ConfinedDir(root) as top:
        for path in ("a/b/file", "a/nothing/at/all", "link/file"):
            try:
                os.close(top.open(path, os.O_RDONLY))
            except FileNotFoundError:
                continue
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208 - names, not paths


def test_a_path_longer_than_the_kernel_takes_at_once_is_opened(root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("n" * 200, dir_fd=here)
        deeper = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(os.open("file", os.O_CREAT, dir_fd=here))
    os.close(here)
    with ConfinedDir(root) as top:
        os.close(top.open("/".join([*["n" * 200] * 30, "file"]), os.O_RDONLY))


def test_an_error_of_another_kind_keeps_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EMFILE)
    if beneath.SYS_OPENAT2 != 100_000:
        with ConfinedDir(root) as top, pytest.raises(OSError, match="Too many open files"):
            top.open("missing", os.O_RDONLY)


def test_folders_are_made_below_the_folder_and_through_no_link(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to(outside)
    (inside / "file").touch()
    with ConfinedDir(inside) as top:
        top.make_folders("a/b/c")
        top.make_folders("a/b/c")
        for path in ("link/new", "file/new"):
            with pytest.raises(OSError, match=r"(Too many levels|Not a directory)"):
                top.make_folders(path)
    assert (inside / "a/b/c").is_dir()
    assert list(outside.iterdir()) == []


def test_what_lies_at_a_path_is_told_without_following_it(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("nowhere")
    with ConfinedDir(tmp_path) as top:
        there = {
            path for path in ("folder", "folder/file", "link", "dangling", "link/file", "none") if top.is_there(path)
        }
        folders = {path for path in ("", "folder", "folder/file", "link", "dangling") if top.is_folder(path)}
    assert there == {"folder", "folder/file", "link", "dangling"}
    assert folders == {"", "folder"}


def test_a_file_is_created_new_or_not_at_all(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "dangling").symlink_to(tmp_path / "outside")
    with ConfinedDir(inside) as top:
        with pytest.raises(FileExistsError):
            top.create("dangling", 0o600)
        os.close(top.create("new", 0o640))
    assert not (tmp_path / "outside").exists()
    assert (inside / "new").stat().st_mode & 0o777 == 0o640


def test_a_folder_that_is_a_link_is_opened_only_where_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    ConfinedDir(tmp_path / "link").close()
    with pytest.raises(NotADirectoryError):
        ConfinedDir(tmp_path / "link", follow=False)
