"""Single files and folders: what they replace is kept, whatever was asked for and whatever lies on the way."""

import contextlib
import errno
import os
import shutil
import sqlite3
from itertools import permutations
from pathlib import Path
from unittest import mock

import pytest

from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents

OLD = {"a.txt": "old a", "ws/k.md": "old k", "ws/n.md": "old n"}
PRESENT = {"a.txt": "present a", "ws/n.md": "present n", "ws/only-now.md": "present only"}


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    """OLD is backed up; then PRESENT has been written over it."""
    for path, text in OLD.items():
        machine.write(path, text)
    assert machine.backup().code == 0
    for path, text in PRESENT.items():
        machine.write(path, text)
    return machine


def kept(machine: SimulatedInstance) -> dict[str, str]:
    """What lies beside the state folder, of which there must be one folder at most."""
    beside = [place for place in machine.disk.iterdir() if place.name.startswith("state.")]
    assert len(beside) <= 1, beside
    return contents(beside[0]) if beside else {}


@pytest.mark.parametrize(
    ("paths", "replaced"),
    [
        (("a.txt", "a.txt"), ["a.txt"]),
        (("a.txt", "./a.txt", "a.txt/"), ["a.txt"]),
        (("ws", "ws/"), ["ws"]),
        (("ws", "ws/n.md"), ["ws"]),
        (("ws/n.md", "ws"), ["ws"]),
        (("ws/n.md", "ws", "a.txt", "ws/k.md"), ["ws", "a.txt"]),
    ],
)
def test_paths_that_are_repeated_or_lie_in_one_another_come_back_once(
    writer: SimulatedInstance, paths: tuple[str, ...], replaced: list[str]
) -> None:
    run = writer.restore(*(flag for path in paths for flag in ("--path", path)))
    assert run.code == 0, run.err

    def is_replaced(path: str) -> bool:
        return path.split("/")[0] in replaced

    present = {**OLD, **PRESENT}
    assert contents(writer.state) == {
        **{path: text for path, text in OLD.items() if is_replaced(path)},
        **{path: text for path, text in present.items() if not is_replaced(path)},
    }
    assert kept(writer) == {path: text for path, text in present.items() if is_replaced(path)}
    assert "until the next good backup" in run.err


def test_a_file_that_is_called_like_the_log_of_another_is_no_log(writer: SimulatedInstance) -> None:
    writer.write("a.txt-wal", "old sidecar")
    assert writer.backup().code == 0
    writer.write("a.txt-wal", "present sidecar")
    assert writer.restore("--path", "a.txt").code == 0
    assert contents(writer.state)["a.txt-wal"] == "present sidecar"
    for order in permutations(("a.txt", "a.txt-wal")):
        run = writer.restore(*(flag for path in order for flag in ("--path", path)))
        assert run.code == 0, run.err
        assert contents(writer.state)["a.txt-wal"] == "old sidecar"


def test_a_database_that_could_not_be_folded_comes_back_with_its_log(writer: SimulatedInstance) -> None:
    """Its last rows are in there; the log that is beside it now must go, as always."""
    database = writer.state / "db.sqlite"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as rows:
        rows.execute("PRAGMA journal_mode=WAL")
        rows.execute("PRAGMA wal_autocheckpoint=0")
        rows.execute("CREATE TABLE t (a)")
        rows.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(500)])
        rows.execute("PRAGMA wal_checkpoint(FULL)")
        rows.execute("INSERT INTO t VALUES (500)")
        damaged = bytearray(database.read_bytes())
        damaged[4096:8192] = b"\xff" * 4096
        log = Path(f"{database}-wal").read_bytes()
    database.write_bytes(damaged)
    Path(f"{database}-wal").write_bytes(log)
    assert writer.backup().code == 4
    database.write_bytes(b"something else")
    Path(f"{database}-wal").write_bytes(b"")
    run = writer.restore("--path", "db.sqlite")
    assert run.code == 0, run.err
    assert database.read_bytes() == damaged
    assert Path(f"{database}-wal").read_bytes() == log


