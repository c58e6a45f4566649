"""What happens to the state when an instance boots, in this order.

1. where this boot has restored already and still holds the lease, nothing more;
2. the bucket must be there, and the lease is acquired (`lease/`);
3. where this instance's own disk holds the state and nobody has changed `latest/` since, the disk is kept;
4. what somebody has uploaded, and a restore would ignore, stops the boot;
5. a local state that a restore is about to replace is quarantined as a snapshot;
6. the newest usable restore point is built beside the state folder and swapped in (`restore/`);
7. a bucket that has never held a state is a first boot: an empty state is initialised (`start_afresh`);
8. the boot is recorded as restored, in an epoch above every manifest that another holder wrote.
"""

import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from openclaw_agent.agent_dir.records import BootRecord
from openclaw_agent.backup.run import Backup, BackupOptions
from openclaw_agent.boot.local_changes import local_changes
from openclaw_agent.boot.quarantine import QuarantineRecord
from openclaw_agent.boot.start_afresh import require_new_bucket, require_nothing_to_restore
from openclaw_agent.catalog.choice import NEWEST, Wanted
from openclaw_agent.catalog.reader import CatalogReader
from openclaw_agent.catalog.restore_points import require_no_external_uploads
from openclaw_agent.catalog.unmanaged import MOST_NAMED, named
from openclaw_agent.errors import AgentError, DoneWithGaps, Refused
from openclaw_agent.host.freezer import NothingToFreeze
from openclaw_agent.lease.claim import POLL_SECONDS, WAIT_LIMIT_SECONDS, acquire, read_lease
from openclaw_agent.lease.record import Liveness
from openclaw_agent.restore.gaps import restored_with_gaps
from openclaw_agent.restore.restorer import Restorer, require_room_for
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.state_dir.content import holds_files
from openclaw_agent.state_dir.first_state import make_first_state
from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from openclaw_agent.state_dir.staging import disk_of
from openclaw_agent.store.manifests import load_header_or_none

_log = logging.getLogger(__name__)

MINIMAL_CONFIG = Path("/opt/openclaw-agent/current/openclaw.minimal.json")
NO_BOOT = ""
CHANGED_BY_OTHERS = "somebody changed it since this instance last wrote it"
QUARANTINE_REASON = "the local state that a restore was about to replace"


class BootOutcome(StrEnum):
    """The code of how a boot ended for the state folder."""

    ALREADY_RESTORED = "already-restored"
    KEPT = "kept"
    RESTORED = "restored"
    FIRST_BOOT = "first-boot"

    def sentence(self) -> str:
        """The same for a person."""
        return {
            BootOutcome.ALREADY_RESTORED: "Boot: this boot has restored already.",
            BootOutcome.KEPT: "Boot: kept the local state (newer than S3).",
            BootOutcome.RESTORED: "Boot: restored.",
            BootOutcome.FIRST_BOOT: "Boot: first boot, the bucket holds no state.",
        }[self]


@dataclass(frozen=True, slots=True)
class LeasePolicy:
    """How the lease is acquired: how to look up its holder, and how long to wait for it, in seconds."""

    liveness_of: Callable[[str], Liveness]
    wait_limit: float = WAIT_LIMIT_SECONDS
    poll: float = POLL_SECONDS


