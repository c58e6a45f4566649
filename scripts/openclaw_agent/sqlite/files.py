"""SQLite databases: known by their header, one thing with their sidecars, folded into one clean file."""

import contextlib
import errno
import os
import sys
from pathlib import Path
from typing import overload

from openclaw_agent.fs.clone import Source, clone_file, open_nofollow
from openclaw_agent.fs.confined import ConfinedPath
from openclaw_agent.fs.removal import remove_file
from openclaw_agent.sandbox.child import Owner
from openclaw_agent.sandbox.limits import Limits, limits_for
from openclaw_agent.sqlite.check import Outcome, Verdict
from openclaw_agent.sqlite.confined_check import check_confined
from openclaw_agent.sqlite.super_journal import JOURNAL_MAGIC, answer_in_clone, lists_journal_of, split_name

HEADER = b"SQLite format 3\x00"  # https://sqlite.org/fileformat.html, "The Database Header"
WAL_SUFFIX = "-wal"
JOURNAL_SUFFIX = "-journal"
SHM_SUFFIX = "-shm"
LOG_SUFFIXES = (WAL_SUFFIX, JOURNAL_SUFFIX)
SIDECAR_SUFFIXES = (WAL_SUFFIX, SHM_SUFFIX, JOURNAL_SUFFIX)
# https://sqlite.org/fileformat.html, "WAL File Format"; https://sqlite.org/walformat.html
WAL_MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
WAL_INDEX_VERSION = (3_007_000).to_bytes(4, sys.byteorder)
WAL_INDEX_BYTES = 32 * 1024
# SQLite writes a log from its begin to its end.
MOST_HOLES_OF_A_LOG = 1024**3
BLOCK_BYTES = 512  # the unit of st_blocks (stat(2))
WAL_MODE = b"\x02\x02"  # the file format's write and read version, bytes 18 and 19


def is_database(source: Source) -> bool:
    """Whether the file begins with SQLite's header; False for what cannot be opened."""
    return _begin(source, len(HEADER)) == HEADER


def is_in_wal_mode(source: Source) -> bool:
    """Whether a database says of itself that it has a write-ahead log."""
    return _begin(source, 20)[18:] == WAL_MODE


def sidecar_base(path: str) -> str | None:
    """The path of the database that `path` would belong to, judged by its name alone."""
    for suffix in SIDECAR_SUFFIXES:
        if path.endswith(suffix):
            return path.removesuffix(suffix)
    parts = split_name(path)
    return parts[0] if parts else None


def is_sidecar(database: Source, suffix: str) -> bool:
    """Whether what lies beside a database under this suffix is really its log, journal, shared-memory or super-journal.

    A user may call any file or folder so; that one is state like any other.
    """
    sidecar = sidecar_path(database, suffix)
    if suffix not in SIDECAR_SUFFIXES:
        return lists_journal_of(sidecar, (database.place if isinstance(database, ConfinedPath) else database).name)
    begin = _begin(sidecar, len(JOURNAL_MAGIC))
    if not begin:
        return _is_empty_file(sidecar)
    if suffix == WAL_SUFFIX:
        return begin[: len(WAL_MAGICS[0])] in WAL_MAGICS
    if suffix == JOURNAL_SUFFIX:
        # journal_mode=PERSIST, and a journal that is not synced yet, have zeros there.
        return begin == JOURNAL_MAGIC or not any(begin)
    if not is_in_wal_mode(database):
        return False
    return begin.startswith(WAL_INDEX_VERSION) or not any(_begin(sidecar, WAL_INDEX_BYTES))


def clone_database(source: Source, target: Path) -> os.stat_result:
    """Clone a database with its log; the caller must know that nobody writes between the two."""
    status = clone_file(source, target)
    for suffix in LOG_SUFFIXES:
        if is_sidecar(source, suffix):
            with contextlib.suppress(FileNotFoundError):
                _require_real_bytes(sidecar_path(source, suffix))
                clone_file(sidecar_path(source, suffix), sidecar_path(target, suffix))
    journal = sidecar_path(target, JOURNAL_SUFFIX)
    if journal.exists():
        answer_in_clone(source, journal)
    return status


NO_OWNER = Owner(0, 0)


def _require_real_bytes(log: Source) -> None:
    """Refuse a log that SQLite has not written, which would take days to read.

    Raises:
        OSError: EOVERFLOW.
    """
    status = log.lstat()
    if status.st_size - status.st_blocks * BLOCK_BYTES >= MOST_HOLES_OF_A_LOG:
        raise OSError(errno.EOVERFLOW, "its log is mostly holes", str(log))


def fold_and_check(clone: Path, owner: Owner = NO_OWNER, limits: Limits | None = None) -> Verdict:
    """Fold a cloned database's log into it and check it; a whole one is a single clean file then.

    It is done in a child process with the ids of `owner` and within `limits` (those for its size).

    Raises:
        LocalStorageError: when the disk is full or fails.
    """
    verdict = check_confined(clone, limits or limits_for(size_with_logs(clone)), owner)
    if verdict.outcome is Outcome.INTACT or (verdict.outcome is Outcome.UNKNOWN and verdict.folded):
        for suffix in SIDECAR_SUFFIXES:
            remove_file(sidecar_path(clone, suffix))
    return verdict


def size_with_logs(clone: Path) -> int:
    """How many bytes a clone has on the disk, with its logs: holes are nothing that takes time to check."""
    found = [row.stat() for row in (clone, *_logs_of(clone)) if row.exists()]
    return sum(min(row.st_size, row.st_blocks * BLOCK_BYTES) for row in found)


def _logs_of(clone: Path) -> list[Path]:
    return [sidecar_path(clone, suffix) for suffix in LOG_SUFFIXES]


def fold(clone: Path) -> str | None:
    """Fold a clone's log into it; return what is wrong with it, or None when nothing is known to be.

    Raises:
        LocalStorageError: when the disk is full or fails.
    """
    verdict = fold_and_check(clone)
    if verdict.outcome is Outcome.UNKNOWN and verdict.folded:
        return None
    return verdict.reason or None


def discard_clone(clone: Path) -> None:
    """Remove a clone and whatever lies beside it."""
    for suffix in ("", *SIDECAR_SUFFIXES):
        remove_file(sidecar_path(clone, suffix))


@overload
def sidecar_path(place: Path, suffix: str) -> Path: ...
@overload
def sidecar_path(place: ConfinedPath, suffix: str) -> ConfinedPath: ...
@overload
def sidecar_path(place: Source, suffix: str) -> Source: ...
def sidecar_path(place: Source, suffix: str) -> Source:
    """The path of a sidecar."""
    return place.beside(suffix) if isinstance(place, ConfinedPath) else place.with_name(place.name + suffix)


def _begin(source: Source, count: int) -> bytes:
    """The first bytes of a regular file; none of what cannot be opened."""
    try:
        handle = open_nofollow(source)
    except OSError:
        return b""
    try:
        return os.read(handle, count)
    except OSError:
        return b""
    finally:
        os.close(handle)


def _is_empty_file(source: Source) -> bool:
    try:
        handle = open_nofollow(source)
    except OSError:
        return False
    try:
        return os.fstat(handle).st_size == 0
    finally:
        os.close(handle)
