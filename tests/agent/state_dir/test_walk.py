import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.drills.hostile_plants import deepen
from openclaw_agent.errors import AgentError
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.fs.removal import remove_tree
from openclaw_agent.snapshot.manifest import EntryKind, Omission
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.limits import UNLIMITED, Admission, StateLimits
from openclaw_agent.state_dir.walk import MOST_PATH_BYTES, Tree, walk
from tests.support.breaking import raising


def walked(root: Path, *excludes: str) -> Tree:
    return walk(root, Exclusions(excludes))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def test_everything_is_found_parents_first(root: Path) -> None:
    for name in ("a.c", "a/b", "a/b.d", "a b"):
        place = root / name
        place.parent.mkdir(exist_ok=True)
        place.write_text("")
    (root / "empty").mkdir()
    (root / "link").symlink_to("/etc")
    (root / "dangling").symlink_to("../no/such//place/.")
    tree = walked(root)
    assert [row.path for row in tree.found] == [
        "",
        "a",
        "a/b",
        "a/b.d",
        "a b",
        "a.c",
        "dangling",
        "empty",
        "link",
    ]
    targets = {row.path: row.target for row in tree.found if row.kind is EntryKind.SYMLINK}
    assert targets == {"dangling": "../no/such//place/.", "link": "/etc"}
    assert tree.file_count() == 4


def test_sockets_and_fifos_are_skipped_and_listed(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "approvals.sock"))
        tree = walked(root)
    assert {row.path: row.reason for row in tree.skipped} == {"fifo": "a FIFO", "approvals.sock": "a socket"}
    assert [row.path for row in tree.found] == [""]


def test_names_of_any_bytes_are_found(root: Path) -> None:
    names = [b"\xff\xfe", b"new\nline", b"-rf", "🦞".encode(), b"x" * 255, b" "]
    for name in names:
        (Path(os.fsdecode(os.fsencode(root) + b"/" + name))).write_text("")
    assert sorted(os.fsencode(row.path) for row in walked(root).found if row.path) == sorted(names)


def test_what_is_left_out_is_listed_once_and_not_entered(root: Path) -> None:
    (root / "cache/deep").mkdir(parents=True)
    (root / "cache/deep/x").write_text("")
    (root / "gateway.pid").write_text("")
    (root / "logs").mkdir()
    tree = walked(root, "logs/")
    assert sorted(row.path for row in tree.excluded) == ["cache", "gateway.pid", "logs"]
    assert [row.path for row in tree.found] == [""]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [("missing", "does not exist"), ("file", "is a file"), ("dangling", "does not exist")],
)
def test_a_state_folder_that_is_none_is_refused(tmp_path: Path, kind: str, sentence: str) -> None:
    place = tmp_path / "state"
    if kind == "file":
        place.write_text("")
    elif kind == "dangling":
        place.symlink_to("nowhere")
    with pytest.raises(AgentError, match=sentence):
        walked(place)


def test_a_folder_that_vanishes_during_the_walk_is_not_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a").mkdir()
    (root / "b").mkdir()
    (root / "b/x").write_text("")
    opened = ConfinedDir.open

    def vanishing(self: ConfinedDir, path: str, flags: int) -> int:
        if path == "b":
            (root / "b/x").unlink()
            (root / "b").rmdir()
        return opened(self, path, flags)

    monkeypatch.setattr(ConfinedDir, "open", vanishing)
    assert "a" in [row.path for row in walked(root).found]


def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_walked(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "secret").mkdir()
    (root / "to").mkdir()
    (root / "to/see").write_text("")
    opened = ConfinedDir.open

    def closed(self: ConfinedDir, path: str, flags: int) -> int:
        if path == "secret":
            raise PermissionError(13, "Permission denied", path)
        return opened(self, path, flags)

    monkeypatch.setattr(ConfinedDir, "open", closed)
    tree = walked(root)
    assert [row.path for row in tree.found] == ["", "secret", "to", "to/see"]
    assert tree.unreadable == [Omission("secret", "it cannot be read (Permission denied)")]


def deep(root: Path, folders: int) -> None:
    here = os.open(root, os.O_RDONLY)
    for _ in range(folders):
        os.mkdir("n" * 200, dir_fd=here)
        deeper = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)


def test_a_path_that_no_restore_could_make_is_skipped_and_listed(root: Path) -> None:
    (root / "ok").write_text("")
    deep(root, 25)
    tree = walked(root)
    skipped = "/".join(["n" * 200] * 20)
    assert [(row.path, row.reason) for row in tree.skipped] == [(skipped, "its path has more than 3,840 bytes")]
    assert [row.path for row in tree.found if row.kind is EntryKind.FILE] == ["ok"]
    assert max(len(row.path) for row in tree.found) <= MOST_PATH_BYTES