@pytest.mark.parametrize("what", ["symlink to a folder", "dangling symlink", "file"])
def test_nothing_is_put_into_what_is_no_folder_of_the_state(writer: SimulatedInstance, what: str) -> None:
    outside = writer.disk / "outside"
    outside.mkdir()
    (outside / "n.md").write_text("not the agent's")
    shutil.rmtree(writer.state / "ws")
    if what == "file":
        writer.write("ws", "a file now")
    else:
        (writer.state / "ws").symlink_to(outside if "folder" in what else writer.disk / "nowhere")
    before = contents(writer.state)
    run = writer.restore("--path", "ws/n.md")
    assert run.code == 3
    assert "Refused: 'ws' in the state folder is no folder" in run.err
    assert contents(outside) == {"n.md": "not the agent's"}
    assert contents(writer.state) == before
    assert kept(writer) == {}
    assert not (writer.disk / "nowhere").exists()


def test_a_symlink_itself_is_replaced_and_not_followed(writer: SimulatedInstance) -> None:
    outside = writer.disk / "outside.txt"
    outside.write_text("not the agent's")
    (writer.state / "a.txt").unlink()
    (writer.state / "a.txt").symlink_to(outside)
    assert writer.restore("--path", "a.txt").code == 0
    assert contents(writer.state)["a.txt"] == "old a"
    assert outside.read_text() == "not the agent's"


def test_a_path_of_a_state_that_is_gone_says_so_and_speaks_of_nothing_moved(writer: SimulatedInstance) -> None:
    writer.lose_state()
    run = writer.restore("--path", "ws/n.md")
    assert run.code == 1
    assert "does not exist" in run.err
    assert "moved" not in run.err
    assert not writer.state.exists()
    assert kept(writer) == {}


def test_a_path_that_cannot_be_put_in_place_leaves_what_was_there(writer: SimulatedInstance) -> None:
    with sqlite3.connect(writer.state / "db.sqlite") as database:
        database.execute("CREATE TABLE t(a)")
    database.close()
    assert writer.backup().code == 0
    writer.write("db.sqlite-wal", "a log")
    before = contents(writer.state)
    with mock.patch("openclaw_agent.state_dir.swap.os.rename", side_effect=refuse_what_was_built()):
        run = writer.restore("--path", "db.sqlite")
    assert run.code == 1
    assert "'db.sqlite' cannot be restored (No space left on device); what was there was not changed." in run.err
    assert contents(writer.state) == before
    assert kept(writer) == {}


def refuse_what_was_built() -> object:

    rename = os.rename

    def refuse(source: str | Path, target: str | Path, **folders: int) -> None:
        if folders and ".restoring" in str(Path(f"/proc/self/fd/{folders['src_dir_fd']}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        rename(source, target, **folders)

    return refuse


@pytest.mark.parametrize("flags", [("--path", "a.txt"), ("--diff", "2026-01-01-00-00"), ("--verify",), ()])
def test_a_snapshot_that_is_not_there_is_named(writer: SimulatedInstance, flags: tuple[str, ...]) -> None:
    named = () if "--diff" in flags else ("--snapshot", "2026-01-01-00-00")
    run = writer.restore(*flags, *named)
    assert run.code == 1
    (sentence,) = run.err.splitlines()
    assert "There is no complete snapshot 2026-01-01-00-00; openclaw-s3-restore.py list shows" in sentence


def test_a_file_that_its_restore_point_has_lost_comes_out_of_another_one_with_the_same_content(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    assert writer.backup().code == 0
    _, last = world.snapshots()
    world.delete(f"snapshots/{last}/.openclaw/ws/k.md", "latest/.openclaw/ws/k.md")
    writer.write("ws/k.md", "spoilt")
    run = writer.restore("--path", "ws/k.md", "--snapshot", last)
    assert run.code == 0, run.err
    assert (writer.state / "ws/k.md").read_text() == OLD["ws/k.md"]


def test_a_path_that_a_restore_point_has_not_is_told_with_the_way_to_the_others(writer: SimulatedInstance) -> None:
    run = writer.restore("--path", "ws/only-now.md")
    assert run.code == 1
    assert "holds no 'ws/only-now.md'; openclaw-s3-restore.py list names the others" in run.err
