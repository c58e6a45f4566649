"""What a person asks about restore points without changing anything: the list, and the difference to the present."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from openclaw_agent.bucket_layout import LATEST_MANIFEST_KEY
from openclaw_agent.clone import open_unfollowed
from openclaw_agent.databases import clone_database, fold, is_database
from openclaw_agent.exclusions import Exclusions
from openclaw_agent.manifest import Entry, EntryKind, Manifest
from openclaw_agent.object_store import ObjectStore
from openclaw_agent.restore_points import snapshot_names
from openclaw_agent.retention import Snapshot, plan_retention
from openclaw_agent.retention_report import age_words
from openclaw_agent.snapshot_names import parse_snapshot_name, snapshot_manifest_key
from openclaw_agent.stored_manifests import read_header
from openclaw_agent.tree_walk import Found, walk


@dataclass(frozen=True, slots=True)
class ListRow:
    """One restore point of the list; `files` and `size_bytes` are None where there is no manifest."""

    name: str
    age: str
    files: int | None
    size_bytes: int | None
    complete: str
    tier: str


def list_restore_points(store: ObjectStore, now: datetime) -> list[ListRow]:
    """`latest/` and every snapshot, newest first."""
    rows = []
    latest = read_header(store, LATEST_MANIFEST_KEY)
    if latest is not None:
        rows.append(_row("latest", latest.manifest, parse_snapshot_name(latest.manifest.snapshot), now, "latest/"))
    headers = {name: read_header(store, snapshot_manifest_key(name)) for name in snapshot_names(store)}
    plan = plan_retention(
        [Snapshot(name, complete=stored is not None) for name, stored in headers.items()],
        now,
        latest_complete=latest is not None,
    )
    tiers = {row.snapshot.name: row.tier.value if row.tier else "" for row in plan.decisions}
    for name, stored in headers.items():
        rows.append(
            _row(name, stored.manifest if stored else None, parse_snapshot_name(name), now, tiers.get(name, ""))
        )
    return rows


def _row(name: str, manifest: Manifest | None, taken_at: datetime | None, now: datetime, tier: str) -> ListRow:
    age = age_words(now - taken_at) if taken_at else ""
    if manifest is None:
        return ListRow(name, age, None, None, "no", tier)
    complete = "quarantined" if manifest.quarantined else "yes"
    return ListRow(name, age, manifest.file_count, manifest.total_bytes, complete, tier)


def list_table(rows: list[ListRow]) -> str:
    """The list as text in columns."""
    head = ("snapshot", "age", "files", "size", "complete", "tier")
    cells = [
        (
            row.name,
            row.age,
            "-" if row.files is None else f"{row.files:,}",
            "-" if row.size_bytes is None else f"{row.size_bytes:,}",
            row.complete,
            row.tier,
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *cells)) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (head, *cells))
    return "\n".join(line.rstrip() for line in lines)


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
    rows = [
        Difference("remove", path)
        for path in present
        if path not in wanted and path.removesuffix("-wal").removesuffix("-shm") not in _databases(manifest)
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


def _databases(manifest: Manifest) -> set[str]:
    return {entry.path for entry in manifest.files() if entry.database}


def _respects(entry: Entry, found: Found, state_dir: Path) -> list[str]:
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


def _content_differs(entry: Entry, found: Found, state_dir: Path) -> bool:
    if entry.database and is_database(state_dir / entry.path):
        return _database_differs(entry, state_dir / entry.path)
    if entry.size != found.fingerprint.size:
        return True
    try:
        handle = open_unfollowed(state_dir / entry.path)
    except OSError:
        return True
    with os.fdopen(handle, "rb") as reading:
        return hashlib.file_digest(reading, "sha256").digest() != entry.sha256
