"""What the bucket offers to restore from: `latest/`, complete snapshots, and objects that have no manifest."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from openclaw_agent.catalog.choice import (
    Choice,
    RestorePoint,
    age_order,
    is_uploaded_externally,
    order_candidates,
)
from openclaw_agent.catalog.completeness import Completeness, look_at
from openclaw_agent.catalog.snapshots import snapshot_names
from openclaw_agent.catalog.unmanaged import UnmanagedObjects, named
from openclaw_agent.catalog.uploads import ExternalUploads, external_uploads, found_later_than
from openclaw_agent.errors import AgentError, ManifestInvalid, ManifestTooNew
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import BaseLooks, StoredManifest, read_manifest

# Of names that a boot asks for: whoever can write to the bucket can make any number of folders. Of the past there are
# only so many between two backups; the future has no end.
MOST_OF_THE_PAST = 150
MOST_OF_THE_FUTURE = 20
A_WRONG_CLOCK = timedelta(days=1)
# What a stale writer of an older epoch has left may lie between us and the newest snapshot of the present one.
MOST_STALE_SNAPSHOTS = 100
# Where latest/ does not tell the present epoch: a stale writer commits one snapshot, perhaps two, before it knows.
MOST_WITHOUT_LATEST = 5


@dataclass(frozen=True, slots=True)
class Latest:
    """`latest/`: its manifest, or why that cannot be used; its ETag, readable or not ("" for none)."""

    stored: StoredManifest | None = None
    problem: str = ""
    etag: str = ""
    too_new: ManifestTooNew | None = None


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A snapshot that no restore takes by itself, and why."""

    name: str
    reason: str
    is_torn: bool = False

    def sentence(self) -> str:
        """What a person must know who expects what it holds."""
        return (
            f"Snapshot {self.name} is newer and is not restored by itself: {self.reason.rstrip('.')}. To take it, run "
            f"openclaw-s3-restore.py run --snapshot {self.name} --force."
        )


@dataclass(frozen=True, slots=True)
class RestorePoints:
    """The bucket's restore points; names of snapshots from new to old.

    `pinned_reason` says why `latest/` alone may be restored ("" where the next best will do). `unmanaged` is a state
    without a manifest which is newer than the snapshots. `passed_over` are newer than the newest that a restore takes.
    """

    latest: StoredManifest | None = None
    latest_problem: str = ""
    latest_etag: str = ""
    names: tuple[str, ...] = ()
    newest: StoredManifest | None = None
    too_new: ManifestTooNew | None = None
    unmanaged: UnmanagedObjects | None = None
    pinned_reason: str = ""
    passed_over: tuple[PassedOver, ...] = ()

    def choices(self) -> list[Choice]:
        """The order in which to try `latest/` and the newest snapshot.

        Raises:
            ManifestTooNew: when a newer agent wrote what would have to be tried.
        """
        if self.too_new is not None:
            raise self.too_new
        return [] if self.unmanaged else order_candidates(_point(self.latest), _point(self.newest))

    def pinned(self, reason: str) -> "RestorePoints":
        """The same, of which `latest/` alone may be restored where there is one."""
        return replace(self, pinned_reason=reason) if self.latest or self.latest_problem else self

    def require_pinned(self) -> None:
        """Refuse where `latest/` alone may be restored, and has no manifest that can be read.

        Raises:
            AgentError: naming the problem, with what to do.
        """
        if self.latest_problem and self.too_new is not None:
            raise self.too_new
        if self.latest_problem and self.pinned_reason:
            raise self.nothing_else(f" ({self.latest_problem})")

    def manifests(self) -> list[Manifest]:
        """The manifests at hand; that of the newest snapshot is a header."""
        return [stored.manifest for stored in (self.latest, self.newest) if stored is not None]

    def nothing_else(self, problem: str = "") -> AgentError:
        """Why nothing is restored in the place of `latest/`."""
        return AgentError(
            f"latest/ cannot be used as it is{problem}, and nothing else is restored in its place: "
            f"{self.pinned_reason}. Upload it again by aws s3 cp --recursive (aws s3 sync skips objects of equal "
            "size), or restore a snapshot by its name (openclaw-s3-restore.py list, then run --snapshot NAME --force). "
            "The current state was not changed."
        )


def _point(stored: StoredManifest | None) -> RestorePoint | None:
    return RestorePoint(stored.manifest, stored.modified) if stored else None


def find_restore_points(store: Bucket) -> RestorePoints:
    """Look at `latest/` and at the newest complete snapshots of the main line.

    Raises:
        StoreError: when the bucket cannot be read; that is never taken for an empty bucket.
    """
    names = snapshot_names(store)
    latest = _read_latest(store)
    points = RestorePoints(latest.stored, latest.problem, latest.etag, names, too_new=latest.too_new)
    if points.too_new is not None:
        return points
    passed: list[PassedOver] = []
    newest, too_new = _find_newest(store, names, latest.stored, passed)
    newer = tuple(row for row in passed if newest is None or row.name > newest.manifest.snapshot)
    points = replace(points, newest=newest, too_new=too_new, passed_over=newer)
    if too_new is not None:
        return points
    if points.latest and newest and _is_on_purpose(points.latest, newest):
        points = points.pinned("it is older than the newest snapshot, and was uploaded later, on purpose")
    if not points.latest_etag and newest is not None:
        points = replace(points, unmanaged=found_later_than(store, newest, names))
    return points