class Boot:
    """One boot. The lock must be held."""

    def __init__(
        self,
        session: Session,
        reader: CatalogReader,
        lease_policy: LeasePolicy,
        finished: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        self.lease_policy = lease_policy
        # What a restore has left out although it is done.
        self.gaps_error: DoneWithGaps | None = None
        self._session = session
        self._settings = session.settings
        self._bucket = session.bucket
        self._records = session.records
        self._reader = reader
        self._finished = finished
        self._me = session.instance_id()

    def run(self, *, start_afresh: bool = False) -> BootOutcome:
        """Acquire the lease and bring the state folder to what it should be.

        `start_afresh`: a person says that there is no state any more, though the bucket has held one.

        Raises:
            Refused: when the bucket was wiped, or is to be taken for that and holds a state.
            AgentError: when the bucket cannot be read, leased or restored; the gateway must not start then.
        """
        before = self._known_boot()
        if before is not None and self._is_restored_and_held(before):
            return BootOutcome.ALREADY_RESTORED
        self._bucket.require_bucket()
        own_disk = before is not None and before.restored and self._has_state()
        epoch = self._acquire(own_disk=own_disk)
        if start_afresh:
            require_nothing_to_restore(self._session, self._reader)
            return self._first_boot(epoch)
        changed = own_disk and self._changed_by_others()
        reader = self._reader.with_latest_pinned(CHANGED_BY_OTHERS) if changed else self._reader
        self._require_no_external_uploads(reader, own_disk=own_disk)
        reader.report_passed_over()
        if own_disk and not changed:
            self._finish(epoch)
            return BootOutcome.KEPT
        if self._has_state() and reader.has_something():
            self._require_room(reader)
            if own_disk or local_changes(self._session):
                self._quarantine_local_state(bucket_changed=own_disk)
        return self._restore(reader, NEWEST, epoch, own_disk=own_disk)

    def restore_by_hand(self, wanted: Wanted, *, quarantine: bool) -> BootOutcome:
        """Restore what is wanted; the caller has asked whether the state folder may be replaced.

        Raises:
            Refused: when the local state was to be quarantined first, and could not.
            AgentError: when nothing could be restored; the state folder is as it was.
        """
        boot = self._records.boot()
        known = self._known_boot()
        own_disk = known is not None and known.restored and self._has_state()
        # A restore that fails leaves the state folder as it was.
        held = boot is not None and boot.boot_id == self._session.boot_id and self._still_holds(boot)
        epoch = boot.epoch if boot is not None and held else self._acquire(own_disk=own_disk)
        if quarantine:
            try:
                self._quarantine_local_state(bucket_changed=False)
            except AgentError as problem:
                raise Refused(
                    f"Refused to replace {self._settings.state_dir}: it could not be quarantined as a snapshot first. "
                    f"{problem} To replace it all the same, move it away by hand."
                ) from problem
        return self._restore(self._reader, wanted, epoch, own_disk=own_disk)

    def _restore(self, reader: CatalogReader, wanted: Wanted, epoch: int, *, own_disk: bool) -> BootOutcome:
        restored = Restorer(self._session, reader, self._finished).restore_state(wanted)
        self.gaps_error = restored_with_gaps(restored.gaps, restored.manifest.snapshot) if restored else None
        if restored is None:
            require_new_bucket(self._session)
            return self._first_boot(epoch)
        manifests = [restored.manifest, *reader.points().manifests()]
        self._finish(self._epoch_above(manifests, epoch, own_disk=own_disk))
        return BootOutcome.RESTORED

    def _first_boot(self, epoch: int) -> BootOutcome:
        self._initialise_state()
        self._finish(epoch)
        return BootOutcome.FIRST_BOOT

    def _epoch_above(self, manifests: Iterable[Manifest], epoch: int, *, own_disk: bool) -> int:
        """Our epoch, raised above every manifest that another holder wrote with the same or a later one."""
        rivals = [
            row.epoch
            for row in manifests
            if row.epoch > epoch or (row.epoch == epoch and row.snapshot and row.instance_id != self._me)
        ]
        return self._acquire(own_disk=own_disk, least_epoch=max(rivals) + 1) if rivals else epoch

    def _acquire(self, *, own_disk: bool, least_epoch: int = 1) -> int:
        """Acquire the lease and record it; return the epoch. A boot that is tried again keeps the epoch that it has.

        The record names no boot yet: until the restore has finished, a crash or an error must leave a machine on which
        nothing may start and nothing be backed up, and which still knows whether its disk is its own.
        """
        before = self._known_boot()
        if before is not None:
            if before.claimed_in == self._session.boot_id and before.epoch >= least_epoch and self._still_holds(before):
                return before.epoch
            # Also where owner.json is gone: our next epoch must lie above the one we wrote in.
            least_epoch = max(least_epoch, before.epoch + 1)
        lease = acquire(
            self._bucket,
            self._me,
            self.lease_policy.liveness_of,
            wait_limit=self.lease_policy.wait_limit,
            poll=self.lease_policy.poll,
            least_epoch=least_epoch,
        )
        self._session.agent_dir.prepare()
        self._write_boot(NO_BOOT, lease.epoch, restored=own_disk)
        self._session.record.add(epoch=lease.epoch)
        return lease.epoch

    def _finish(self, epoch: int) -> None:
        self._write_boot(self._session.boot_id, epoch, restored=True)

    def _write_boot(self, finished_boot: str, epoch: int, *, restored: bool) -> None:
        self._records.write_boot(
            BootRecord(
                finished_boot, self._me, self._settings.bucket, epoch, restored, claimed_in=self._session.boot_id
            )
        )

    def _known_boot(self) -> BootRecord | None:
        boot = self._records.boot()
        known = boot is not None and boot.instance_id == self._me and boot.bucket == self._settings.bucket
        return boot if known else None

    def _is_restored_and_held(self, boot: BootRecord) -> bool:
        return boot.boot_id == self._session.boot_id and boot.restored and self._still_holds(boot)

    def _still_holds(self, boot: BootRecord) -> bool:
        lease = read_lease(self._bucket)
        return lease is not None and lease.record.is_current(boot.epoch, boot.instance_id) and not lease.record.released

    def _has_state(self) -> bool:
        return holds_files(self._settings.state_dir, self._session.exclusions)

    def _changed_by_others(self) -> bool:
        known = self._records.latest()
        etag = self._bucket.etag(LATEST_MANIFEST_KEY) or ""
        if known is None:
            return bool(etag)
        if known.bucket == self._settings.bucket and etag == known.etag:
            return False
        under_way = self._records.latest_under_way()
        if not under_way:
            return True
        # Ours, where this machine was cut off before it could record that it had written it.
        stored = load_header_or_none(self._bucket, LATEST_MANIFEST_KEY)
        header = stored.manifest if stored else None
        return header is None or (header.instance_id, header.snapshot) != (self._me, under_way)

    def _require_no_external_uploads(self, reader: CatalogReader, *, own_disk: bool) -> None:
        """Refuse when the bucket holds an external upload that a restore would ignore."""
        try:
            points = reader.points()
            points.require_pinned()
            found = require_no_external_uploads(self._bucket, points)
        except AgentError:
            if own_disk:
                self._quarantine_local_state(bucket_changed=True)
            raise
        if found.marked:
            # Known, it costs the idle backups of this machine nothing.
            self._records.remember_marked(self._settings.bucket)
        if strays := found.strays:
            _log.warning(
                "Somebody has put %d objects under latest/ that are no state (%s); they are left out, and stay.",
                len(strays),
                named(strays),
            )
            self._session.record.add(strays=strays[:MOST_NAMED])
            self._records.remember_unrestorable(sorted(self._records.unrestorable().union(strays)))

    def _require_room(self, reader: CatalogReader) -> None:
        """Refuse, before the local state is quarantined, what could not be restored anyhow."""
        disk = disk_of(self._settings.state_dir)
        reader.first(NEWEST, lambda point: require_room_for(self._session, point, disk))

    def _quarantine_local_state(self, *, bucket_changed: bool) -> None:
        """Quarantine what a restore is about to replace as a snapshot, once."""
        known = QuarantineRecord(self._session)
        if known.is_there(self._bucket):
            return
        # In full: of a bucket that others changed nothing is sure enough to be copied.
        options = BackupOptions(quarantine=QUARANTINE_REASON, full=bucket_changed)
        known.remember(Backup(self._session, NothingToFreeze()).run(options).snapshot)

    def _initialise_state(self) -> None:
        # What another bucket, or this one before it was emptied, is known to hold is not in it now.
        self._records.forget_base()
        owner = GATEWAY_UID if os.geteuid() == 0 and self._settings.on_instance else None
        make_first_state(self._settings.state_dir, MINIMAL_CONFIG, owner)
        _log.info("The bucket holds no state: this is a first boot.")
