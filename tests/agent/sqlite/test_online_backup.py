import contextlib
import mmap
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest

from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath
from openclaw_agent.fs.descriptors import open_descriptors
from openclaw_agent.host.freezer import NothingToFreeze
from openclaw_agent.sqlite import online_backup as live_databases
from openclaw_agent.sqlite.files import clone_database, fold
from openclaw_agent.sqlite.online_backup import capture_live
from tests.agent.capture.test_capture import Captures, by_path, rows_of, state, wal_database
from tests.support.breaking import at_sqlite_opening
from tests.support.privileges import root_only
from tests.support.processes import children

__all__ = ["state"]


@contextlib.contextmanager
def held(path: Path, journal: str) -> Iterator[None]:
    """A database of ten rows that another process holds for itself alone, as Chromium holds its own."""
    telling, told = os.pipe()
    holder = os.fork()
    if holder == 0:
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("PRAGMA locking_mode=EXCLUSIVE")
        writer.execute(f"PRAGMA journal_mode={journal}")
        writer.execute("CREATE TABLE t(a)")
        writer.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(10)])
        os.write(told, b".")
        time.sleep(600)
        os._exit(0)
    try:
        os.read(telling, 1)
        yield
    finally:
        os.kill(holder, 9)
        os.waitpid(holder, 0)
        os.close(telling)
        os.close(told)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_database_that_its_application_holds_for_itself_is_taken_all_the_same(
    state: Captures, monkeypatch: pytest.MonkeyPatch, journal: str
) -> None:
    monkeypatch.setattr(live_databases, "LOCK_TIMEOUT_SECONDS", 0.2)
    with held(state.root / "Cookies", journal):
        assert not (state.root / "Cookies-shm").exists()
        captured = state.take(by=NothingToFreeze())
        assert not (state.root / "Cookies-shm").exists()
    assert rows_of(captured.clones["Cookies"]) == 10
    assert (captured.damaged, captured.unverified) == ([], [])


def test_a_backup_that_never_gets_its_lock_ends_and_the_files_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"

    class NeverFree(sqlite3.Connection):
        """A connection whose backup is told again and again that the database is busy."""

        def backup(self, _target: object, **options: Any) -> None:  # type: ignore[override]
            assert options["pages"] == -1
            while True:
                # In the child that makes the backup.
                with told.open("ab") as out:
                    out.write(b".")
                options["progress"](sqlite3.SQLITE_BUSY, 0, 0)

    monkeypatch.setattr(live_databases, "BACKUP_TIMEOUT_SECONDS", 0.1)
    wal_database(tmp_path / "db").close()
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda place, **options: connect(place, **options, factory=NeverFree if options.get("uri") else Connection),
    )
    with contextlib.closing(connect(tmp_path / "db")) as reader:
        # Open somewhere, so that the backup is made through SQLite.
        reader.execute("SELECT count(*) FROM t").fetchone()
        copy = capture_live(tmp_path / "db", tmp_path / "clone")
    assert told.stat().st_size > 1
    assert not copy.torn
    assert rows_of(tmp_path / "clone") == 10


