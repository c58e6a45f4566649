"""What a backup has to move: from the captured entries and the last snapshot to copies, uploads and deletions. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_agent.bucket_layout import latest_key, snapshot_key
from openclaw_agent.manifest import Entry, EntryKind, Manifest
from openclaw_agent.transfers import Copy


@dataclass(frozen=True, slots=True)
class SnapshotPlan:
    """A snapshot's objects: those copied from the last snapshot, and the files to upload with their clones."""

    copies: tuple[Copy, ...]
    uploads: tuple[tuple[Entry, Path], ...]


@dataclass(frozen=True, slots=True)
class LatestPlan:
    """What brings `latest/` to a new snapshot: copies from it, and keys to delete."""

    copies: tuple[Copy, ...]
    deletions: tuple[str, ...]


def plan_snapshot(manifest: Manifest, base: Manifest | None, clones: Mapping[str, Path]) -> SnapshotPlan:
    """Copy what the last snapshot holds with the same content, upload the rest."""
    known = base.by_path() if base else {}
    copies: list[Copy] = []
    uploads: list[tuple[Entry, Path]] = []
    for entry in manifest.files():
        before = known.get(entry.path)
        if base is not None and before is not None and before.sha256 == entry.sha256 and before.size == entry.size:
            copies.append(Copy(snapshot_key(base.snapshot, before), snapshot_key(manifest.snapshot, entry), entry.size))
        else:
            uploads.append((entry, clones[entry.path]))
    return SnapshotPlan(tuple(copies), tuple(uploads))


def plan_latest(manifest: Manifest, base: Manifest) -> LatestPlan:
    """Bring a `latest/` that holds exactly `base` to `manifest`."""
    known = base.by_path()
    changed = (
        entry
        for entry in manifest.files()
        if (before := known.get(entry.path)) is None or before.sha256 != entry.sha256
    )
    return _latest_plan(manifest, changed, (latest_key(entry) for entry in base.files()))


def plan_latest_anew(manifest: Manifest, present_keys: Iterable[str], manifest_key: str) -> LatestPlan:
    """Bring a `latest/` of which nothing is certain but the keys that are there to `manifest`."""
    return _latest_plan(manifest, manifest.files(), (key for key in present_keys if key != manifest_key))


def _latest_plan(manifest: Manifest, changed: Iterable[Entry], present_keys: Iterable[str]) -> LatestPlan:
    kept = {latest_key(entry) for entry in manifest.files()}
    copies = (Copy(snapshot_key(manifest.snapshot, entry), latest_key(entry), entry.size) for entry in changed)
    return LatestPlan(tuple(copies), tuple(key for key in present_keys if key not in kept))


def differs(now: Sequence[Entry], before: Sequence[Entry]) -> bool:
    """Whether a state is worth a new snapshot."""
    if len(now) != len(before):
        return True
    return any(not _same_for_a_backup(new, old) for new, old in zip(now, before, strict=True))


def _same_for_a_backup(new: Entry, old: Entry) -> bool:
    if new.kind is EntryKind.DIR and old.kind is EntryKind.DIR:
        # A temporary file that came and went leaves nothing but its folder's new mtime: no reason for a snapshot.
        return new.same_state(replace(old, mtime_ns=new.mtime_ns))
    return new.same_state(old)
