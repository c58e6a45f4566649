"""What of a walked tree must be read: files whose fingerprint, or whose database's log, is not that of the last run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from openclaw_agent.fs.confined import Folder, Within
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Fingerprint, LeftOut
from openclaw_agent.sqlite.files import WAL_SUFFIX, companion_base, is_companion, is_database
from openclaw_agent.state_dir.walk import Found, Tree

NO_COMPANIONS: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """A file to read; a database comes with its companions as they stand."""

    found: Found
    database: bool
    companions: tuple[Found, ...] = NO_COMPANIONS


def split_tree(top: Folder, tree: Tree, known: Mapping[str, Entry]) -> tuple[list[Pending], list[Entry], set[str]]:
    """Split the tree into files to read, entries that are known, and companions of a database.

    A companion goes where its database goes, whatever the rules say of its name: `tree.excluded` is put right.
    `tree.found` is emptied: for 100,000 files it and the entries together would take a third of the agent's memory.
    """
    by_base = _by_base(tree)
    databases = _databases(top, tree, known, by_base)
    companions = {row.path for rows in databases.values() for row in rows}
    _keep_with_their_databases(top, tree, by_base, companions)
    excluded = {row.path for row in tree.excluded} if by_base else set()
    pending: list[Pending] = []
    entries: list[Entry] = []
    for row in tree.found:
        if row.path in companions or row.path in excluded:
            continue
        if row.kind is not EntryKind.FILE:
            entries.append(entry_of(row))
            continue
        beside = databases.get(row.path, NO_COMPANIONS)
        before = known.get(row.path)
        if before is not None and before.fingerprint == row.fingerprint and before.wal == _log(row.path, beside):
            entries.append(_with_metadata_of(before, row))
        else:
            database = row.path in databases or _is_database(top, row, known)
            pending.append(Pending(row, database, beside))
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


def _by_base(tree: Tree) -> Mapping[str, list[Found]]:
    """The files that have the name of a companion, kept and excluded ones, by the path of the database."""
    by_base: dict[str, list[Found]] = {}
    for rows in (tree.found, tree.withheld):
        for row in rows:
            base = companion_base(row.path)
            if base is not None and row.kind is EntryKind.FILE:
                by_base.setdefault(base, []).append(row)
    return by_base


def _databases(
    top: Folder, tree: Tree, known: Mapping[str, Entry], by_base: Mapping[str, list[Found]]
) -> Mapping[str, tuple[Found, ...]]:
    """The companions of each database that has any; few files are read, for this goes on under the freeze."""
    databases = {}
    for row in tree.found:
        if row.path in by_base and row.kind is EntryKind.FILE and _is_database(top, row, known):
            databases[row.path] = tuple(_companions(top, row.path, by_base))
    return databases


def _keep_with_their_databases(
    top: Folder, tree: Tree, by_base: Mapping[str, list[Found]], companions: set[str]
) -> None:
    left_out: list[LeftOut] = []
    for base in tree.excluded:
        if base.path not in companions:
            left_out.append(base)
        if base.path in by_base and is_database(Within(top, base.path)):
            left_out += [LeftOut(row.path, base.reason) for row in _companions(top, base.path, by_base)]
    tree.excluded = list({row.path: row for row in left_out}.values())


def _companions(top: Folder, base: str, by_base: Mapping[str, list[Found]]) -> Iterator[Found]:
    for row in by_base[base]:
        if is_companion(Within(top, base), row.path.removeprefix(base)):
            yield row


def _log(path: str, companions: tuple[Found, ...]) -> Fingerprint | None:
    return next((row.fingerprint for row in companions if row.path == path + WAL_SUFFIX), None)


def _is_database(top: Folder, row: Found, known: Mapping[str, Entry]) -> bool:
    before = known.get(row.path)
    if before is not None and before.fingerprint == row.fingerprint:
        return before.database
    return is_database(Within(top, row.path))


def _with_metadata_of(before: Entry, row: Found) -> Entry:
    if (before.mode, before.uid, before.gid) == (row.mode, row.uid, row.gid):
        return before
    return replace(before, mode=row.mode, uid=row.uid, gid=row.gid)
