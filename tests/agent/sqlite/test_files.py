import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_agent.sqlite.check import Outcome
from openclaw_agent.sqlite.files import HEADER, clone_database, fold, fold_and_check, is_database, sidecar_base
from openclaw_agent.sqlite.online_backup import capture_live

GATEWAY = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder that the gateway's user can reach and write, as on the instance."""
    state = tmp_path / "state"
    state.mkdir()
    if os.geteuid() == 0:
        for place in (state, *state.parents):
            if place.owner() == "root" and place != Path("/"):
                place.chmod(place.stat().st_mode | 0o011)
        os.chown(state, GATEWAY, GATEWAY)
    return state


@contextlib.contextmanager
def opened(path: Path, journal: str = "wal") -> Iterator[sqlite3.Connection]:
    """A database of the gateway's user with 100 rows; in WAL mode all of them lie in the log."""
    if os.geteuid() == 0:
        os.setegid(GATEWAY)
        os.seteuid(GATEWAY)
    try:
        writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        writer.execute(f"PRAGMA journal_mode={journal}")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("CREATE TABLE t(a INTEGER)")
        writer.execute("BEGIN")
        writer.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(100)])
        writer.execute("COMMIT")
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
            os.setegid(0)
    with contextlib.closing(writer):
        yield writer


def rows(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return int(reader.execute("SELECT count(*) FROM t").fetchone()[0])


def inventory(folder: Path) -> dict[str, tuple[int, ...]]:
    """Who owns what in the folder, and under which inode."""
    found: dict[str, tuple[int, ...]] = {}
    for place in folder.iterdir():
        status = place.lstat()
        found[place.name] = (status.st_ino, status.st_uid, status.st_gid, status.st_mode, status.st_size)
    return found


@pytest.mark.parametrize(
    ("body", "database"),
    [(HEADER + b"rest", True), (HEADER, True), (HEADER[:-1], False), (b"", False), (b"sqlite format 3\0 ", False)],
)
def test_a_database_is_known_by_its_header_and_not_by_its_name(tmp_path: Path, body: bytes, database: bool) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(body)
    assert is_database(path) is database


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "symlink"])
def test_what_cannot_be_opened_is_no_database(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "symlink":
        (tmp_path / "y").write_bytes(HEADER)
        path.symlink_to("y")
    assert not is_database(path)


def test_what_can_be_opened_but_not_read_is_no_database() -> None:
    # A process's memory: nothing lies at address 0.
    assert not is_database(Path("/proc/self/mem"))


@pytest.mark.parametrize(
    ("path", "base"),
    [("a-wal", "a"), ("d/a-shm", "d/a"), ("a-journal", "a"), ("a", None), ("a-walnut", None), ("-wal", "")],
)
def test_sidecars_by_name(path: str, base: str | None) -> None:
    assert sidecar_base(path) == base


def test_a_clone_is_folded_into_one_file_that_holds_what_the_log_held(folder: Path, tmp_path: Path) -> None:
    clones = tmp_path / "clones"
    clones.mkdir()
    with opened(folder / "db"):
        assert (folder / "db-wal").stat().st_size > 0
        clone_database(folder / "db", clones / "c")
        before = inventory(folder)
        assert fold(clones / "c") is None
        assert inventory(folder) == before
    assert [place.name for place in clones.iterdir()] == ["c"]
    assert rows(clones / "c") == 100


def test_a_hot_rollback_journal_is_rolled_back_in_the_clone(folder: Path, tmp_path: Path) -> None:
    clones = tmp_path / "clones"
    clones.mkdir()
    with opened(folder / "db", "delete") as writer:
        writer.execute("PRAGMA cache_spill=1")
        writer.execute("PRAGMA cache_size=1")
        writer.execute("BEGIN")
        writer.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(50_000)])
        assert (folder / "db-journal").stat().st_size > 0
        clone_database(folder / "db", clones / "c")
        assert fold(clones / "c") is None
        writer.execute("ROLLBACK")
    assert [place.name for place in clones.iterdir()] == ["c"]
    assert rows(clones / "c") == 100


@pytest.mark.parametrize(
    "body",
    [HEADER, HEADER + b"\xff" * 5000, HEADER + os.urandom(20_000)],
    ids=["only a header", "ones", "noise"],
)
def test_what_is_no_whole_database_is_named_and_kept_with_its_log(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "db").write_bytes(body)
    (tmp_path / "db-wal").write_bytes(b"")
    problem = fold(tmp_path / "db")
    assert problem or body == HEADER
    assert (tmp_path / "db").exists()


def test_a_page_full_of_noise_fails_the_check(folder: Path) -> None:
    with opened(folder / "db", "delete") as writer:
        writer.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(5000)])
    with (folder / "db").open("r+b") as out:
        out.seek(2 * 4096)
        out.write(os.urandom(4096))
    assert fold(folder / "db")


OF_A_NEWER_SQLITE = {
    "a CHECK": ["CREATE TABLE n(a TEXT CHECK(newer_length(a) < 100000))"],
    "an index": ["CREATE TABLE n(a TEXT)", "CREATE INDEX i ON n(newer_length(a))"],
    "a partial index": ["CREATE TABLE n(a TEXT)", "CREATE INDEX i ON n(a) WHERE newer_length(a) > 0"],
    "a column": ["CREATE TABLE n(a TEXT, b INTEGER GENERATED ALWAYS AS (newer_length(a)) VIRTUAL NOT NULL)"],
    "two columns": [
        "CREATE TABLE n(a TEXT, b INTEGER GENERATED ALWAYS AS (newer_length(a)) VIRTUAL NOT NULL,"
        " c INTEGER GENERATED ALWAYS AS (newest_length(a)) VIRTUAL NOT NULL)",
    ],
}


