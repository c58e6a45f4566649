"""Whether `latest/` may be written: who holds the lease, and whether somebody else has written there since."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from openclaw_agent.agent_dir.records import BootRecord, Records
from openclaw_agent.errors import AgentError, NotOwner, PreconditionFailed, Refused
from openclaw_agent.lease.claim import WAIT_LIMIT_SECONDS, read_lease
from openclaw_agent.lease.record import Lease
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, LATEST_PREFIX
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import load_header_or_none

# Another instance waits ten times as long before it takes the bucket from one that is alive.
LOOK_GOOD_FOR_SECONDS = WAIT_LIMIT_SECONDS / 10


@dataclass(frozen=True, slots=True)
class LatestVerdict:
    """What `latest/` was when it was looked at, and why it must not be touched (None where it may).

    `etag` is that of its manifest ("" for none). `is_uncertain`: its objects may be others than its manifest names, for
    a preempted holder may have gone on writing them. `is_own_commit`: this machine wrote it, and was cut off before it
    could record that.
    """

    looked_at: float
    refusal: AgentError | None = None
    etag: str = ""
    is_uncertain: bool = False
    is_own_commit: bool = False


class LatestGuard:
    """Judges `latest/` for one backup; it asks the bucket and writes nothing but what `commit` is given."""

    def __init__(self, store: Bucket, records: Records, boot: BootRecord) -> None:
        self._store = store
        self._records = records
        self._boot = boot

    def require_ownership(self) -> Lease:
        """The lease, which is this instance's.

        Raises:
            NotOwner: when another instance holds it.
            Refused: when nobody does any more.
        """
        boot = self._boot
        owner = read_lease(self._store)
        if owner is None:
            raise Refused(
                f"Refused: nothing was written to latest/, because owner.json of {self._store.bucket} is gone, so that "
                "nobody holds the lease. Run openclaw-s3-restore.py boot to acquire it again."
            )
        if not owner.record.is_current(boot.epoch, boot.instance_id):
            raise NotOwner(
                f"Fenced: instance {owner.record.instance_id} holds the lease on {self._store.bucket} (epoch "
                f"{owner.record.epoch}; ours was {boot.epoch}). Nothing was written to latest/. Stop this instance, or "
                "run openclaw-s3-restore.py boot to take over."
            )
        return owner.record

    def require_ownership_again(self, verdict: LatestVerdict) -> None:
        """Look again if so much time has passed that a stalled holder may have lost the lease; raises as above."""
        if _seconds() - verdict.looked_at > LOOK_GOOD_FOR_SECONDS:
            self.require_ownership()

    def verdict(self, base: Manifest | None, *, overwrite: bool) -> LatestVerdict:
        """Whether `latest/` may be written: by no fenced instance, nor (unless `overwrite`) over another's change."""
        looked_at = _seconds()
        try:
            lease = self.require_ownership()
        except (NotOwner, Refused) as refused:
            return LatestVerdict(looked_at, refused)
        etag = self._store.etag(LATEST_MANIFEST_KEY) or ""
        preempted_wrote = bool(lease.preempted) and (base is None or base.epoch < lease.epoch)
        seen = LatestVerdict(looked_at, None, etag, is_uncertain=preempted_wrote)
        known = self._records.latest()
        known_etag = known.etag if known and known.bucket == self._store.bucket else ""
        return seen if overwrite or etag == known_etag else self._of_a_changed_latest(seen, lease, base)

    def _of_a_changed_latest(self, seen: LatestVerdict, lease: Lease, base: Manifest | None) -> LatestVerdict:
        """Whether `latest/` may be overwritten although its ETag changed.

        It may where it is empty, our own unrecorded commit, or a late commit of a preempted holder.
        """
        if not seen.etag:
            # Its manifest was deleted: what is left is somebody's upload under way, unless nothing is left.
            is_empty = not any(self._store.list(LATEST_PREFIX, most=1))
            return replace(seen, is_uncertain=True, refusal=None if is_empty else _changed())
        stored = load_header_or_none(self._store, LATEST_MANIFEST_KEY)
        if stored is None:
            return replace(seen, refusal=_changed())
        header = stored.manifest
        if header.instance_id == self._boot.instance_id and header.snapshot == self._records.latest_under_way():
            return replace(seen, is_own_commit=True)
        # What an operator brings back is older than the base.
        is_late_commit = (
            header.instance_id == lease.preempted
            and base is not None
            and header.epoch <= base.epoch < lease.epoch
            and header.snapshot >= base.snapshot
        )
        return replace(seen, is_uncertain=True) if is_late_commit else replace(seen, refusal=_changed())

    def commit(self, manifest: Manifest, verdict: LatestVerdict, put: Callable[[str], str]) -> str:
        """Let `put` write the manifest of `latest/` if its ETag is the one it is given; return the new ETag.

        A stalled writer that has lost the lease meanwhile must not put its older manifest over the new holder's.

        Raises:
            NotOwner: when somebody has committed to `latest/` since it was looked at.
        """
        try:
            return put(verdict.etag)
        except PreconditionFailed as lost:
            stored = load_header_or_none(self._store, LATEST_MANIFEST_KEY)
            if stored and _identity(stored.manifest) == _identity(manifest):
                # Written by this run's first try, whose answer was lost.
                return stored.etag
            raise NotOwner(
                f"Somebody else wrote latest/ during this backup; it was left as they wrote it. Snapshot "
                f"{manifest.snapshot} is complete."
            ) from lost


def _changed() -> Refused:
    return Refused(
        "Refused: latest/ was modified by someone else since our last backup. To restore it, reboot or run "
        "openclaw-s3-restore.py run --force; to overwrite it, run openclaw-s3-backup.py --overwrite-latest."
    )


def _seconds() -> float:
    # This clock advances during suspend.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _identity(manifest: Manifest) -> tuple[str, int, str]:
    return manifest.snapshot, manifest.epoch, manifest.instance_id
