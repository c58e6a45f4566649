"""What a person asks about a restore point without changing anything: the difference to the present state."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from openclaw_agent.fs.clone import open_nofollow
from openclaw_agent.fs.confined import ConfinedPath
from openclaw_agent.snapshot.manifest import Attributes, Entry, EntryKind, Manifest
from openclaw_agent.sqlite.files import clone_database, fold, is_database
from openclaw_agent.sqlite.online_backup import back_up_clone
from openclaw_agent.state_dir.attributes import AttributeReader
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.hard_links import links_by_first_name
from openclaw_agent.state_dir.sidecars import find_sidecars
from openclaw_agent.state_dir.walk import MOUNTED, WalkEntry, open_state_folder, walk


@dataclass(frozen=True, slots=True)
class Difference:
    """What a restore would do to one path: `add`, `remove` or `change`, and in which respects."""

    action: str
    path: str
    respects: str = ""


def differences(manifest: Manifest, state_dir: Path, exclusions: Exclusions) -> list[Difference]:
    """What restoring `manifest` would change against the present state folder; reads files of equal size."""
    wanted = manifest.by_path()
    if not state_dir.is_dir():
        return [Difference("add", path) for path in sorted(wanted)]
    with contextlib.ExitStack() as stack:
        top = stack.enter_context(open_state_folder(state_dir))
        tree = walk(state_dir, exclusions)
        # A restore leaves a mount as it is.
        mounts = {row.path for row in tree.skipped if row.reason == MOUNTED}
        present = {row.path: row for row in tree.found if row.path not in mounts}
        names_now, names_then = _names_now(tree.found), _names_then(manifest.entries)
        attributes = stack.enter_context(AttributeReader(top))
        # A sidecar goes where its database goes.
        rows = [Difference("remove", path) for path in present.keys() - wanted.keys() - find_sidecars(top, tree).keys()]
        for path, entry in wanted.items():
            found = present.get(path)
            if path in mounts and entry.kind is EntryKind.DIR:
                continue
            if found is None:
                rows.append(Difference("add", path))
                continue
            respects = _respects(entry, found, ConfinedPath(top, path))
            if respects is None:
                rows.append(Difference("change", path, f"{found.kind.value} becomes {entry.kind.value}"))
                continue
            if entry.attributes is not None:
                respects += _attribute_respects(entry.attributes, attributes.of(path, found.kind))
                if names_now.get(path) != names_then.get(path):
                    respects.append("hard links")
            if respects:
                rows.append(Difference("change", path, ", ".join(respects)))
    return sorted(rows, key=lambda row: row.path)


def _database_differs(entry: Entry, live: ConfinedPath) -> bool:
    # What a snapshot holds of a database is its folded form, of one taken live as SQLite's backup wrote it.
    with tempfile.TemporaryDirectory() as folder:
        folded, through_sqlite = Path(folder) / "folded", Path(folder) / "through-sqlite"
        clone_database(live, folded)
        if fold(folded) is not None:
            return True
        if _sha256(folded) == entry.sha256:
            return False
        if not entry.captured_live:
            return True
        back_up_clone(folded, through_sqlite)
        return _sha256(through_sqlite) != entry.sha256


def _sha256(file: Path) -> bytes:
    with file.open("rb") as reading:
        return hashlib.file_digest(reading, "sha256").digest()


def _names_now(found: Iterable[WalkEntry]) -> dict[str, frozenset[str]]:
    """All names of each file that has several."""
    groups = [frozenset([first, *(row.path for row in others)]) for first, others in links_by_first_name(found).items()]
    return {path: group for group in groups for path in group}


def _names_then(entries: Iterable[Entry]) -> dict[str, frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for entry in entries:
        if entry.hard_link_to:
            groups.setdefault(entry.hard_link_to, {entry.hard_link_to}).add(entry.path)
    return {path: frozenset(group) for group in groups.values() for path in group}


def _attribute_respects(then: Attributes, now: Attributes) -> list[str]:
    values_then, values_now = dict(then.xattrs), dict(now.xattrs)
    names = sorted({*values_then, *values_now})
    respects = [f"attribute {name!r}" for name in names if values_then.get(name) != values_now.get(name)]
    if then.flags != now.flags:
        respects.append(f"flags {now.flags or 'none'} become {then.flags or 'none'}")
    return respects


def _respects(entry: Entry, found: WalkEntry, place: ConfinedPath) -> list[str] | None:
    """In which respects they differ, or None where they are not even of one kind."""
    if entry.kind is not found.kind:
        return None
    respects = []
    if entry.kind is EntryKind.FILE and _content_differs(entry, found, place):
        respects.append("content")
    if entry.kind is EntryKind.SYMLINK and entry.target != found.target:
        respects.append("target")
    if entry.kind is not EntryKind.SYMLINK and entry.mode != found.mode:
        respects.append(f"mode {found.mode:04o} becomes {entry.mode:04o}")
    if (entry.uid, entry.gid) != (found.uid, found.gid):
        respects.append(f"owner {found.uid}:{found.gid} becomes {entry.uid}:{entry.gid}")
    return respects


def _content_differs(entry: Entry, found: WalkEntry, place: ConfinedPath) -> bool:
    if entry.database and is_database(place):
        return _database_differs(entry, place)
    if entry.size != found.fingerprint.size:
        return True
    try:
        handle = open_nofollow(place)
    except OSError:
        return True
    with os.fdopen(handle, "rb") as reading:
        return hashlib.file_digest(reading, "sha256").digest() != entry.sha256