def test_files_that_are_written_while_they_are_copied_are_copied_again(
    state: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal_database(state.root / "db").close()
    copies = []

    def written_once(source: ConfinedPath, target: Path) -> os.stat_result:
        status = clone_database(source, target)
        copies.append(target)
        if len(copies) == 1:
            with contextlib.closing(sqlite3.connect(source.place)) as writer, writer:
                writer.execute("INSERT INTO t VALUES (1)")
        return status

    monkeypatch.setattr(live_databases, "clone_database", written_once)
    captured = state.take(by=NothingToFreeze())
    assert len(copies) == 2
    assert rows_of(captured.clones["db"]) == 11
    assert (captured.unverified, by_path(captured)["db"].unverified) == ([], False)


def test_files_that_are_written_before_they_are_copied_are_copied_once_they_hold_still(
    state: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal_database(state.root / "db").close()
    waits: list[float] = []
    copies: list[Path] = []

    def written_meanwhile(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            with contextlib.closing(sqlite3.connect(state.root / "db")) as writer, writer:
                writer.execute("INSERT INTO t VALUES (1)")

    def counted(source: ConfinedPath, target: Path) -> os.stat_result:
        copies.append(target)
        return clone_database(source, target)

    monkeypatch.setattr(time, "sleep", written_meanwhile)
    monkeypatch.setattr(live_databases, "clone_database", counted)
    captured = state.take(by=NothingToFreeze())
    assert (len(waits), len(copies)) == (2, 1)
    assert rows_of(captured.clones["db"]) == 11
    assert (captured.unverified, by_path(captured)["db"].unverified) == ([], False)


@pytest.mark.parametrize("good_before", [False, True])
def test_files_that_never_hold_still_are_taken_and_that_is_said(
    state: Captures, monkeypatch: pytest.MonkeyPatch, good_before: bool
) -> None:
    wal_database(state.root / "db").close()
    base = state.base() if good_before else None

    def always_written(source: ConfinedPath, target: Path) -> os.stat_result:
        os.utime(source.place)
        status = clone_database(source, target)
        os.utime(source.place, ns=(time.time_ns(), time.time_ns()))
        return status

    os.utime(state.root / "db")
    monkeypatch.setattr(live_databases, "clone_database", always_written)
    captured = state.take(base, NothingToFreeze())
    assert [row.path for row in captured.unverified] == ["db"]
    assert "written all the while it was copied" in captured.unverified[0].reason
    entry = by_path(captured)["db"]
    assert (entry.captured_live, entry.unverified) == (True, True)


def test_a_database_that_sqlite_finds_elsewhere_is_not_taken_from_there(tmp_path: Path) -> None:
    root, outside = tmp_path / "state", tmp_path / "outside"
    (root / "w").mkdir(parents=True)
    outside.mkdir()

    def swap() -> None:
        (root / "w").rename(root / "was")
        (root / "w").symlink_to(outside)

    # One that needs nothing which this process, having made it, has open.
    with contextlib.closing(wal_database(outside / "db", 1000)) as writer:
        writer.execute("PRAGMA journal_mode=delete")
    with (
        contextlib.closing(wal_database(root / "w/db", 1)),
        ConfinedDir(root) as top,
        at_sqlite_opening(swap),
        pytest.raises(FileNotFoundError),
    ):
        capture_live(ConfinedPath(top, "w/db"), tmp_path / "clone")
    assert (root / "w").is_symlink()
    assert not (tmp_path / "clone").exists()


@pytest.fixture
def shared() -> Iterator[mmap.mmap]:
    """Memory that a forked process writes into, whatever descriptors it has closed."""
    with mmap.mmap(-1, 64 * 1024) as memory:
        yield memory


@root_only("only root becomes somebody else")
def test_the_process_that_becomes_the_owner_holds_nothing_else_of_the_agents(tmp_path: Path, shared: mmap.mmap) -> None:
    def tell() -> None:
        names = sorted(str(Path(f"/proc/self/fd/{handle}").readlink()) for handle in open_descriptors())
        shared.write(f"{os.geteuid()}\n{chr(10).join(names)}".encode())

    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    with contextlib.closing(wal_database(tmp_path / "db")):
        for place in tmp_path.glob("db*"):
            os.chown(place, 1000, 1000)
        with at_sqlite_opening(tell):
            capture_live(tmp_path / "db", tmp_path / "clone")
    os.close(lock)
    seen = shared[:].rstrip(b"\0").decode().splitlines()
    assert seen[0] == "1000"
    assert str(tmp_path / "clone") in seen
    assert str(tmp_path / "lock") not in seen


@root_only("only root becomes somebody else")
def test_a_database_whose_owner_may_not_enter_its_folder_is_captured_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "state"
    root.mkdir(mode=0o700)
    waitpid = os.waitpid
    codes: list[int] = []

    def noting(process: int, options: int) -> tuple[int, int]:
        ended, status = waitpid(process, options)
        codes.append(os.waitstatus_to_exitcode(status))
        return ended, status

    monkeypatch.setattr(os, "waitpid", noting)
    with contextlib.closing(wal_database(root / "db")):
        before = {}
        for place in sorted(root.iterdir()):
            os.chown(place, 1000, 1000)
            before[place.name] = (place.stat().st_uid, place.stat().st_ino, place.stat().st_size)
        assert before.keys() == {"db", "db-shm", "db-wal"}
        copy = capture_live(root / "db", tmp_path / "clone")
        assert {
            place.name: (place.stat().st_uid, place.stat().st_ino, place.stat().st_size) for place in root.iterdir()
        } == before
    # The owner could not back it up, so its files were taken as they are.
    assert codes == [1]
    assert (copy.torn, copy.status.st_uid) == (False, 1000)
    assert fold(tmp_path / "clone") is None
    assert rows_of(tmp_path / "clone") == 10


def wal_in_use(path: Path) -> sqlite3.Connection:
    return wal_database(path)


def rollback_in_use(path: Path) -> sqlite3.Connection:
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("CREATE TABLE t(a)")
    writer.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(10)])
    return writer


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a folder": Path.mkdir,
    "a dangling link": lambda place: place.symlink_to("nowhere"),
    "a link to a device": lambda place: place.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm", "-mj0A1B2C9D3"])
@pytest.mark.parametrize("database", [wal_in_use, rollback_in_use], ids=["WAL", "rollback"])
def test_what_has_the_name_of_a_sidecar_and_is_none_neither_holds_a_live_capture_up_nor_is_followed(
    tmp_path: Path, database: Callable[[Path], sqlite3.Connection], suffix: str, make: Callable[[Path], object]
) -> None:
    with contextlib.closing(database(tmp_path / "db")) as writer:
        count = writer.execute("SELECT count(*) FROM t").fetchone()[0]
        beside = tmp_path / f"db{suffix}"
        beside.unlink(missing_ok=True)
        make(beside)
        status = beside.lstat()
        began = time.monotonic()
        copy = capture_live(tmp_path / "db", tmp_path / "clone")
        assert time.monotonic() - began < 20
        assert not copy.torn
        assert (beside.lstat().st_ino, beside.lstat().st_mode) == (status.st_ino, status.st_mode)
    # Where the log is gone, so is what only it held.
    if database is rollback_in_use or suffix != "-wal":
        assert fold(tmp_path / "clone") is None
        assert rows_of(tmp_path / "clone") == count


@pytest.mark.parametrize("uid", [0, 1000])
def test_a_fifo_that_takes_a_journals_place_after_the_look_is_left_at_a_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int
) -> None:
    if os.geteuid() != 0 and uid:
        pytest.skip("only root has files of others")
    monkeypatch.setattr(live_databases, "BACKUP_TIMEOUT_SECONDS", -9.5)
    tmp_path.chmod(0o755)
    rollback_in_use(tmp_path / "db").close()
    os.chown(tmp_path / "db", uid if os.geteuid() == 0 else -1, -1)
    processes, began = children(), time.monotonic()
    with at_sqlite_opening(lambda: os.mkfifo(tmp_path / "db-journal")):
        copy = capture_live(tmp_path / "db", tmp_path / "clone")
    assert time.monotonic() - began < 20
    assert not copy.torn
    assert rows_of(tmp_path / "clone") == 10
    assert children() == processes
