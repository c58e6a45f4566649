"""What of a walked tree must be read: files whose fingerprint, or whose database's log, is not that of the last run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_agent.databases import COMPANION_SUFFIXES, WAL_SUFFIX, companion_base, is_database
from openclaw_agent.manifest import Entry, EntryKind, Fingerprint
from openclaw_agent.tree_walk import Found, Tree


@dataclass(frozen=True, slots=True)
class Pending:
    """A file to read; `wal` is the fingerprint of its write-ahead log, for a database that has one."""

    found: Found
    database: bool
    wal: Fingerprint | None


def split_tree(root: Path, tree: Tree, known: Mapping[str, Entry]) -> tuple[list[Pending], list[Entry], set[str]]:
    """Split the tree into files to read, entries that are known, and logs that belong to a database.

    `tree.found` is emptied: for 100,000 files it and the entries together would take a third of the agent's memory.
    """
    databases, companions, logs = _databases(root, tree, known)
    pending: list[Pending] = []
    entries: list[Entry] = []
    for row in tree.found:
        if row.path in companions:
            continue
        if row.kind is not EntryKind.FILE:
            entries.append(entry_of(row))
            continue
        wal = logs.get(row.path)
        before = known.get(row.path)
        if before is not None and before.fingerprint == row.fingerprint and before.wal == wal:
            entries.append(_with_metadata_of(before, row))
        else:
            pending.append(Pending(row, row.path in databases or _is_database(root, row, known), wal))
    tree.found.clear()
    return pending, entries, companions


def entry_of(found: Found) -> Entry:
    """The entry of what the walk found, without the content of a file."""
    return Entry(
        path=found.path,
        kind=found.kind,
        mode=found.mode,
        uid=found.uid,
        gid=found.gid,
        mtime_ns=found.fingerprint.mtime_ns,
        target=found.target,
    )


def _databases(
    root: Path, tree: Tree, known: Mapping[str, Entry]
) -> tuple[set[str], set[str], Mapping[str, Fingerprint]]:
    """The databases that have companions, all their companions, and each one's log as it stands."""
    beside = {row.path: row for row in tree.found if companion_base(row.path) is not None}
    bases = {companion_base(row.path) for row in beside.values() if row.kind is EntryKind.FILE}
    databases = {
        row.path
        for row in tree.found
        if row.path in bases and row.kind is EntryKind.FILE and _is_database(root, row, known)
    }
    companions = {base + suffix for base in databases for suffix in COMPANION_SUFFIXES if base + suffix in beside}
    logs = {base: beside[base + WAL_SUFFIX].fingerprint for base in databases if base + WAL_SUFFIX in beside}
    return databases, companions, logs


def _is_database(root: Path, row: Found, known: Mapping[str, Entry]) -> bool:
    before = known.get(row.path)
    if before is not None and before.fingerprint == row.fingerprint:
        return before.database
    return is_database(root / row.path)


def _with_metadata_of(before: Entry, row: Found) -> Entry:
    if (before.mode, before.uid, before.gid) == (row.mode, row.uid, row.gid):
        return before
    return replace(before, mode=row.mode, uid=row.uid, gid=row.gid)