def _read_latest(store: Bucket) -> Latest:
    try:
        stored = read_manifest(store, LATEST_MANIFEST_KEY)
    except (ManifestInvalid, ManifestTooNew) as problem:
        too_new = problem if isinstance(problem, ManifestTooNew) else None
        return Latest(None, str(problem), store.etag(LATEST_MANIFEST_KEY) or "", too_new)
    return Latest(stored, etag=stored.etag if stored else "")


def _find_newest(
    store: Bucket, names: Sequence[str], latest: StoredManifest | None, passed: list[PassedOver]
) -> tuple[StoredManifest | None, ManifestTooNew | None]:
    present_epoch = latest.manifest.epoch if latest else None
    newest: StoredManifest | None = None
    try:
        for _name, stored in itertools.islice(
            complete_snapshots(store, names, passed.append), MOST_STALE_SNAPSHOTS if latest else MOST_WITHOUT_LATEST
        ):
            if newest is None or age_order(stored.manifest) > age_order(newest.manifest):
                newest = stored
            if present_epoch is not None and stored.manifest.epoch >= present_epoch:
                break
    except ManifestTooNew as problem:
        # Nothing says that the newest one is stale: what a newer agent wrote before it does not stand in its way.
        if present_epoch is not None or newest is None:
            return newest, problem
    return newest, None


def _is_on_purpose(latest: StoredManifest, newest: StoredManifest) -> bool:
    return is_uploaded_externally(
        RestorePoint(latest.manifest, latest.modified), RestorePoint(newest.manifest, newest.modified)
    )


def worth_asking(names: Sequence[str], now: datetime) -> Iterator[str]:
    """The names of which a boot asks for the manifests, from new to old; `names` are sorted so."""
    left = {True: MOST_OF_THE_FUTURE, False: MOST_OF_THE_PAST}
    for name in names:
        ahead = is_ahead(name, now)
        if left[ahead]:
            left[ahead] -= 1
            yield name


def is_ahead(name: str, now: datetime) -> bool:
    """Whether a snapshot's name is of a time that has not come, by more than a clock may be wrong."""
    taken_at = parse_snapshot_name(name)
    return taken_at is not None and taken_at > now + A_WRONG_CLOCK


def complete_snapshots(
    store: Bucket, names: Sequence[str], passed_over: Callable[[PassedOver], None] = lambda _row: None
) -> Iterator[tuple[str, StoredManifest]]:
    """Headers of the complete snapshots of the main line among `names`, in that order; of so many as a boot asks for.

    `passed_over` is told of the others on the way that have a manifest.

    Raises:
        ManifestTooNew: at one that only a newer agent can read.
    """
    bases = BaseLooks(store)
    for name in worth_asking(names, datetime.now(UTC)):
        look = look_at(store, snapshot_manifest_key(name), bases)
        if look.too_new is not None:
            raise look.too_new
        if look.is_restore_point and look.stored is not None:
            yield name, look.stored
        elif look.completeness is Completeness.BASE_GONE:
            reason = f"it needs snapshot {look.missing_base}, which is gone or is another one now"
            passed_over(PassedOver(name, reason, is_torn=True))
        elif look.stored is not None:
            passed_over(PassedOver(name, f"it is quarantined ({look.stored.manifest.quarantined.rstrip('.')})"))
        elif look.completeness is Completeness.INVALID:
            passed_over(PassedOver(name, look.problem, is_torn=True))


def require_no_external_uploads(store: Bucket, points: RestorePoints) -> ExternalUploads:
    """Refuse to overlook a state that somebody uploaded to a bucket of ours without a manifest; return the rest.

    Raises:
        AgentError: when there are some, with what to do.
    """
    reference = points.latest or points.newest
    # A latest/ whose manifest is damaged is damaged: what else lies there cannot be told from it.
    if reference is None or points.unmanaged is not None or points.latest_problem:
        return ExternalUploads()
    found = external_uploads(store, reference, points.names)
    unexpected = found.wanted
    if unexpected:
        raise AgentError(
            f"Somebody has uploaded {len(unexpected)} objects to the bucket {store.bucket} ({named(unexpected)}) since "
            "the last backup, without a manifest: it is ambiguous which of the two should be restored. To take the "
            f"objects, run aws s3 rm --recursive s3://{store.bucket}/latest/, upload them again, and reboot; to go on "
            "without them, restore a snapshot by its name (openclaw-s3-restore.py list, then run --snapshot NAME "
            "--force). The current state was not changed."
        )
    return found
