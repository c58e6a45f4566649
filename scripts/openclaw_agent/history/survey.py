"""All snapshots as rows of one shape, which every command prints and every JSON document has."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from openclaw_agent.catalog.completeness import Completeness, Look, look_at
from openclaw_agent.catalog.snapshots import snapshot_names, snapshot_of
from openclaw_agent.retention.policy import Action, RetentionPlan, Snapshot, plan_retention
from openclaw_agent.retention.tiers import TIERS
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, snapshot_manifest_key
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.bucket import Bucket

AT_ONCE = 8
"""Manifests that are looked at side by side."""


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """One snapshot; `files` and `size_bytes` are None where its manifest cannot be read.

    `latest` says whether `latest/` holds it, `expires` when the lifecycle will delete it as things stand (None: not).
    """

    name: str
    taken_at: datetime
    files: int | None
    size_bytes: int | None
    completeness: Completeness
    quarantined: str
    tier: str
    latest: bool
    expires: datetime | None

    @property
    def restorable(self) -> bool:
        """Whether a restore by time may take it; a quarantined one is only taken by its name."""
        return self.completeness is Completeness.COMPLETE

    def document(self, now: datetime) -> dict[str, object]:
        """The one shape for JSON: times in ISO 8601, sizes in bytes."""
        return {
            "name": self.name,
            "time": self.taken_at.isoformat(),
            "age_seconds": int((now - self.taken_at).total_seconds()),
            "files": self.files,
            "bytes": self.size_bytes,
            "complete": self.completeness in (Completeness.COMPLETE, Completeness.QUARANTINED),
            "quarantined": self.completeness is Completeness.QUARANTINED,
            "reason": self.quarantined,
            "tier": self.tier or None,
            "latest": self.latest,
            "expires": self.expires.isoformat() if self.expires else None,
        }


def survey(store: Bucket, now: datetime) -> list[SnapshotRow]:
    """Return every snapshot of the bucket, from new to old; asks for one manifest's beginning a snapshot."""
    names = snapshot_names(store)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        latest = pool.submit(look_at, store, LATEST_MANIFEST_KEY)
        looks = dict(zip(names, pool.map(lambda name: look_at(store, snapshot_manifest_key(name)), names), strict=True))
    stored = latest.result().stored
    held = stored.manifest.snapshot if stored else ""
    snapshots = [snapshot_of(name, look) for name, look in looks.items()]
    plan = plan_retention(snapshots, now, latest_complete=bool(held))
    tiers = {row.snapshot.name: row.tier.value if row.tier else "" for row in plan.decisions}
    ends = _ends(snapshots, plan, now, latest_complete=bool(held))
    return [_row(name, look, tiers[name], held, ends.get(name)) for name, look in looks.items()]


def _row(name: str, look: Look, tier: str, held: str, expires: datetime | None) -> SnapshotRow:
    taken_at = parse_snapshot_name(name)
    if taken_at is None:
        raise ValueError(f"{name!r} is no snapshot's name")
    totals = look.stored.manifest.totals() if look.stored else None
    return SnapshotRow(
        name=name,
        taken_at=taken_at,
        files=totals.files if totals else None,
        size_bytes=totals.bytes if totals else None,
        completeness=look.completeness,
        quarantined=look.stored.manifest.quarantined if look.stored else "",
        tier=tier,
        latest=name == held,
        expires=expires,
    )


def _ends(
    snapshots: Sequence[Snapshot], plan: RetentionPlan, now: datetime, *, latest_complete: bool
) -> dict[str, datetime]:
    """When each would go: what the lifecycle would decide at each midnight (UTC) until the last tier has begun."""
    ends = {row.snapshot.name: now for row in plan.decisions if row.action is Action.DELETE}
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    for days in range(1, TIERS[-1].from_age // timedelta(days=1) + 2):
        later = midnight + timedelta(days=days)
        left = [snapshot for snapshot in snapshots if snapshot.name not in ends]
        for row in plan_retention(left, later, latest_complete=latest_complete).decisions:
            if row.action is Action.DELETE:
                ends[row.snapshot.name] = later
    return ends
