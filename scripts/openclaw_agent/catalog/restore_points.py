"""What the bucket offers to restore from: `latest/`, complete snapshots, and objects that have no manifest."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from openclaw_agent.catalog.choice import (
    Choice,
    RestorePoint,
    Source,
    age_order,
    is_restore_point,
    is_uploaded_externally,
    order_candidates,
)
from openclaw_agent.catalog.unmanaged import UnmanagedObjects, choose_unmanaged, named, unexplained
from openclaw_agent.catalog.uploads import external_uploads, found_later_than
from openclaw_agent.errors import AgentError, ManifestInvalid, ManifestTooNew, UsageError
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, SNAPSHOTS_PREFIX, snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import StoredManifest, load_header, read_manifest

# What a stale writer of an older epoch has left may lie between us and the newest snapshot of the present one.
MOST_STALE_SNAPSHOTS = 100
# Where latest/ does not tell the present epoch: a stale writer commits one snapshot, perhaps two, before it knows.
MOST_WITHOUT_LATEST = 5


@dataclass(slots=True)
class RestorePoints:
    """The bucket's restore points; names of snapshots from new to old.

    `pinned_reason` says why `latest/` alone may be restored ("" where the next best will do).
    """

    latest: StoredManifest | None = None
    latest_problem: str = ""
    # Of latest/manifest.json, readable or not; "" for none.
    latest_etag: str = ""
    names: list[str] = field(default_factory=list)
    newest: StoredManifest | None = None
    too_new: ManifestTooNew | None = None
    # A state without a manifest, which is to be restored before the snapshots.
    found: UnmanagedObjects | None = None
    pinned_reason: str = ""

    def choices(self) -> list[Choice]:
        """The order in which to try `latest/` and the newest snapshot.

        Raises:
            ManifestTooNew: when a newer agent wrote what would have to be tried.
        """
        if self.too_new is not None:
            raise self.too_new
        return [] if self.found else order_candidates(_point(self.latest), _point(self.newest))

    def every_choice(self, store: Bucket) -> Iterator[Choice]:
        """All there is to try, best first; asking for the next one says that the last could not be used.

        Raises:
            AgentError: when nothing else may be restored in the place of `latest/`.
        """
        self.require_pinned()
        tried: set[str] = set()
        for choice in self.choices():
            if choice.source is Source.SNAPSHOT:
                tried.add(choice.name)
            yield choice
            if choice.source is Source.LATEST and self.pinned_reason:
                raise self._nothing_else("")
        for name, _stored in () if self.found else complete_snapshots(store, self.names):
            if name not in tried:
                yield Choice(Source.SNAPSHOT, name, "nothing newer could be used")

    def require_pinned(self) -> None:
        """Refuse where `latest/` alone may be restored, and has no manifest that can be read.

        Raises:
            AgentError: naming the problem, with what to do.
        """
        if self.latest_problem and self.too_new is not None:
            raise self.too_new
        if self.latest_problem and self.pinned_reason:
            raise self._nothing_else(f" ({self.latest_problem})")

    def manifests(self) -> list[Manifest]:
        """The manifests at hand; that of the newest snapshot is a header."""
        return [stored.manifest for stored in (self.latest, self.newest) if stored is not None]

    def _nothing_else(self, problem: str) -> AgentError:
        return AgentError(
            f"latest/ cannot be used as it stands{problem}, and nothing else is restored in its place: "
            f"{self.pinned_reason}. Put it there again by aws s3 cp --recursive (aws s3 sync skips objects of equal "
            "size), or take a snapshot by its name (--list, --snapshot NAME --force). The state in place is untouched."
        )


def _point(stored: StoredManifest | None) -> RestorePoint | None:
    return RestorePoint(stored.manifest, stored.modified) if stored else None


def snapshot_names(store: Bucket) -> list[str]:
    """The names of all snapshots, complete or not, from new to old."""
    names = [name for name in store.list_folders(SNAPSHOTS_PREFIX) if parse_snapshot_name(name)]
    return sorted(names, reverse=True)


def find_restore_points(store: Bucket) -> RestorePoints:
    """Look at `latest/` and at the newest complete snapshots of the main line.

    Raises:
        StoreError: when the bucket cannot be read; that is never taken for an empty bucket.
    """
    points = RestorePoints(names=snapshot_names(store))
    try:
        _read_latest(store, points)
        _find_newest(store, points)
    except ManifestTooNew as problem:
        points.too_new = problem
        return points
    if points.latest and points.newest and _is_on_purpose(points.latest, points.newest):
        points.pinned_reason = "it is older than the newest snapshot, and was put there later, on purpose"
    if not points.latest_etag and points.newest is not None:
        points.found = found_later_than(store, points.newest, points.names)
    return points


def _read_latest(store: Bucket, points: RestorePoints) -> None:
    try:
        points.latest = read_manifest(store, LATEST_MANIFEST_KEY)
        points.latest_etag = points.latest.etag if points.latest else ""
    except (ManifestInvalid, ManifestTooNew) as problem:
        points.latest_problem = str(problem)
        points.latest_etag = store.etag(LATEST_MANIFEST_KEY) or ""
        if isinstance(problem, ManifestTooNew):
            raise


def _find_newest(store: Bucket, points: RestorePoints) -> None:
    present_epoch = points.latest.manifest.epoch if points.latest else None
    most = MOST_STALE_SNAPSHOTS if points.latest else MOST_WITHOUT_LATEST
    try:
        for _name, stored in itertools.islice(complete_snapshots(store, points.names), most):
            if points.newest is None or age_order(stored.manifest) > age_order(points.newest.manifest):
                points.newest = stored
            if present_epoch is not None and stored.manifest.epoch >= present_epoch:
                break
    except ManifestTooNew:
        # Nothing says that the newest one is stale: what a newer agent wrote before it does not stand in its way.
        if present_epoch is not None or points.newest is None:
            raise


def _is_on_purpose(latest: StoredManifest, newest: StoredManifest) -> bool:
    return is_uploaded_externally(
        RestorePoint(latest.manifest, latest.modified), RestorePoint(newest.manifest, newest.modified)
    )


def complete_snapshots(store: Bucket, names: list[str]) -> Iterator[tuple[str, StoredManifest]]:
    """Headers of the complete snapshots of the main line among `names`, in that order.

    Raises:
        ManifestTooNew: at one that only a newer agent can read.
    """
    for name in names:
        try:
            stored = load_header(store, snapshot_manifest_key(name))
        except ManifestInvalid:
            continue
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


def find_unmanaged(store: Bucket, points: RestorePoints) -> UnmanagedObjects | None:
    """State that was put there by hand or by another tool, or None where the bucket is empty (a first start).

    Raises:
        AgentError: when something is there of which no state can be made.
    """
    if points.found is None:
        listed = list(store.list(""))
        points.found = choose_unmanaged(listed)
        strange = unexplained(listed)
        if points.found is None and strange:
            raise AgentError(
                f"The bucket {store.bucket} holds {len(strange)} objects ({named(strange)}), but nothing that can be "
                "restored by itself, so this is no first start. Take a snapshot by its name (--list, --snapshot NAME), "
                "or empty the bucket to start afresh."
            )
    return points.found


def require_no_external_uploads(store: Bucket, points: RestorePoints) -> None:
    """Refuse to overlook objects that somebody put over a bucket of ours without a manifest.

    Raises:
        AgentError: when there are some, with what to do.
    """
    reference = points.latest or points.newest
    # A latest/ whose manifest is damaged is damaged: what else lies there cannot be told from it.
    if reference is None or points.found is not None or points.latest_problem:
        return
    strange = external_uploads(store, reference, points.names)
    if strange:
        raise AgentError(
            f"Somebody has put {len(strange)} objects into the bucket {store.bucket} ({named(strange)}) since the last "
            "backup, without a manifest: whether they or that backup are wanted cannot be told. To take them, run "
            f"aws s3 rm --recursive s3://{store.bucket}/latest/, put them there again, and reboot; to go on without "
            "them, take a snapshot by its name (--list, --snapshot NAME --force). The state in place is untouched."
        )
