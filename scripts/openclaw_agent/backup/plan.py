"""What a backup has to move: from the captured entries and the last snapshot to copies, uploads and deletions. Pure."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_agent.snapshot.keys import LATEST_PREFIX, latest_folder_marker, latest_key, snapshot_key, snapshot_prefix
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from openclaw_agent.store.transfers import Copy, Upload


@dataclass(frozen=True, slots=True)
class SnapshotPlan:
    """A snapshot's objects: those copied out of other snapshots' folders, and the files to upload, with their clones.

    `entries` are the snapshot's, each with the folder in which it lies. A copy's source is the entry that the last
    snapshot (`base`) has of the content. `recovered` are last good copies that can be had from `latest/` alone.
    """

    snapshot: str
    base: str
    entries: tuple[Entry, ...]
    copied: tuple[tuple[Entry, Entry], ...]
    uploaded: tuple[Entry, ...]
    recovered: tuple[tuple[Entry, Entry], ...]
    clones: Mapping[str, Path]

    def copies(self) -> Iterator[Copy]:
        """What to copy."""
        own = snapshot_prefix(self.snapshot)
        for source, entry in self.copied:
            yield Copy(snapshot_key(self.base, source), own + entry.relative_key, entry.size)
        for source, entry in self.recovered:
            yield Copy(latest_key(source), own + entry.relative_key, entry.size)

    def uploads(self) -> Iterator[Upload]:
        """What to upload."""
        own = snapshot_prefix(self.snapshot)
        for entry in self.uploaded:
            yield Upload(self.clones[entry.path], own + entry.relative_key, entry.size)


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
    folders: Collection[str] = (),
) -> SnapshotPlan:
    """Leave what lies in one of `folders` where it is, copy what else the snapshot `base` holds, upload the rest.

    `folders` are the bases that the snapshot may have; none for a whole one. With `full` only that is copied which was
    not read. What can only be recovered is in `latest/` as `in_latest` says.
    """
    known = base.by_path() if base else {}
    copied: list[tuple[Entry, Entry]] = []
    uploaded: list[Entry] = []
    recovered: list[Entry] = []

    def folder_of(entry: Entry) -> str:
        before = known.get(entry.path)
        if base is None or before is None or not same_content(before, entry) or (full and entry.path in clones):
            (uploaded if entry.path in clones else recovered).append(entry)
        elif (folder := before.stored_in or base.snapshot) in folders and before.relative_key == entry.relative_key:
            return folder
        else:
            copied.append((before, entry))
        return ""

    entries = _in_folders(manifest.entries, folder_of)
    links = {entry.path: entry for entry in (base or in_latest or manifest).entries if entry.hard_link_to}
    return SnapshotPlan(
        manifest.snapshot,
        base.snapshot if base else "",
        entries,
        tuple(copied),
        tuple(uploaded),
        tuple((links.get(entry.path, entry), entry) for entry in recovered),
        clones,
    )


def same_content(before: Entry, entry: Entry) -> bool:
    """Whether the object of the one holds the content of the other."""
    return before.sha256 == entry.sha256 and before.size == entry.size


def _in_folders(entries: Sequence[Entry], folder_of: Callable[[Entry], str]) -> tuple[Entry, ...]:
    """The entries, each file in the folder that is asked for it; a further name of a file goes where the first is."""
    folders = {entry.hard_link_to: "" for entry in entries if entry.hard_link_to}
    placed = []
    for entry in entries:
        folder = folder_of(entry) if entry.kind is EntryKind.FILE and not entry.hard_link_to else ""
        if entry.path in folders:
            folders[entry.path] = folder
        placed.append(_in_folder(entry, folder))
    if folders:
        placed = [_in_folder(row, folders[row.hard_link_to]) if row.hard_link_to else row for row in placed]
    return tuple(placed)


def _in_folder(entry: Entry, folder: str) -> Entry:
    return entry if entry.stored_in == folder else replace(entry, stored_in=folder)


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


def where_they_lie(entries: Sequence[Entry], base: Manifest) -> tuple[Entry, ...]:
    """The entries of a state that is as `base` holds it, each in the folder in which it lies there."""
    places = {entry.path: entry.stored_in for entry in base.files()}
    return _in_folders(entries, lambda entry: places.get(entry.path, ""))


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
