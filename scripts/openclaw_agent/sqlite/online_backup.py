"""Taking one database while its application may write it, without ever creating or re-owning a file beside it."""

import contextlib
import os
import sqlite3
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from openclaw_agent.fs.clone import Source
from openclaw_agent.fs.confined import ConfinedPath
from openclaw_agent.fs.descriptors import open_descriptors
from openclaw_agent.sandbox.child import Confine, OverLimit, Owner, WorkFailed, run_confined
from openclaw_agent.sandbox.limits import Limits
from openclaw_agent.sandbox.time_lost import TimeLost
from openclaw_agent.snapshot.manifest import Fingerprint
from openclaw_agent.sqlite.files import (
    JOURNAL_SUFFIX,
    LOG_SUFFIXES,
    SHM_SUFFIX,
    SIDECAR_SUFFIXES,
    WAL_SUFFIX,
    clone_database,
    discard_clone,
    is_in_wal_mode,
    sidecar_path,
)
from openclaw_agent.sqlite.super_journal import named_in as super_journal_named_in

LOCK_TIMEOUT_SECONDS = 5.0
# A backup is one step of SQLite's; only one that cannot get its lock comes back before it is done.
BACKUP_TIMEOUT_SECONDS = 60.0
LIVE_ATTEMPTS = 3
# A file system stamps a write with the kernel's last tick, at most 10 ms ago: within it, a second write shows nowhere.
STAMP_GRAIN_NANOSECONDS = 20_000_000


@dataclass(frozen=True, slots=True)
class LiveCopy:
    """A database taken live: its status, and whether it was written all the while its files were copied."""

    status: os.stat_result
    torn: bool = False


def capture_live(source: Source, target: Path, time_lost: TimeLost | None = None) -> LiveCopy:
    """Take a database through SQLite's backup API; where that cannot be, its files as they stand, once they do.

    A WAL database without a log or a shared-memory file is open nowhere, or held by one process alone; opening it would
    create files in the state folder. What has the name of a sidecar and is no file (a FIFO) would make SQLite wait for
    ever: it is not asked then, nor when too much of `time_lost` is gone.

    Raises:
        FileNotFoundError: when it has vanished.
        LocalStorageError: when there is no room for it.
        OSError: when it cannot be read.
    """
    status = source.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(f"{source} is no regular file any more")
    time_lost = time_lost or TimeLost()
    limits = time_lost.limits(_size_with_log(source, status)) if _is_for_sqlite(source) else None
    if limits is not None:
        began = time.monotonic()
        try:
            _back_up(source, target, status, limits.within(limits.seconds + BACKUP_TIMEOUT_SECONDS))
        except (OSError, sqlite3.Error, OverLimit, WorkFailed):
            # Bytes as found are still better than none; the check decides whether they are a database.
            discard_clone(target)
            time_lost.lose(time.monotonic() - began)
        else:
            return LiveCopy(status)
    return _copy_until_it_holds_still(source, target)


def _is_for_sqlite(source: Source) -> bool:
    if any(_is_no_file(sidecar_path(source, suffix)) for suffix in SIDECAR_SUFFIXES):
        return False
    if is_in_wal_mode(source):
        return all(_stands(sidecar_path(source, suffix)) for suffix in (WAL_SUFFIX, SHM_SUFFIX))
    # SQLite here would look for a super-journal where the gateway sees it, miss it, and not undo what it must.
    return not super_journal_named_in(sidecar_path(source, JOURNAL_SUFFIX))


def _size_with_log(source: Source, status: os.stat_result) -> int:
    size = status.st_size
    with contextlib.suppress(OSError):
        size += sidecar_path(source, WAL_SUFFIX).lstat().st_size
    return size


def back_up_clone(folded: Path, target: Path) -> None:
    """Write what `capture_live` makes of a database with these pages; SQLite counts its own copy as a change.

    Raises:
        sqlite3.Error: when it is none.
    """
    with contextlib.closing(sqlite3.connect(folded, isolation_level=None)) as reading:
        # Nobody else has the clone, so that a WAL database needs no shared-memory file.
        reading.execute("PRAGMA locking_mode=EXCLUSIVE")
        with contextlib.closing(_opened_target(target)) as writing:
            reading.backup(writing, pages=-1)


