"""Prune: plan by the retention rules, delete manifest first."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from openclaw_agent.errors import AgentError, NotOwner
from openclaw_agent.lease.claim import read_lease
from openclaw_agent.retention.policy import RetentionPlan, Snapshot, latest_is_complete, plan_retention
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import (
    MANIFEST_FILE,
    snapshot_name_in_key,
    snapshot_prefix,
)
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.retries import RetryPolicy

DELETIONS = RetryPolicy(attempts=3, first_pause=1.0)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a run deleted: snapshots and objects."""

    snapshots: int
    objects: int


def plan_prune(
    snapshots: Sequence[Snapshot],
    now: datetime,
    *,
    strict_midnight: bool,
    latest: str | None,
    is_whole: Callable[[str], bool],
    bases_of: Callable[[str], tuple[str, ...]],
) -> RetentionPlan:
    """Apply the retention rules to the bucket's snapshots; `latest` is the snapshot of a whole `latest/`.

    `is_whole` is asked of those in whose favour others would be deleted, until each of them is; `bases_of` names what a
    snapshot needs, and is asked of all that stay.
    """
    complete = latest_is_complete(latest, snapshots)
    looked_at: set[str] = set()
    asked: set[str] = set()
    while True:
        plan = plan_retention(snapshots, now, latest_complete=complete, strict_midnight=strict_midnight)
        doubtful = {name for name in plan.relied_on if name not in looked_at and not is_whole(name)}
        looked_at.update(plan.relied_on)
        names = {row.snapshot.name for row in plan.kept if row.snapshot.complete} - asked
        asked.update(names)
        bases = {name: bases_of(name) for name in names if parse_snapshot_name(name)}
        if not doubtful and not any(bases.values()):
            return plan
        snapshots = [
            replace(row, doubtful=row.doubtful or row.name in doubtful, bases=bases.get(row.name, row.bases))
            for row in snapshots
        ]


def require_ownership_here(session: Session) -> None:
    """Refuse to delete as an instance that has lost the lease; a machine that never held one may prune by hand.

    Raises:
        NotOwner: when this boot's lease is no longer current.
    """
    bucket, boot = session.settings.bucket, session.records.boot()
    if boot is None or boot.bucket != bucket or boot.boot_id != session.boot_id:
        return
    lease = read_lease(session.bucket)
    if lease is not None and not lease.record.is_current(boot.epoch, session.instance_id()):
        raise NotOwner(
            f"Fenced: instance {lease.record.instance_id} holds the lease on {bucket} (epoch {lease.record.epoch}; "
            f"ours was {boot.epoch}). Nothing was deleted."
        )


def prune(store: Bucket, plan: RetentionPlan, sleep: Callable[[float], object] = time.sleep) -> Pruned:
    """Delete what the plan removes: all manifests first, then the rest of each snapshot.

    A run that breaks leaves incomplete snapshots, which the next run clears, never one that claims to be whole.

    Raises:
        AgentError: when S3 refused some deletions even after retries; how many, and an example.
    """
    names = [decision.snapshot.name for decision in plan.removed]
    manifests = [
        snapshot_prefix(decision.snapshot.name) + MANIFEST_FILE
        for decision in plan.removed
        if decision.snapshot.complete
    ]
    refused = _delete_with_retries(store, manifests, sleep)
    kept_manifests = {snapshot_name_in_key(key) for key in refused}
    counted = _Counted(_keys_of(store, [name for name in names if name not in kept_manifests]))
    refused |= _delete_with_retries(store, counted, sleep)
    if refused:
        key, reason = next(iter(refused.items()))
        raise AgentError(
            f"S3 refused to delete {len(refused)} objects ({key!r}: {reason}); the next run tries again. "
            "Check the role's policy if it goes on."
        )
    return Pruned(len(names), counted.count + len(manifests))


class _Counted:
    """Passes keys on and counts them."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = keys
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        for key in self._keys:
            self.count += 1
            yield key


def _keys_of(store: Bucket, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        for row in store.list(snapshot_prefix(name)):
            yield row.key


def _delete_with_retries(store: Bucket, keys: Iterable[str], sleep: Callable[[float], object]) -> dict[str, str]:
    refused = store.delete(keys)
    for pause in DELETIONS.pauses():
        if not refused:
            break
        sleep(pause)
        refused = store.delete(list(refused))
    return refused
