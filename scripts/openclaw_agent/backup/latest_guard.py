"""Whether `latest/` may be touched: who owns the bucket, and whether another hand was in it since."""

import time
from collections.abc import Callable

from openclaw_agent.agent_dir.records import AgentDir, BootRecord, LatestRecord
from openclaw_agent.errors import AgentError, NotOwner, PreconditionFailed, Refused
from openclaw_agent.lease.claim import WAIT_LIMIT_SECONDS, read_lease
from openclaw_agent.lease.record import Lease
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, LATEST_PREFIX
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import load_header_or_none

# Another instance waits ten times as long before it takes the bucket from one that is alive.
LOOK_GOOD_FOR_SECONDS = WAIT_LIMIT_SECONDS / 10


class LatestGuard:
    """The verdict on `latest/` for one backup; it remembers what `latest/` was when it was looked at."""

    def __init__(self, store: Bucket, memory: AgentDir, boot: BootRecord) -> None:
        self._store = store
        self._memory = memory
        self._boot = boot
        # The ETag of latest/manifest.json when it was last looked at, "" for none.
        self._seen_etag = ""
        self._looked_at = 0.0
        # An owner that was displaced may have gone on writing objects whose manifest it could not commit.
        self.latest_is_uncertain = False

    def require_ownership(self) -> Lease:
        """The owner record, which is this instance's.

        Raises:
            NotOwner: when another instance owns the bucket.
            Refused: when nobody does any more.
        """
        boot = self._boot
        self._looked_at = _seconds()
        owner = read_lease(self._store)
        if owner is None:
            raise Refused(
                f"Refused to write latest/: owner.json of {self._store.bucket} is gone, so that nobody owns it. Run "
                "openclaw-s3-restore.py --boot to own it again."
            )
        if not owner.record.is_current(boot.epoch, boot.instance_id):
            raise NotOwner(
                f"Fenced: {self._store.bucket} now belongs to {owner.record.instance_id} (epoch "
                f"{owner.record.epoch}), not to {boot.instance_id} (epoch {boot.epoch}); nothing was written under "
                "latest/ since. Stop this instance, or run openclaw-s3-restore.py --boot to take over."
            )
        return owner.record

    def require_ownership_again(self) -> None:
        """Look again if so much time has passed that a stalled owner may have lost the bucket; raises as above."""
        if _seconds() - self._looked_at > LOOK_GOOD_FOR_SECONDS:
            self.require_ownership()

    def refusal(self, base: Manifest | None, *, overwrite: bool) -> AgentError | None:
        """Why `latest/` must not be touched now: another owner, or (unless `overwrite`) another hand in the bucket."""
        try:
            owner = self.require_ownership()
        except (NotOwner, Refused) as refused:
            return refused
        self.latest_is_uncertain = bool(owner.preempted) and (base is None or base.epoch < owner.epoch)
        self._seen_etag = self._store.etag(LATEST_MANIFEST_KEY) or ""
        known = self._memory.latest()
        known_etag = known.etag if known and known.bucket == self._store.bucket else ""
        if overwrite or self._seen_etag == known_etag or self._may_be_replaced(owner, base):
            return None
        return Refused(
            "Refused to replace latest/: somebody changed it since this machine last wrote it. Take it by a reboot or "
            "by openclaw-s3-restore.py --force, or replace it by openclaw-s3-backup.py --overwrite-latest."
        )

    def _may_be_replaced(self, owner: Lease, base: Manifest | None) -> bool:
        """Whether a `latest/` that is not as this machine last saw it holds nothing that was put there on purpose."""
        if not self._seen_etag:
            # Its manifest was deleted: what is left is somebody's upload under way, unless nothing is left.
            self.latest_is_uncertain = True
            return not any(self._store.list(LATEST_PREFIX, most=1))
        stored = load_header_or_none(self._store, LATEST_MANIFEST_KEY)
        if stored is None:
            return False
        header = stored.manifest
        if header.instance_id == self._boot.instance_id and header.snapshot == self._memory.latest_under_way():
            # Written by this machine, which was cut off before it could note that down.
            self._memory.remember_latest(LatestRecord(self._store.bucket, self._seen_etag))
            return True
        # The displaced owner's last backup, committed after it had lost the bucket. What an operator brings back is
        # older than the base.
        late = (
            header.instance_id == owner.preempted
            and base is not None
            and header.epoch <= base.epoch < owner.epoch
            and header.snapshot >= base.snapshot
        )
        self.latest_is_uncertain |= late
        return late

    def commit(self, manifest: Manifest, put: Callable[[str], str]) -> str:
        """Let `put` write the manifest of `latest/` if its ETag is the one it is given; return the new ETag.

        A stalled writer that has lost the bucket meanwhile must not put its older manifest over the new owner's.

        Raises:
            NotOwner: when somebody has committed to `latest/` since it was looked at.
        """
        try:
            return put(self._seen_etag)
        except PreconditionFailed as lost:
            stored = load_header_or_none(self._store, LATEST_MANIFEST_KEY)
            if stored and _identity(stored.manifest) == _identity(manifest):
                # Written by this run's first try, whose answer was lost.
                return stored.etag
            raise NotOwner(
                f"Somebody else wrote latest/ while this backup did; it is left to them. Snapshot {manifest.snapshot} "
                "is complete."
            ) from lost


def _seconds() -> float:
    # This clock goes on while the machine is suspended.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _identity(manifest: Manifest) -> tuple[str, int, str]:
    return manifest.snapshot, manifest.epoch, manifest.instance_id