def _opened_target(target: Path) -> sqlite3.Connection:
    # Without a journal SQLite opens no further file there.
    writing = sqlite3.connect(target, isolation_level=None)
    writing.execute("PRAGMA journal_mode=OFF")
    writing.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return writing


def _copy_until_it_holds_still(source: Source, target: Path) -> LiveCopy:
    for _attempt in range(LIVE_ATTEMPTS):
        discard_clone(target)
        before = _fingerprints(source)
        youngest = max((row.ctime_ns for row in before if row is not None), default=0)
        # Else what is written next has the same time as what was written last.
        time.sleep(max(0, min(youngest + STAMP_GRAIN_NANOSECONDS - time.time_ns(), STAMP_GRAIN_NANOSECONDS)) / 1e9)
        if _fingerprints(source) == before:
            status = clone_database(source, target)
            if _fingerprints(source) == before:
                return LiveCopy(status)
    discard_clone(target)
    return LiveCopy(clone_database(source, target), torn=True)


def _fingerprints(source: Source) -> list[Fingerprint | None]:
    found: list[Fingerprint | None] = [Fingerprint.of(source.lstat())]
    for suffix in LOG_SUFFIXES:
        try:
            found.append(Fingerprint.of(sidecar_path(source, suffix).lstat()))
        except OSError:
            found.append(None)
    return found


def _back_up(source: Source, target: Path, status: os.stat_result, limits: Limits) -> None:
    others = open_descriptors()
    # The target is opened before the process becomes the owner, who may not enter the agent's folder.
    with contextlib.closing(_opened_target(target)) as writing:
        own = open_descriptors() - others
        expected = _identities(source)
        # SQLite shares what a process has open of a database already, and a fork of it expects that to stay open.
        own |= {handle for handle in others if _identity(os.fstat(handle)) in expected}

        def work(confine: Confine) -> bytes:
            # A root-owned -shm beside the database would lock the gateway out of its own state.
            confine()
            _online_backup(source, writing, expected)
            return b""

        run_confined(work, limits, Owner(status.st_uid, status.st_gid), keep=own)


def _online_backup(source: Source, writing: sqlite3.Connection, expected: set[tuple[int, int]]) -> None:
    """Copy every page as of one moment.

    Raises:
        OSError: when a folder was swapped for a symlink, so that SQLite has opened a file outside the state folder.
        sqlite3.Error: when it stays locked, or is none.
    """
    place = source.place if isinstance(source, ConfinedPath) else source
    before = open_descriptors()
    uri = f"file:{_uri_path(place)}?mode=ro"
    with contextlib.closing(
        sqlite3.connect(uri, uri=True, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None)
    ) as reading:
        # Once a transaction reads, the backup needs no lock more. The pragma reads no schema, which may be newer.
        reading.execute("BEGIN")
        reading.execute("PRAGMA schema_version").fetchone()
        for handle in open_descriptors() - before:
            status = os.fstat(handle)
            if stat.S_ISREG(status.st_mode) and _identity(status) not in expected:
                raise OSError(f"another file than {source} was opened under its name")
        deadline = time.monotonic() + BACKUP_TIMEOUT_SECONDS

        def give_up_when_late(step: int, _remaining: int, _total: int) -> None:
            # Connection.backup tries a busy database again for ever.
            if step != sqlite3.SQLITE_DONE and time.monotonic() >= deadline:
                raise sqlite3.OperationalError("the database stays locked")

        # All pages in one step: a step-wise backup starts again whenever a writer commits between two steps.
        reading.backup(writing, pages=-1, progress=give_up_when_late)


def _identities(source: Source) -> set[tuple[int, int]]:
    """The device and inode of a database and its sidecars."""
    found = set()
    for suffix in ("", *SIDECAR_SUFFIXES):
        with contextlib.suppress(OSError):
            found.add(_identity(sidecar_path(source, suffix).lstat()))
    return found


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_no_file(source: Source) -> bool:
    try:
        return not stat.S_ISREG(source.lstat().st_mode)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _stands(source: Source) -> bool:
    try:
        return stat.S_ISREG(source.lstat().st_mode)
    except OSError:
        return False


def _uri_path(path: Path) -> str:
    unreserved = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-"
    return "".join(chr(byte) if byte in unreserved else f"%{byte:02x}" for byte in os.fsencode(path))
