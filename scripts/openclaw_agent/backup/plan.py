"""What a backup has to move: from the captured entries and the last snapshot to copies, uploads and deletions. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_agent.snapshot.keys import LATEST_PREFIX, latest_folder_marker, latest_key, snapshot_key
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from openclaw_agent.store.transfers import Copy, Upload


@dataclass(frozen=True, slots=True)
class SnapshotPlan:
    """A snapshot's objects: those copied from the snapshot `base`, and the files to upload, with their clones.

    `recovered` are last good copies that can be had from `latest/` alone. `stored_as` names, of what lies there under
    the first name that it had there, its entry there.
    """

    snapshot: str
    base: str
    copied: tuple[Entry, ...]
    uploaded: tuple[Entry, ...]
    recovered: tuple[Entry, ...]
    clones: Mapping[str, Path]
    stored_as: Mapping[str, Entry]

    def copies(self) -> Iterator[Copy]:
        """What to copy."""
        for entry in self.copied:
            # The path alone makes the key, so that it is the same in both snapshots, unless it was a hard link there.
            source = self.stored_as.get(entry.path, entry)
            yield Copy(snapshot_key(self.base, source), snapshot_key(self.snapshot, entry), entry.size)
        for entry in self.recovered:
            source = self.stored_as.get(entry.path, entry)
            yield Copy(latest_key(source), snapshot_key(self.snapshot, entry), entry.size)

    def uploads(self) -> Iterator[Upload]:
        """What to upload."""
        for entry in self.uploaded:
            yield Upload(self.clones[entry.path], snapshot_key(self.snapshot, entry), entry.size)


@dataclass(frozen=True, slots=True)
class LatestPlan:
    """What brings `latest/` to a new snapshot: the entries to copy from it, and the keys to delete."""

    snapshot: str
    copied: tuple[Entry, ...]
    deletions: tuple[str, ...]

    def copies(self) -> Iterator[Copy]:
        """What to copy."""
        for entry in self.copied:
            yield Copy(snapshot_key(self.snapshot, entry), latest_key(entry), entry.size)


def plan_snapshot(
    manifest: Manifest,
    base: Manifest | None,
    clones: Mapping[str, Path],
    *,
    full: bool = False,
    in_latest: Manifest | None = None,
) -> SnapshotPlan:
    """Copy what the snapshot `base` is known to hold with the same content, upload the rest.

    With `full` only that is copied which was not read. What can only be recovered is in `latest/` as `in_latest` says.
    """
    known = base.by_path() if base else {}
    copied: list[Entry] = []
    uploaded: list[Entry] = []
    recovered: list[Entry] = []
    for entry in manifest.files():
        before = known.get(entry.path)
        same = before is not None and before.sha256 == entry.sha256 and before.size == entry.size
        if same and not (full and entry.path in clones):
            copied.append(entry)
        else:
            (uploaded if entry.path in clones else recovered).append(entry)
    links = {entry.path: entry for entry in (base or in_latest or manifest).entries if entry.hard_link_to}
    stored_as = {entry.path: links[entry.path] for entry in (*copied, *recovered) if entry.path in links}
    return SnapshotPlan(
        manifest.snapshot,
        base.snapshot if base else "",
        tuple(copied),
        tuple(uploaded),
        tuple(recovered),
        clones,
        stored_as,
    )


def plan_latest(manifest: Manifest, base: Manifest) -> LatestPlan:
    """Bring a `latest/` that holds exactly `base` to `manifest`."""
    known = base.by_path()
    changed = (
        entry
        for entry in manifest.files()
        if (before := known.get(entry.path)) is None or before.sha256 != entry.sha256 or before.hard_link_to
    )
    kept = {entry.path for entry in manifest.files()}
    gone = tuple(latest_key(entry) for entry in base.files() if entry.path not in kept)
    return LatestPlan(manifest.snapshot, tuple(changed), gone)


def plan_latest_in_full(manifest: Manifest, present_keys: Iterable[str], manifest_key: str) -> LatestPlan:
    """Bring a `latest/` of which nothing is certain but the keys that are there to `manifest`."""
    gone = {key for key in present_keys if key not in (manifest_key, LATEST_PREFIX)}
    # A folder that somebody made there stays as long as it is in the state.
    gone -= {latest_folder_marker(entry.path) for entry in manifest.entries if entry.kind is EntryKind.DIR}
    for entry in manifest.files():
        gone.discard(latest_key(entry))
    return LatestPlan(manifest.snapshot, tuple(manifest.files()), tuple(sorted(gone)))


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
