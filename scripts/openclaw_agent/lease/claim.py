"""Reading and writing `owner.json`: claims by conditional writes, so that of two racers exactly one wins."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from openclaw_agent.errors import CorruptObject, LeaseInvalid, PreconditionFailed, StoreError
from openclaw_agent.lease.record import MOST_BYTES, Lease, Liveness, Step, next_step, successor
from openclaw_agent.snapshot.keys import LEASE_KEY
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.retries import RetryPolicy

_log = logging.getLogger(__name__)

WAIT_LIMIT_SECONDS = 300.0
POLL_SECONDS = 5.0
# For claims that S3 refuses though it shows the record as it was: half a minute, as long as S3 itself may need.
CONTRADICTIONS = RetryPolicy(attempts=7, first_pause=0.5, growth=2.0)


@dataclass(frozen=True, slots=True)
class StoredLease:
    """The owner record in the bucket and its ETag."""

    record: Lease
    etag: str


def read_lease(store: Bucket) -> StoredLease | None:
    """The current owner, or None when the bucket never had one.

    Raises:
        LeaseInvalid: when what lies there is no record.
    """
    try:
        fetched = store.get(LEASE_KEY, most_bytes=MOST_BYTES)
    except CorruptObject as problem:
        raise LeaseInvalid(f"{problem} Look at it, and delete it only if no instance is running.") from problem
    return StoredLease(Lease.decode(fetched.body), fetched.etag) if fetched else None


def acquire(
    store: Bucket,
    me: str,
    liveness_of: Callable[[str], Liveness],
    *,
    wait_limit: float = WAIT_LIMIT_SECONDS,
    poll: float = POLL_SECONDS,
    least_epoch: int = 1,
    sleep: Callable[[float], object] = time.sleep,
) -> Lease:
    """Become the owner; wait (at most `wait_limit` seconds for one owner) while another instance is alive and holds on.

    `least_epoch` lets an owner outrank manifests that came from elsewhere with epochs of their own.

    Raises:
        StoreError: when the bucket cannot be read or written, or contradicts itself.
    """
    waited_for: str | None = None
    refused_at: str | None = None
    pauses = CONTRADICTIONS.pauses()
    began = time.monotonic()
    while True:
        current = read_lease(store)
        record = current.record if current else None
        seen = current.etag if current else ""
        if refused_at == seen:
            pause = next(pauses, None)
            if pause is None:
                raise StoreError(_contradiction(store.bucket, is_there=current is not None))
            sleep(pause)
            refused_at = None
            continue
        if refused_at is not None:
            # A true race: somebody else has written since.
            refused_at, pauses = None, CONTRADICTIONS.pauses()
        holder = f"{record.epoch}:{record.instance_id}" if record else None
        if holder != waited_for:
            # A new winner of a race is waited for in full.
            waited_for, began = holder, time.monotonic()
        needs_look = record is not None and record.instance_id != me and not record.released
        liveness = liveness_of(record.instance_id) if record and needs_look else Liveness.GONE
        decision = next_step(record, me, liveness, time.monotonic() - began, wait_limit)
        if decision.step is Step.WAIT:
            _log.info("Waiting: %s.", decision.because)
            sleep(poll)
            continue
        claimed = successor(record, me, datetime.now(UTC).isoformat(timespec="seconds"), least_epoch=least_epoch)
        try:
            if current is None:
                store.put(LEASE_KEY, claimed.encode(), if_absent=True)
            else:
                store.put(LEASE_KEY, claimed.encode(), if_match=current.etag)
        except PreconditionFailed:
            _log.info("Another instance claimed the bucket first; looking again.")
            refused_at = seen
            continue
        _log.info("This instance holds the lease now (epoch %d): %s.", claimed.epoch, decision.because)
        return claimed


def _contradiction(bucket: str, *, is_there: bool) -> str:
    shown = "shows it as it was" if is_there else "shows none"
    return (
        f"The lease on {bucket} cannot be acquired: S3 refuses to write {LEASE_KEY} because somebody else wrote it "
        f"first, and yet {shown}, after {CONTRADICTIONS.attempts} tries. Nothing was written; if it goes on, look at "
        f"{LEASE_KEY} and its versions in the bucket."
    )


def release(store: Bucket, epoch: int, me: str) -> bool:
    """Release the lease; False when another instance holds it already."""
    current = read_lease(store)
    if current is None or not current.record.is_current(epoch, me):
        return False
    try:
        store.put(LEASE_KEY, current.record.released_record().encode(), if_match=current.etag)
    except PreconditionFailed:
        return False
    return True
