"""What a person asks about a restore point without changing anything: the difference to the present state."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from openclaw_agent.fs.clone import open_nofollow
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from openclaw_agent.sqlite.files import SHM_SUFFIX, WAL_SUFFIX, clone_database, fold, is_database
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.walk import WalkEntry, walk


@dataclass(frozen=True, slots=True)
class Difference:
    """What a restore would do to one path: `add`, `remove` or `change`, and in which respects."""

    action: str
    path: str
    respects: str = ""


def differences(manifest: Manifest, state_dir: Path, exclusions: Exclusions) -> list[Difference]:
    """What restoring `manifest` would change against the present state folder; reads files of equal size."""
    present = {row.path: row for row in walk(state_dir, exclusions).found} if state_dir.is_dir() else {}
    wanted = manifest.by_path()
    databases = {entry.path for entry in manifest.files() if entry.database}
    rows = [
        Difference("remove", path)
        for path in present
        if path not in wanted and path.removesuffix(WAL_SUFFIX).removesuffix(SHM_SUFFIX) not in databases
    ]
    for path, entry in wanted.items():
        found = present.get(path)
        if found is None:
            rows.append(Difference("add", path))
            continue
        respects = _respects(entry, found, state_dir)
        if respects:
            rows.append(Difference("change", path, ", ".join(respects)))
    return sorted(rows, key=lambda row: row.path)


def _database_differs(entry: Entry, live: Path) -> bool:
    # What a snapshot holds of a database is its folded form.
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "database"
        clone_database(live, folded)
        if fold(folded) is not None:
            return True
        with folded.open("rb") as reading:
            return hashlib.file_digest(reading, "sha256").digest() != entry.sha256


def _respects(entry: Entry, found: WalkEntry, state_dir: Path) -> list[str]:
    if entry.kind is not found.kind:
        return [f"{found.kind.value} becomes {entry.kind.value}"]
    respects = []
    if entry.kind is EntryKind.FILE and _content_differs(entry, found, state_dir):
        respects.append("content")
    if entry.kind is EntryKind.SYMLINK and entry.target != found.target:
        respects.append("target")
    if entry.kind is not EntryKind.SYMLINK and entry.mode != found.mode:
        respects.append(f"mode {found.mode:04o} becomes {entry.mode:04o}")
    if (entry.uid, entry.gid) != (found.uid, found.gid):
        respects.append(f"owner {found.uid}:{found.gid} becomes {entry.uid}:{entry.gid}")
    return respects


def _content_differs(entry: Entry, found: WalkEntry, state_dir: Path) -> bool:
    if entry.database and is_database(state_dir / entry.path):
        return _database_differs(entry, state_dir / entry.path)
    if entry.size != found.fingerprint.size:
        return True
    try:
        handle = open_nofollow(state_dir / entry.path)
    except OSError:
        return True
    with os.fdopen(handle, "rb") as reading:
        return hashlib.file_digest(reading, "sha256").digest() != entry.sha256
