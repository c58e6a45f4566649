"""The list of restore points, as a person reads it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from openclaw_agent.catalog.completeness import Completeness, Look, look_at
from openclaw_agent.catalog.snapshots import folder_names, snapshot_of
from openclaw_agent.catalog.unmanaged import ROOT, arrange, place_of
from openclaw_agent.catalog.uploads import list_outside_snapshots
from openclaw_agent.retention.policy import plan_retention
from openclaw_agent.retention.report import age_words
from openclaw_agent.snapshot.keys import (
    LATEST_MANIFEST_KEY,
    LATEST_PREFIX,
    SNAPSHOTS_PREFIX,
    snapshot_manifest_key,
    snapshot_prefix,
)
from openclaw_agent.snapshot.manifest import EntryKind
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import BaseLooks
from openclaw_agent.store.transfers import ListedObject

AS_FOUND = "no manifest"
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class ListRow:
    """One restore point of the list; `files` and `size_bytes` are None where they are not known.

    `own_bytes` are those of the objects in its own folder; `bases` are the snapshots whose folders hold the rest.
    `problem` says why it is invalid, "" where it is not.
    """

    name: str
    age: str
    files: int | None
    size_bytes: int | None
    complete: str
    tier: str
    own_bytes: int | None = None
    bases: tuple[str, ...] = ()
    problem: str = ""


def list_restore_points(store: Bucket, now: datetime) -> list[ListRow]:
    """`latest/`, every snapshot from new to old, and what was put into the bucket without a manifest."""
    latest = look_at(store, LATEST_MANIFEST_KEY)
    rows = []
    if latest.completeness is not Completeness.NO_MANIFEST:
        taken_at = parse_snapshot_name(latest.stored.manifest.snapshot) if latest.stored else None
        rows.append(_row(LATEST, latest, taken_at, now, LATEST_PREFIX))
    names, bases = folder_names(store), BaseLooks(store)
    looks = {name: look_at(store, snapshot_manifest_key(name), bases) for name in names if parse_snapshot_name(name)}
    tiers = _tiers(looks, now, latest_complete=latest.stored is not None)
    for name, look in looks.items():
        found = (
            _plain_row(name, snapshot_prefix(name), store.list(snapshot_prefix(name))) if _is_missing(look) else None
        )
        rows.append(found or _row(name, look, parse_snapshot_name(name), now, tiers[name]))
    return [*rows, *_foreign_rows(store, latest, [name for name in names if name not in looks])]


def _is_missing(look: Look) -> bool:
    return look.completeness is Completeness.NO_MANIFEST


def _tiers(looks: dict[str, Look], now: datetime, *, latest_complete: bool) -> dict[str, str]:
    quarantined = {name for name, look in looks.items() if look.completeness is Completeness.QUARANTINED}
    snapshots = [snapshot_of(name, look) for name, look in looks.items()]
    plan = plan_retention(snapshots, now, latest_complete=latest_complete)
    tiers = {row.snapshot.name: row.tier.value if row.tier else "" for row in plan.decisions}
    # The same tiers keep them, but as a series of their own: they never stand for a day or a week of the main line.
    return {name: f"{tier}, apart" if tier and name in quarantined else tier for name, tier in tiers.items()}


def _foreign_rows(store: Bucket, latest: Look, foreign_names: list[str]) -> Iterator[ListRow]:
    outside = list(list_outside_snapshots(store))
    if _is_missing(latest):
        in_latest = _plain_row(LATEST, LATEST_PREFIX, (row for row in outside if place_of(row.key) == LATEST_PREFIX))
        yield from [in_latest] if in_latest else []
    at_root = _plain_row("(root)", ROOT, (row for row in outside if place_of(row.key) == ROOT))
    yield from [at_root] if at_root else []
    for name in foreign_names:
        place = f"{SNAPSHOTS_PREFIX}{name}/"
        yield _plain_row(name, place, store.list(place)) or ListRow(
            name, "", None, None, Completeness.NO_MANIFEST.value, ""
        )


def _plain_row(name: str, place: str, listed: Iterable[ListedObject]) -> ListRow | None:
    found = arrange(place, listed)
    if found is None:
        return None
    size_bytes = sum(entry.size for entry in found.entries if entry.kind is EntryKind.FILE)
    return ListRow(name, "", len(found.keys), size_bytes, AS_FOUND, "", size_bytes)


def _row(name: str, look: Look, taken_at: datetime | None, now: datetime, tier: str) -> ListRow:
    age = age_words(now - taken_at) if taken_at else ""
    if look.stored is None:
        return ListRow(name, age, None, None, look.completeness.value, tier, problem=look.problem)
    totals = look.stored.manifest.totals()
    if name == LATEST:
        return ListRow(name, age, totals.files, totals.bytes, look.completeness.value, tier, totals.bytes)
    own, bases = look.stored.manifest.own_totals(), tuple(base.snapshot for base in look.stored.manifest.bases)
    return ListRow(name, age, totals.files, totals.bytes, look.completeness.value, tier, own.bytes, bases)
