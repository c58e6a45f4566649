import os
import socket
from pathlib import Path

import pytest

from openclaw_agent.errors import AgentError
from openclaw_agent.exclusions import Exclusions
from openclaw_agent.manifest import EntryKind
from openclaw_agent.tree_walk import Tree, walk


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
    scan = os.scandir

    def vanishing(place: Path) -> object:
        if place.name == "b":
            (root / "b/x").unlink()
            (root / "b").rmdir()
        return scan(place)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert "a" in [row.path for row in walked(root).found]


def test_a_folder_that_cannot_be_read_ends_the_walk_with_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "secret").mkdir()
    scan = os.scandir

    def closed(place: Path) -> object:
        if place.name == "secret":
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(AgentError, match=r"The folder '.*/secret' cannot be read \(Permission denied\)"):
        walked(root)
