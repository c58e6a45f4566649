"""What of a walked tree must be read: files whose fingerprint, or whose database's log, is not that of the last run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Fingerprint, Omission
from openclaw_agent.sqlite.files import WAL_SUFFIX, is_database, is_sidecar, sidecar_base
from openclaw_agent.state_dir.attributes import AttributeReader
from openclaw_agent.state_dir.hard_links import links_by_first_name
from openclaw_agent.state_dir.walk import Tree, WalkEntry

NO_ROWS: tuple[WalkEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """A file to read, with its other names (hard links); a database comes with its sidecars as they stand."""

    found: WalkEntry
    database: bool
    sidecars: tuple[WalkEntry, ...] = NO_ROWS
    links: tuple[WalkEntry, ...] = NO_ROWS


@dataclass(frozen=True, slots=True)
class Changes:
    """A walked tree: files to read, entries that are known, their hard links by path, and sidecars of a database."""

    pending: list[Pending]
    entries: list[Entry]
    links: dict[str, tuple[WalkEntry, ...]]
    sidecars: set[str]


def consume_tree(top: ConfinedDir, tree: Tree, known: Mapping[str, Entry], attributes: AttributeReader) -> Changes:
    """Split the tree into what must be read and what is known; attributes are read of what is not known as it is.

    A sidecar goes where its database goes, whatever the rules say of its name: `tree.excluded` is put right.
    `tree.found` is emptied: for 100,000 files it and the entries together would take a third of the agent's memory.
    """
    by_base = _by_base(tree)
    databases = _databases(top, tree, known, by_base)
    sidecars = {row.path for rows in databases.values() for row in rows}
    _keep_with_their_databases(top, tree, by_base, sidecars)
    left_out = sidecars.union(row.path for row in tree.excluded) if by_base else sidecars
    links = links_by_first_name(
        (row for row in tree.found if row.path not in left_out), {path for path, rows in databases.items() if rows}
    )
    left_out = left_out.union(row.path for rows in links.values() for row in rows)
    changes = Changes([], [], {}, sidecars)
    for row in tree.found:
        if row.path in left_out:
            continue
        others = links.get(row.path, NO_ROWS)
        beside = databases.get(row.path, NO_ROWS)
        entry = _known(row, known, beside, attributes)
        if entry is None:
            database = row.path in databases or _is_database(top, row, known)
            # Read after the walk's look at the status: what changes in between has another one by then.
            found = replace(row, attributes=attributes.of(row.path, row.kind))
            changes.pending.append(Pending(found, database, beside, others))
            continue
        changes.entries.append(entry)
        if others:
            changes.links[row.path] = others
    tree.found.clear()
    return changes


def _known(
    row: WalkEntry, known: Mapping[str, Entry], sidecars: tuple[WalkEntry, ...], attributes: AttributeReader
) -> Entry | None:
    """The entry of what needs no reading: all but files, and those that are as they were."""
    if row.kind is not EntryKind.FILE:
        return replace(entry_of(row), attributes=attributes.of(row.path, row.kind))
    before = known.get(row.path)
    if before is None or before.fingerprint != row.fingerprint or before.wal_fingerprint != _log(row.path, sidecars):
        return None
    return _as_found_now(before, row, attributes)


def entry_of(found: WalkEntry) -> Entry:
    """The entry of what the walk found, without the content of a file."""
    return Entry(
        path=found.path,
        kind=found.kind,
        mode=found.mode,
        uid=found.uid,
        gid=found.gid,
        mtime_ns=found.fingerprint.mtime_ns,
        target=found.target,
        attributes=found.attributes,
    )


def _by_base(tree: Tree) -> Mapping[str, list[WalkEntry]]:
    """The files that have the name of a sidecar, kept and excluded ones, by the path of the database."""
    by_base: dict[str, list[WalkEntry]] = {}
    for rows in (tree.found, tree.withheld):
        for row in rows:
            base = sidecar_base(row.path)
            if base is not None and row.kind is EntryKind.FILE:
                by_base.setdefault(base, []).append(row)
    return by_base


def _databases(
    top: ConfinedDir, tree: Tree, known: Mapping[str, Entry], by_base: Mapping[str, list[WalkEntry]]
) -> Mapping[str, tuple[WalkEntry, ...]]:
    """The sidecars of each database that has any; few files are read, for this goes on under the freeze."""
    databases = {}
    for row in tree.found:
        if row.path in by_base and row.kind is EntryKind.FILE and _is_database(top, row, known):
            databases[row.path] = tuple(_sidecars(top, row.path, by_base))
    return databases


def _keep_with_their_databases(
    top: ConfinedDir, tree: Tree, by_base: Mapping[str, list[WalkEntry]], sidecars: set[str]
) -> None:
    left_out: list[Omission] = []
    for base in tree.excluded:
        if base.path not in sidecars:
            left_out.append(base)
        if base.path in by_base and is_database(ConfinedPath(top, base.path)):
            left_out += [Omission(row.path, base.reason) for row in _sidecars(top, base.path, by_base)]
    tree.excluded = list({row.path: row for row in left_out}.values())


def _sidecars(top: ConfinedDir, base: str, by_base: Mapping[str, list[WalkEntry]]) -> Iterator[WalkEntry]:
    for row in by_base[base]:
        if is_sidecar(ConfinedPath(top, base), row.path.removeprefix(base)):
            yield row


def _log(path: str, sidecars: tuple[WalkEntry, ...]) -> Fingerprint | None:
    return next((row.fingerprint for row in sidecars if row.path == path + WAL_SUFFIX), None)


def _is_database(top: ConfinedDir, row: WalkEntry, known: Mapping[str, Entry]) -> bool:
    before = known.get(row.path)
    if before is not None and before.fingerprint == row.fingerprint:
        return before.database
    return is_database(ConfinedPath(top, row.path))


def _as_found_now(before: Entry, row: WalkEntry, attributes: AttributeReader) -> Entry:
    """The entry of a file that is as it was; an older agent may not have looked for attributes."""
    now = attributes.of(row.path, row.kind) if before.attributes is None else attributes.count(before.attributes)
    # It may have been known as a link to another name.
    if (before.mode, before.uid, before.gid) == (row.mode, row.uid, row.gid) and (
        now is before.attributes and not before.hard_link_to and not before.stale
    ):
        return before
    # A fingerprint that fits is that of the content: what could not be read then is as it was.
    return replace(before, mode=row.mode, uid=row.uid, gid=row.gid, attributes=now, hard_link_to="", stale=False)
