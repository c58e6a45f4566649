"""What the bucket offers to restore from: `latest/`, complete snapshots, and objects that have no manifest."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from openclaw_agent.bucket_layout import LATEST_MANIFEST_KEY, RESERVED_FILE
from openclaw_agent.errors import ManifestInvalid, UsageError
from openclaw_agent.manifest import STATE_PREFIX, CaptureMethod, Entry, EntryKind, Manifest
from openclaw_agent.object_store import ObjectStore
from openclaw_agent.restore_choice import (
    Choice,
    RestorePoint,
    Source,
    age_order,
    is_restore_point,
    order_candidates,
)
from openclaw_agent.snapshot_names import (
    LATEST_PREFIX,
    SNAPSHOTS_PREFIX,
    parse_snapshot_name,
    snapshot_manifest_key,
    snapshot_prefix,
)
from openclaw_agent.stored_manifests import StoredManifest, read_header, read_manifest
from openclaw_agent.transfers import ListedObject

# What a stale writer of an older epoch has left may lie between us and the newest snapshot of the present one.
MOST_STALE_SNAPSHOTS = 100
GATEWAY_UID = 1000  # the image's user `node`
NO_STATE_FILES = frozenset({"manifest.json", "reserved", "quarantined", "owner.json"})


@dataclass(slots=True)
class RestorePoints:
    """The bucket's restore points; names of snapshots from new to old."""

    latest: StoredManifest | None = None
    latest_problem: str = ""
    # Of latest/manifest.json, readable or not; "" for none.
    latest_etag: str = ""
    names: list[str] = field(default_factory=list)
    newest: StoredManifest | None = None

    def choices(self) -> list[Choice]:
        """The order in which to try `latest/` and the newest snapshot."""
        return order_candidates(_point(self.latest), _point(self.newest))


def _point(stored: StoredManifest | None) -> RestorePoint | None:
    return RestorePoint(stored.manifest, stored.modified) if stored else None


def snapshot_names(store: ObjectStore) -> list[str]:
    """The names of all snapshots, complete or not, from new to old."""
    names = [name for name in store.list_folders(SNAPSHOTS_PREFIX) if parse_snapshot_name(name)]
    return sorted(names, reverse=True)


def find_restore_points(store: ObjectStore) -> RestorePoints:
    """Look at `latest/` and at the newest complete snapshots of the main line.

    Raises:
        StoreError: when the bucket cannot be read; that is never taken for an empty bucket.
    """
    points = RestorePoints(names=snapshot_names(store))
    try:
        points.latest = read_manifest(store, LATEST_MANIFEST_KEY)
        points.latest_etag = points.latest.etag if points.latest else ""
    except ManifestInvalid as problem:
        points.latest_problem = str(problem)
        points.latest_etag = store.etag(LATEST_MANIFEST_KEY) or ""
    present_epoch = points.latest.manifest.epoch if points.latest else 0
    for looked, (_name, stored) in enumerate(complete_snapshots(store, points.names)):
        if points.newest is None or age_order(stored.manifest) > age_order(points.newest.manifest):
            points.newest = stored
        if stored.manifest.epoch >= present_epoch or looked >= MOST_STALE_SNAPSHOTS:
            break
    return points


def complete_snapshots(store: ObjectStore, names: list[str]) -> Iterator[tuple[str, StoredManifest]]:
    """Headers of the complete snapshots of the main line among `names`, in that order."""
    for name in names:
        stored = read_header(store, snapshot_manifest_key(name))
        if stored is not None and is_restore_point(stored.manifest):
            yield name, stored


def require_snapshot_name(name: str) -> str:
    """The name, if it can be one.

    Raises:
        UsageError: when it is no snapshot name.
    """
    if parse_snapshot_name(name) is None:
        raise UsageError(
            f"{name!r} is no snapshot name; it must look like 2026-02-27-14-00 (UTC). --list shows those there are."
        )
    return name


@dataclass(frozen=True, slots=True)
class FoundObjects:
    """Objects without a manifest: where they lie, and the entries made up for them with their keys."""

    prefix: str
    entries: tuple[Entry, ...]
    keys: dict[str, str]

    @property
    def choice(self) -> Choice:
        """The choice these objects stand for."""
        place = self.prefix or "the bucket's root"
        return Choice(Source.AS_FOUND, self.prefix, f"there is no manifest; the objects under {place} are as found")

    @property
    def manifest(self) -> Manifest:
        """A manifest that promises nothing but the objects' sizes."""
        return Manifest("", "", 0, "", "", CaptureMethod.LIVE, 0.0, self.entries)


def find_plain_objects(store: ObjectStore, names: list[str]) -> FoundObjects | None:
    """State that was put there by hand or by another tool: in `latest/`, in a snapshot's folder, or at the root."""
    for prefix in (LATEST_PREFIX, STATE_PREFIX, *(snapshot_prefix(name) for name in names), ""):
        found = _plain_objects_below(store, prefix)
        if found is not None:
            return found
    return None


def _plain_objects_below(store: ObjectStore, prefix: str) -> FoundObjects | None:
    listed = list(store.list(prefix))
    if not prefix:
        listed = [row for row in listed if not row.key.startswith((LATEST_PREFIX, SNAPSHOTS_PREFIX))]
    if any(row.key == prefix + RESERVED_FILE for row in listed):
        # One of our own backups that was cut short: a part of a state is no state.
        return None
    nested = prefix + STATE_PREFIX
    if any(row.key.startswith(nested) for row in listed):
        listed = [row for row in listed if row.key.startswith(nested)]
        prefix = nested
    files = {row.key.removeprefix(prefix): row for row in listed}
    usable = {path: row for path, row in files.items() if _is_state_path(path)}
    if not usable:
        return None
    return FoundObjects(prefix, tuple(_made_up_entries(usable)), {path: row.key for path, row in usable.items()})


def _is_state_path(path: str) -> bool:
    if not path or path.endswith("/") or path in NO_STATE_FILES:
        return False
    return all(part not in ("", ".", "..") and "\0" not in part for part in path.split("/"))


def _made_up_entries(usable: dict[str, ListedObject]) -> Iterator[Entry]:
    folders = {""}
    for path in usable:
        parts = path.split("/")[:-1]
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    newest = max(int(row.modified.timestamp()) for row in usable.values()) * 1_000_000_000
    for folder in sorted(folders, key=lambda path: path.split("/")):
        yield Entry(folder, EntryKind.DIR, 0o700, GATEWAY_UID, GATEWAY_UID, newest)
    for path, row in usable.items():
        # S3 also allows an object whose name is a folder of others; a disk does not.
        if path not in folders:
            seconds = int(row.modified.timestamp()) * 1_000_000_000
            yield Entry(path, EntryKind.FILE, 0o600, GATEWAY_UID, GATEWAY_UID, seconds, size=row.size)