def test_a_folder_that_becomes_a_symlink_is_not_entered(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a").mkdir()
    (root.parent / "outside").mkdir()
    (root.parent / "outside/key").write_text("secret")
    opened = ConfinedDir.open

    def swapping(self: ConfinedDir, path: str, flags: int) -> int:
        if path == "a":
            (root / "a").rmdir()
            (root / "a").symlink_to(root.parent / "outside")
        return opened(self, path, flags)

    monkeypatch.setattr(ConfinedDir, "open", swapping)
    assert [row.path for row in walked(root).found] == ["", "a"]


def test_a_state_folder_that_may_not_be_opened_is_told_with_its_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", raising(PermissionError(errno.EACCES, "Permission denied", str(root))))
    with pytest.raises(AgentError) as told:
        walked(root)
    assert str(told.value) == f"The folder '{root}' cannot be read (Permission denied); run as root or mend its mode."


def test_a_file_that_vanishes_after_its_folder_was_listed_is_not_there(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "gone").write_text("")
    (root / "kept").write_text("")
    scandir = os.scandir

    @contextlib.contextmanager
    def vanishing(handle: int) -> Iterator[list[os.DirEntry[str]]]:
        with scandir(handle) as listing:
            listed = list(listing)
        (root / "gone").unlink()
        yield listed

    monkeypatch.setattr(os, "scandir", vanishing)
    assert [row.path for row in walked(root).found] == ["", "kept"]


def test_a_symlink_that_becomes_a_file_when_it_is_to_be_read_is_left_to_the_next_backup(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "link").symlink_to("elsewhere")
    readlink = os.readlink

    def replaced(name: str, *, dir_fd: int | None = None) -> str:
        if dir_fd is None:
            return readlink(name)
        (root / "link").unlink()
        (root / "link").write_text("")
        return readlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "readlink", replaced)
    assert [row.path for row in walked(root).found] == [""]


def test_what_cannot_be_looked_at_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left out without a word it would look like deleted."""
    (root / "d").mkdir()
    (root / "d/link").symlink_to("elsewhere")

    readlink = os.readlink

    def broken(name: str, **options: int) -> str:
        if not options:
            return readlink(name)
        raise OSError(errno.EIO, os.strerror(errno.EIO), name)

    monkeypatch.setattr(os, "readlink", broken)
    tree = walked(root)
    assert [row.path for row in tree.found] == ["", "d"]
    assert tree.unreadable == [Omission("d/link", "it cannot be read (Input/output error)")]


@pytest.fixture
def bottomless(root: Path) -> Iterator[Path]:
    """A state of 5,000 folders one in another, and a file beside them."""
    (root / "z-honest").write_text("")
    deepen(root, 5000)
    yield root
    remove_tree(root)


def test_a_tree_of_any_depth_is_walked_and_what_is_beyond_a_path_is_told(bottomless: Path) -> None:
    tree = walked(bottomless)
    assert tree.found[-1].path == "z-honest"
    assert len(tree.found) == MOST_PATH_BYTES // 2 + 2
    assert len(tree.skipped) == 1


def test_what_lies_deeper_than_the_limit_is_told_by_its_folder(bottomless: Path) -> None:
    tree = walk(bottomless, Exclusions(), limits=StateLimits(2**62, 10**6, 100))
    assert [row.path for row in tree.unreadable] == ["/".join("d" * 100)]
    assert [row.path for row in tree.found] == ["", *("/".join("d" * depth) for depth in range(1, 101)), "z-honest"]


@pytest.mark.parametrize("where", ["", "workspace"])
def test_of_a_folder_with_too_much_the_rest_is_told_once_and_what_was_known_is_there(root: Path, where: str) -> None:
    (root / "workspace/near").mkdir(parents=True)
    (root / "workspace/near/file").write_text("")
    flooded = root / where
    for number in range(500):
        (flooded / f"{number}").write_text("")
    limits = StateLimits(2**62, 200, 100)
    known = {row.path: row for row in walked(root).found if row.path.endswith("7")}
    tree = walk(root, Exclusions(), limits=limits, in_last=known)  # type: ignore[arg-type]
    found = {row.path for row in tree.found}
    assert known.keys() <= found
    assert len(found) < limits.entries + len(known) + 1
    (told,) = tree.unreadable
    assert told.path == where or (not where and told.path not in found)
    assert "backup_max_entries" in told.reason


def test_half_of_the_room_is_nobodys(root: Path) -> None:
    admission = Admission(StateLimits(2**62, 10, 100), {"b/known"})
    admission.begin_folder()
    assert [admission.admits(f"a/{number}") for number in range(6)] == [True] * 5 + [False]
    admission.begin_folder()
    assert [admission.admits(f"b/{number}") for number in range(6)] == [True] * 5 + [False]
    assert admission.admits("b/known")
    assert not admission.has_read_enough


def test_nothing_is_left_out_where_there_is_no_limit(root: Path) -> None:
    for number in range(300):
        (root / f"{number}").write_text("")
    assert len(walk(root, Exclusions(), limits=UNLIMITED).found) == 301
