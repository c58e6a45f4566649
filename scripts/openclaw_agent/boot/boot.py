"""What happens to the state when an instance boots: take ownership, then restore, keep, or start afresh."""

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from openclaw_agent.agent_dir.records import AgentDir, BootRecord
from openclaw_agent.backup.run import Backup, BackupOptions
from openclaw_agent.boot.local_changes import local_changes
from openclaw_agent.boot.quarantine import QuarantineRecord
from openclaw_agent.catalog.restore_points import require_no_external_uploads
from openclaw_agent.errors import AgentError, LocalStorageError, Refused
from openclaw_agent.host.freezer import NothingToFreeze
from openclaw_agent.host.identity import boot_id, instance_id
from openclaw_agent.lease.claim import POLL_SECONDS, WAIT_LIMIT_SECONDS, acquire, read_lease
from openclaw_agent.lease.record import Liveness
from openclaw_agent.restore.rebuild import require_room
from openclaw_agent.restore.restorer import Restorer
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.state_dir.content import holds_files
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.openclaw import CONFIG_FILE, GATEWAY_UID
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import load_header_or_none

MINIMAL_CONFIG = Path("/opt/openclaw-agent/current/openclaw.minimal.json")
NO_BOOT = ""
ASIDE_REASON = "the local state that a restore was about to replace"


class BootOutcome(StrEnum):
    """How a boot ended for the state folder."""

    ALREADY_DONE = "already restored in this boot"
    KEPT = "the disk of this instance is newer than S3"
    RESTORED = "restored"
    FIRST_START = "first start: the bucket is empty"


@dataclass(frozen=True, slots=True)
class LeasePolicy:
    """How ownership is taken: how to look up an owner, and how long to wait for it, in seconds."""

    liveness_of: Callable[[str], Liveness]
    wait_limit: float = WAIT_LIMIT_SECONDS
    poll: float = POLL_SECONDS


