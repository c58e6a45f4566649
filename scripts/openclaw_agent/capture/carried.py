"""What stands for a path that could not be read: the entries that the last backup had of it. Pure."""

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from openclaw_agent.snapshot.manifest import Entry, EntryKind, Omission
from openclaw_agent.sqlite.files import LOG_SUFFIXES, SIDECAR_SUFFIXES

# Of the machine that takes the backup: its disk, its limits. Every file would fail in the same way.
OWN_LIMITS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR}
)


def is_of_the_file(problem: OSError) -> bool:
    """Whether the file that was read is to blame, so that the others may well be read."""
    return problem.errno is not None and problem.errno not in OWN_LIMITS


def with_their_databases(unreadable: Iterable[Omission], captured: Mapping[str, Entry]) -> list[Omission]:
    """The same, each path once; a database of which a log cannot be read is itself not known."""
    rows: dict[str, Omission] = {}
    for row in unreadable:
        database = _database_of_log(row.path, captured)
        if not database:
            rows.setdefault(row.path, row)
            continue
        for entry in captured.values():
            if database in (entry.path, entry.hard_link_to):
                rows.setdefault(entry.path, Omission(entry.path, f"of its log {row.path!r}: {row.reason}"))
    return [row for row in rows.values() if not _lies_in_another(row.path, rows)]


def carried_over(unreadable: Iterable[Omission], captured: Mapping[str, Entry], base: Mapping[str, Entry]) -> set[str]:
    """The paths of `base` that stand for what could not be read, with the logs of a database."""
    roots = {row.path for row in unreadable}
    chosen = {path for path in base if path in roots or _lies_in_another(path, roots)}
    # What was captured is newer: of a folder its metadata, and what is in it where it was listed in part.
    chosen = {path for path in chosen if path not in captured or (path in roots and captured[path].database)}
    for path in [path for path in chosen if base[path].database]:
        chosen.update(path + suffix for suffix in LOG_SUFFIXES if _is_file(path + suffix, base))
    return chosen


def put_in_place(captured: list[Entry], chosen: Iterable[str], base: Mapping[str, Entry]) -> None:
    """Let the entries of `base` at these paths stand in the captured ones' place.

    A log that was captured beside a database of another time would corrupt it.
    """
    # Each with content of its own: what it was a link to may be another file by now.
    standing = {path: replace(base[path], stale=base[path].kind is EntryKind.FILE, hard_link_to="") for path in chosen}
    away, there = set(standing), {entry.path: entry for entry in captured}
    for path, entry in standing.items():
        if entry.database:
            away.update(path + suffix for suffix in SIDECAR_SUFFIXES if _is_file(path + suffix, there))
    captured[:] = [entry for entry in captured if entry.path not in away and entry.hard_link_to not in away]
    captured.extend(standing.values())


def _database_of_log(path: str, captured: Mapping[str, Entry]) -> str:
    if path in captured and captured[path].kind is EntryKind.DIR:
        return ""
    for suffix in LOG_SUFFIXES:
        database = captured.get(path.removesuffix(suffix)) if path.endswith(suffix) else None
        if database is not None and database.database:
            return database.path
    return ""


def _is_file(path: str, entries: Mapping[str, Entry]) -> bool:
    return path in entries and entries[path].kind is EntryKind.FILE


def _lies_in_another(path: str, roots: Iterable[str]) -> bool:
    return any(parent in roots for parent in _parents(path))


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        yield "/".join(parts[:depth])
