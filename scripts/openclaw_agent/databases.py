"""SQLite databases: known by their header, taken with their write-ahead log, folded into one clean file and checked."""

import contextlib
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

from openclaw_agent.clone import clone_file, open_unfollowed

HEADER = b"SQLite format 3\x00"  # https://sqlite.org/fileformat.html, "The Database Header"
WAL_SUFFIX = "-wal"
JOURNAL_SUFFIX = "-journal"
SHM_SUFFIX = "-shm"
COMPANION_SUFFIXES = (WAL_SUFFIX, SHM_SUFFIX, JOURNAL_SUFFIX)
LIVE_BACKUP_TIMEOUT_SECONDS = 60
MOST_UNKNOWN_FUNCTIONS = 50
_UNKNOWN_FUNCTION = re.compile(r"(?:unknown function|no such function): (\w+)")


def is_database(path: Path) -> bool:
    """Whether the file begins with SQLite's header; False for what cannot be opened."""
    try:
        handle = open_unfollowed(path)
    except OSError:
        return False
    try:
        return os.read(handle, len(HEADER)) == HEADER
    except OSError:
        return False
    finally:
        os.close(handle)


def companion_base(path: str) -> str | None:
    """The path of the database that `path` would belong to, judged by its name alone."""
    for suffix in COMPANION_SUFFIXES:
        if path.endswith(suffix):
            return path.removesuffix(suffix)
    return None


def clone_database(source: Path, target: Path) -> os.stat_result:
    """Clone a database with its log; the caller must know that nobody writes between the two."""
    status = clone_file(source, target)
    for suffix in (WAL_SUFFIX, JOURNAL_SUFFIX):
        with contextlib.suppress(FileNotFoundError):
            clone_file(_beside(source, suffix), _beside(target, suffix))
    return status


def fold(clone: Path) -> str | None:
    """Write a cloned database's log into its file and check it; return the problem found, or None when it is whole."""
    problem = _checkpoint_and_check(clone)
    if problem is None:
        for suffix in COMPANION_SUFFIXES:
            _beside(clone, suffix).unlink(missing_ok=True)
    return problem


def _checkpoint_and_check(clone: Path) -> str | None:
    try:
        with contextlib.closing(sqlite3.connect(clone, isolation_level=None)) as database:
            # In exclusive mode the clone needs no shared-memory file, and closing it removes the log.
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                return "its write-ahead log could not be folded in"
            return _first_damage(database)
    except sqlite3.Error as problem:
        return str(problem)


def _first_damage(database: sqlite3.Connection) -> str | None:
    """What SQLite's own check finds first, or None.

    The gateway's SQLite may be newer than this one (Amazon Linux 2023 has 3.40, and OpenClaw 2026.9 uses
    octet_length() of 3.43): what a schema calls for and is not known here is no damage.
    """
    # A CHECK constraint is the application's word about its rows, not the file's about itself.
    database.execute("PRAGMA ignore_check_constraints=ON")
    check = "integrity_check"
    for _attempt in range(MOST_UNKNOWN_FUNCTIONS):
        try:
            first = database.execute(f"PRAGMA {check}(1)").fetchone()[0]
            return None if first == "ok" else str(first)
        except sqlite3.OperationalError as problem:
            unknown = _UNKNOWN_FUNCTION.search(str(problem))
            if unknown is None:
                raise
            # An index or a column is computed by it. Whatever stands in for it gives other values, so everything is
            # checked but whether these indexes agree with their tables.
            check = "quick_check"
            database.create_function(unknown.group(1), -1, lambda *_arguments: 1, deterministic=True)
    return "its schema calls too many functions that are not known here"


def capture_live(source: Path, target: Path) -> os.stat_result:
    """Take a database while it is written, through SQLite's backup API, as the file's owner.

    A WAL database without a log or a shared-memory file is open nowhere and is cloned like a stopped one: opening it
    would create files in the state folder.

    Raises:
        OSError, sqlite3.Error: when it cannot be taken.
    """
    status = source.lstat()
    if _in_wal_mode(source) and not all(_beside(source, suffix).exists() for suffix in (WAL_SUFFIX, SHM_SUFFIX)):
        return clone_database(source, target)
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing:
        # The target is opened before the process becomes the owner, who may not enter the agent's folder; without a
        # journal SQLite opens no further file there.
        writing.execute("PRAGMA journal_mode=OFF")
        writing.execute("SELECT count(*) FROM sqlite_master").fetchone()
        _as_owner(status, lambda: _online_backup(source, writing))
    return status


def _in_wal_mode(source: Path) -> bool:
    handle = open_unfollowed(source)
    try:
        return os.read(handle, 20)[18:20] == b"\x02\x02"
    finally:
        os.close(handle)


def _online_backup(source: Path, writing: sqlite3.Connection) -> None:
    uri = f"file:{_uri_path(source)}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=LIVE_BACKUP_TIMEOUT_SECONDS)) as reading:
        # All pages in one step: a step-wise backup starts again whenever a writer commits between two steps.
        reading.backup(writing, pages=-1)


def _uri_path(path: Path) -> str:
    unreserved = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-"
    return "".join(chr(byte) if byte in unreserved else f"%{byte:02x}" for byte in os.fsencode(path))


def _as_owner(status: os.stat_result, action: Callable[[], None]) -> None:
    # A root-owned -shm beside the database would lock the gateway out of its own state.
    if os.geteuid() != 0 or status.st_uid == 0:
        action()
        return
    child = os.fork()
    if child == 0:
        outcome = 1
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setgid(status.st_gid)
            os.setuid(status.st_uid)
            action()
            outcome = 0
        os._exit(outcome)
    _, wait_status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(wait_status) != 0:
        raise OSError(f"the owner of the database (uid {status.st_uid}) could not back it up")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