class Boot:
    """One boot. The lock must be held."""

    def __init__(
        self, settings: Settings, store: Bucket, restorer: Restorer, log: RunLog, take_over: LeasePolicy
    ) -> None:
        self._settings = settings
        self._store = store
        self._restorer = restorer
        self._log = log
        self._take_over = take_over
        self._memory = AgentDir(settings.agent_dir)
        self._me = instance_id(settings)

    def run(self) -> BootOutcome:
        """Take ownership and bring the state folder to what it should be.

        Raises:
            AgentError: when the bucket cannot be read, owned or restored; the gateway must not start then.
        """
        before = self._known_boot()
        if before is not None and before.boot_id == boot_id() and before.restored and self._still_owner(before):
            return BootOutcome.ALREADY_DONE
        self._store.require_bucket()
        own_disk = before is not None and before.restored and self._has_state()
        epoch = self._own()
        changed = own_disk and self._changed_by_others()
        self._require_whole_change(own_disk=own_disk, changed=changed)
        if own_disk and not changed:
            self._finish(epoch)
            return BootOutcome.KEPT
        if self._has_state() and self._restorer.has_something():
            self._require_room()
            if own_disk or local_changes(self._settings):
                self._keep_local_state_aside(bucket_changed=own_disk)
        return self._restore(None, epoch)

    def restore_by_hand(self, snapshot: str | None, *, keep_aside: bool) -> BootOutcome:
        """Restore what is named, or the newest; the caller has asked whether the state in place may go.

        Raises:
            Refused: when the local state was to be kept aside first, and could not.
            AgentError: when nothing could be restored; the state in place is as good as it was.
        """
        boot = self._memory.boot()
        # A restore that fails leaves the state in place, which is as good as it was.
        held = boot is not None and boot.boot_id == boot_id() and self._still_owner(boot)
        epoch = boot.epoch if boot is not None and held else self._own()
        if keep_aside:
            try:
                self._keep_local_state_aside(bucket_changed=False)
            except AgentError as problem:
                raise Refused(
                    f"Refused to replace {self._settings.state_dir}: it could not be kept as a snapshot first. "
                    f"{problem} To replace it all the same, move it away by hand."
                ) from problem
        return self._restore(snapshot, epoch)

    def _restore(self, snapshot: str | None, epoch: int) -> BootOutcome:
        restored = self._restorer.restore_state(snapshot)
        if restored is None:
            self._start_afresh()
            self._finish(epoch)
            return BootOutcome.FIRST_START
        self._finish(self._outrank([restored.manifest, *self._restorer.points.manifests()], epoch))
        return BootOutcome.RESTORED

    def _outrank(self, manifests: Iterable[Manifest], epoch: int) -> int:
        """The epoch to back up in: ours, or a new one where manifests of another life would be taken for newer."""
        rivals = [
            row.epoch
            for row in manifests
            if row.epoch > epoch or (row.epoch == epoch and row.snapshot and row.instance_id != self._me)
        ]
        return self._own(least_epoch=max(rivals) + 1) if rivals else epoch

    def _own(self, *, least_epoch: int = 1) -> int:
        """Take ownership and note it; return the epoch. A boot that is tried again keeps the epoch that it has.

        The note names no boot yet: until the restore has finished, a crash or an error must leave a machine on which
        nothing may start and nothing be backed up, and which still knows whether its disk is its own.
        """
        before = self._known_boot()
        own_disk = before is not None and before.restored and self._has_state()
        if before is not None:
            if before.claimed_in == boot_id() and before.epoch >= least_epoch and self._still_owner(before):
                return before.epoch
            # Also where owner.json is gone: what we write must outrank what we wrote.
            least_epoch = max(least_epoch, before.epoch + 1)
        owner = acquire(
            self._store,
            self._me,
            self._take_over.liveness_of,
            self._log.say,
            wait_limit=self._take_over.wait_limit,
            poll=self._take_over.poll,
            least_epoch=least_epoch,
        )
        self._memory.prepare()
        self._write_boot(NO_BOOT, owner.epoch, restored=own_disk)
        self._log.add(epoch=owner.epoch)
        return owner.epoch

    def _finish(self, epoch: int) -> None:
        self._write_boot(boot_id(), epoch, restored=True)

    def _write_boot(self, finished_boot: str, epoch: int, *, restored: bool) -> None:
        record = BootRecord(finished_boot, self._me, self._settings.bucket, epoch, restored, claimed_in=boot_id())
        self._memory.write_boot(record)

    def _known_boot(self) -> BootRecord | None:
        boot = self._memory.boot()
        known = boot is not None and boot.instance_id == self._me and boot.bucket == self._settings.bucket
        return boot if known else None

    def _still_owner(self, boot: BootRecord) -> bool:
        owner = read_lease(self._store)
        return owner is not None and owner.record.is_current(boot.epoch, boot.instance_id) and not owner.record.released

    def _has_state(self) -> bool:
        return holds_files(self._settings.state_dir, Exclusions(self._settings.excludes))

    def _changed_by_others(self) -> bool:
        known = self._memory.latest()
        etag = self._store.etag(LATEST_MANIFEST_KEY) or ""
        if known is None:
            return bool(etag)
        if known.bucket == self._settings.bucket and etag == known.etag:
            return False
        under_way = self._memory.latest_under_way()
        if not under_way:
            return True
        # Ours, where this machine was cut off before it could note down that it had written it.
        stored = load_header_or_none(self._store, LATEST_MANIFEST_KEY)
        header = stored.manifest if stored else None
        return header is None or (header.instance_id, header.snapshot) != (self._me, under_way)

    def _require_whole_change(self, *, own_disk: bool, changed: bool) -> None:
        """Refuse to overlook what somebody put into the bucket, and to fall back behind it."""
        points = self._restorer.points
        if changed and (points.latest or points.latest_problem):
            points.pinned_reason = "somebody changed it since this instance last wrote it"
        try:
            points.require_pinned()
            require_no_external_uploads(self._store, points)
        except AgentError:
            if own_disk:
                self._keep_local_state_aside(bucket_changed=True)
            raise

    def _require_room(self) -> None:
        """Refuse, before the local state is kept aside, what could not be restored anyhow."""
        found = self._restorer.points.found
        entries = found.entries if found else self._restorer.with_manifest(None).manifest.entries
        require_room(self._settings.state_dir.parent, entries)

    def _keep_local_state_aside(self, *, bucket_changed: bool) -> None:
        """Keep what a restore is about to replace as a quarantined snapshot, once."""
        aside = QuarantineRecord(self._settings, self._memory)
        if aside.is_there(self._store):
            return
        # In full: of a bucket that others changed nothing is sure enough to be copied.
        options = BackupOptions(quarantine=ASIDE_REASON, full=bucket_changed)
        Backup(self._settings, self._store, NothingToFreeze(), self._log).run(options)
        aside.remember(str(self._log.facts["snapshot"]))

    def _start_afresh(self) -> None:
        # What another bucket, or this one before it was emptied, is known to hold is not in it now.
        self._memory.forget_base()
        folder = self._settings.state_dir
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            owned = [folder]
            if MINIMAL_CONFIG.exists() and not (folder / CONFIG_FILE).exists():
                shutil.copyfile(MINIMAL_CONFIG, folder / CONFIG_FILE)
                (folder / CONFIG_FILE).chmod(0o600)
                owned.append(folder / CONFIG_FILE)
            if os.geteuid() == 0 and self._settings.on_instance:
                for path in owned:
                    os.chown(path, GATEWAY_UID, GATEWAY_UID)
        except OSError as problem:
            raise LocalStorageError(f"The state folder {folder} cannot be prepared ({problem.strerror}).") from problem
        self._log.say("The bucket is empty: this is a first start.")