@pytest.fixture(params=OF_A_NEWER_SQLITE)
def of_a_newer_sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database that only a SQLite with two more functions than this one can evaluate."""
    path = tmp_path / "newer"
    with contextlib.closing(sqlite3.connect(path)) as writer, writer:
        for name in ("newer_length", "newest_length"):
            writer.create_function(name, 1, len, deterministic=True)
        for statement in OF_A_NEWER_SQLITE[request.param]:
            writer.execute(statement)
        writer.executemany("INSERT INTO n(a) VALUES (?)", [(f"{number:0500}",) for number in range(100)])
    return path


def test_what_only_a_newer_sqlite_can_evaluate_is_no_damage(of_a_newer_sqlite: Path) -> None:
    assert fold(of_a_newer_sqlite) is None


def test_damage_is_found_in_what_only_a_newer_sqlite_can_evaluate(of_a_newer_sqlite: Path) -> None:
    size = of_a_newer_sqlite.stat().st_size
    with of_a_newer_sqlite.open("r+b") as pages:
        pages.seek(size // 2)
        pages.write(b"\xff" * 8192)
    assert fold(of_a_newer_sqlite) is not None


@pytest.mark.parametrize(("count", "outcome"), [(40, Outcome.INTACT), (60, Outcome.UNKNOWN)])
def test_a_database_that_calls_very_many_unknown_functions_is_not_judged(
    tmp_path: Path, count: int, outcome: Outcome
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "db")) as writer, writer:
        for number in range(count):
            writer.create_function(f"newer_{number}", 1, len, deterministic=True)
        calls = (f"c{number} AS (newer_{number}(a)) NOT NULL" for number in range(count))
        writer.execute(f"CREATE TABLE t(a TEXT, {', '.join(calls)})")
        writer.execute("INSERT INTO t VALUES ('x')")
    assert fold_and_check(tmp_path / "db").outcome is outcome
    assert fold(tmp_path / "db") is None


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_live_database_is_captured_without_touching_the_state_folder(
    folder: Path, tmp_path: Path, journal: str
) -> None:
    target = tmp_path / "agent-only" / "clone"
    target.parent.mkdir(mode=0o700)
    with opened(folder / "db", journal):
        before = inventory(folder)
        capture_live(folder / "db", target)
        assert inventory(folder) == before
    assert fold(target) is None
    assert rows(target) == 100


def test_a_live_capture_sees_whole_transactions_of_a_writer_that_goes_on(folder: Path, tmp_path: Path) -> None:
    with opened(folder / "db") as writer:
        for number in range(20):
            writer.execute("BEGIN")
            writer.execute("INSERT INTO t VALUES (1)")
            if number % 2:
                writer.execute("INSERT INTO t VALUES (2)")
                writer.execute("COMMIT")
            target = tmp_path / f"clone-{number}"
            capture_live(folder / "db", target)
            assert fold(target) is None
            assert rows(target) == 100 + (number + 1) // 2 * 2
            if not number % 2:
                writer.execute("ROLLBACK")


def test_a_wal_database_that_nobody_has_open_gets_no_shared_memory_file(folder: Path, tmp_path: Path) -> None:
    with opened(folder / "db"):
        pass
    before = inventory(folder)
    assert list(before) == ["db"]
    capture_live(folder / "db", tmp_path / "clone")
    assert inventory(folder) == before
    assert rows(tmp_path / "clone") == 100


def crashed(folder: Path) -> None:
    """A gateway that was killed: its database, log and shared memory lie there, and nobody has them open."""
    child = os.fork()
    if child == 0:
        try:
            with opened(folder / "db"):
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_database_left_by_a_killed_gateway_is_captured_with_its_log(folder: Path, tmp_path: Path) -> None:
    crashed(folder)
    before = inventory(folder)
    assert set(before) == {"db", "db-wal", "db-shm"}
    capture_live(folder / "db", tmp_path / "clone")
    assert inventory(folder) == before
    assert rows(tmp_path / "clone") == 100


def test_a_shared_memory_file_without_a_log_brings_forth_no_new_files(folder: Path, tmp_path: Path) -> None:
    with opened(folder / "db"):
        pass
    (folder / "db-shm").write_bytes(b"")
    before = inventory(folder)
    with contextlib.suppress(OSError, sqlite3.Error):
        capture_live(folder / "db", tmp_path / "clone")
    assert inventory(folder) == before


def test_a_name_that_needs_quoting_in_a_uri_is_opened(folder: Path, tmp_path: Path) -> None:
    odd = folder / "a?mode=rwc&x#y%41 ü\n"
    with opened(odd):
        capture_live(odd, tmp_path / "clone")
    assert rows(tmp_path / "clone") == 100


def test_a_database_that_vanishes_is_gone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        capture_live(tmp_path / "none", tmp_path / "clone")
    with pytest.raises(FileNotFoundError):
        clone_database(tmp_path / "none", tmp_path / "clone")
