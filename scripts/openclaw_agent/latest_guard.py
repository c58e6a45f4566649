"""Whether `latest/` may be touched: who owns the bucket, and whether another hand was in it since."""

from collections.abc import Callable

from openclaw_agent.bucket_layout import LATEST_MANIFEST_KEY
from openclaw_agent.errors import AgentError, NotOwner, PreconditionFailed, Refused
from openclaw_agent.local_memory import BootRecord, LocalMemory
from openclaw_agent.manifest import Manifest
from openclaw_agent.object_store import ObjectStore
from openclaw_agent.owner_record_store import read_ownership
from openclaw_agent.stored_manifests import read_header


class LatestGuard:
    """The verdict on `latest/` for one backup; it remembers what `latest/` was when it was looked at."""

    def __init__(self, store: ObjectStore, memory: LocalMemory, boot: BootRecord) -> None:
        self._store = store
        self._memory = memory
        self._boot = boot
        # The ETag of latest/manifest.json when it was last looked at, "" for none.
        self._seen_etag = ""

    def refusal(self, base: Manifest | None, *, overwrite: bool) -> AgentError | None:
        """Why `latest/` must not be touched now: another owner, or (unless `overwrite`) another hand in the bucket."""
        boot = self._boot
        owner = read_ownership(self._store)
        if owner is None or not owner.record.is_current(boot.epoch, boot.instance_id):
            holder = f"{owner.record.instance_id} (epoch {owner.record.epoch})" if owner else "nobody"
            return NotOwner(
                f"Fenced: {self._store.bucket} now belongs to {holder}, not to {boot.instance_id} (epoch "
                f"{boot.epoch}); nothing was written under latest/. Stop this instance, or run "
                "openclaw-s3-restore.py --boot to take over."
            )
        self._seen_etag = self._store.etag(LATEST_MANIFEST_KEY) or ""
        if overwrite:
            return None
        known = self._memory.latest()
        known_etag = known.etag if known and known.bucket == self._store.bucket else ""
        if self._seen_etag == known_etag or self._wrote_latest_before_a_crash(base):
            return None
        return Refused(
            "Refused to replace latest/: somebody changed it since this machine last wrote it. Take it by a reboot or "
            "by openclaw-s3-restore.py --force, or replace it by openclaw-s3-backup.py --overwrite-latest."
        )

    def commit(self, manifest: Manifest, put: Callable[[str], str]) -> str:
        """Let `put` write the manifest of `latest/` if its ETag is the one it is given; return the new ETag.

        A stalled writer that has lost the bucket meanwhile must not put its older manifest over the new owner's.

        Raises:
            NotOwner: when somebody has committed to `latest/` since it was looked at.
        """
        try:
            return put(self._seen_etag)
        except PreconditionFailed as lost:
            stored = read_header(self._store, LATEST_MANIFEST_KEY)
            if stored and _identity(stored.manifest) == _identity(manifest):
                # Written by this run's first try, whose answer was lost.
                return stored.etag
            raise NotOwner(
                f"Somebody else wrote latest/ while this backup did; it is left to them. Snapshot {manifest.snapshot} "
                "is complete."
            ) from lost

    def _wrote_latest_before_a_crash(self, base: Manifest | None) -> bool:
        if not self._memory.latest_may_be_torn:
            return False
        stored = read_header(self._store, LATEST_MANIFEST_KEY)
        if stored is None:
            return base is None
        header = stored.manifest
        mine = header.instance_id == self._boot.instance_id and header.epoch <= self._boot.epoch
        return mine and (base is None or header.snapshot >= base.snapshot)


def _identity(manifest: Manifest) -> tuple[str, int, str]:
    return manifest.snapshot, manifest.epoch, manifest.instance_id
