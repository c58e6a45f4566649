"""What happens to the state when an instance boots: take ownership, then restore, keep, or start afresh."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from openclaw_agent.actions.backup import Backup, BackupOptions
from openclaw_agent.actions.local_changes import local_changes
from openclaw_agent.actions.restore import Restorer
from openclaw_agent.bucket_layout import LATEST_MANIFEST_KEY
from openclaw_agent.errors import LocalStorageError
from openclaw_agent.freezer import NothingToFreeze
from openclaw_agent.identity import boot_id, instance_id
from openclaw_agent.local_memory import BootRecord, LocalMemory
from openclaw_agent.object_store import ObjectStore
from openclaw_agent.owner_record_store import POLL_SECONDS, WAIT_LIMIT_SECONDS, claim_ownership, read_ownership
from openclaw_agent.ownership import Liveness
from openclaw_agent.restore_points import GATEWAY_UID
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.stored_manifests import read_header

MINIMAL_CONFIG = Path("/opt/openclaw-agent/current/openclaw.minimal.json")
CONFIG_FILE = "openclaw.json"
NO_BOOT = ""


class BootOutcome(StrEnum):
    """How a boot ended for the state folder."""

    ALREADY_DONE = "already restored in this boot"
    KEPT = "the disk of this instance is newer than S3"
    RESTORED = "restored"
    FIRST_START = "first start: the bucket is empty"


@dataclass(frozen=True, slots=True)
class TakeOver:
    """How ownership is taken: how to look up an owner, and how long to wait for it, in seconds."""

    liveness_of: Callable[[str], Liveness]
    wait_limit: float = WAIT_LIMIT_SECONDS
    poll: float = POLL_SECONDS


class Boot:
    """One boot. The lock must be held."""

    def __init__(
        self, settings: Settings, store: ObjectStore, restorer: Restorer, log: RunLog, take_over: TakeOver
    ) -> None:
        self._settings = settings
        self._store = store
        self._restorer = restorer
        self._log = log
        self._take_over = take_over
        self._memory = LocalMemory(settings.agent_dir)
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
        epoch = self.own()
        if own_disk and not self._changed_by_others(epoch):
            self._finish(epoch)
            return BootOutcome.KEPT
        replaces_state = self._has_state() and self._restorer.has_something()
        if replaces_state and (own_disk or local_changes(self._settings)):
            self.keep_local_state_aside()
        outcome = self.restore(None)
        self._finish(epoch)
        return outcome

    def restore(self, snapshot: str | None) -> BootOutcome:
        """Restore, or prepare a first start where the bucket is empty."""
        if self._restorer.restore_state(snapshot) is None:
            self._start_afresh()
            return BootOutcome.FIRST_START
        return BootOutcome.RESTORED

    def own(self) -> int:
        """Take ownership and note it; return the epoch.

        The note names no boot yet: until the restore has finished, a crash or an error must leave a machine on which
        nothing may start and nothing be backed up, and which still knows whether its disk is its own.
        """
        before = self._known_boot()
        own_disk = before is not None and before.restored and self._has_state()
        owner = claim_ownership(
            self._store,
            self._me,
            self._take_over.liveness_of,
            self._log.say,
            wait_limit=self._take_over.wait_limit,
            poll=self._take_over.poll,
        )
        self._memory.prepare()
        self._memory.write_boot(BootRecord(NO_BOOT, self._me, self._settings.bucket, owner.epoch, restored=own_disk))
        self._log.add(epoch=owner.epoch)
        return owner.epoch

    def own_for_manual_restore(self) -> int:
        """The epoch of this boot's ownership, claimed now unless it is held already."""
        boot = self._memory.boot()
        if boot is not None and boot.boot_id == boot_id() and self._still_owner(boot):
            # A restore that fails leaves the state in place, which is as good as it was.
            return boot.epoch
        return self.own()

    def finish_manual_restore(self, epoch: int) -> None:
        """Note that this boot's state folder is in order."""
        self._finish(epoch)

    def _finish(self, epoch: int) -> None:
        self._memory.write_boot(BootRecord(boot_id(), self._me, self._settings.bucket, epoch, restored=True))

    def _known_boot(self) -> BootRecord | None:
        boot = self._memory.boot()
        known = boot is not None and boot.instance_id == self._me and boot.bucket == self._settings.bucket
        return boot if known else None

    def _still_owner(self, boot: BootRecord) -> bool:
        owner = read_ownership(self._store)
        return owner is not None and owner.record.is_current(boot.epoch, boot.instance_id) and not owner.record.released

    def _has_state(self) -> bool:
        folder = self._settings.state_dir
        return folder.is_dir() and any(folder.iterdir())

    def _changed_by_others(self, epoch: int) -> bool:
        known = self._memory.latest()
        etag = self._store.etag(LATEST_MANIFEST_KEY) or ""
        if known is None:
            return bool(etag)
        if known.bucket == self._settings.bucket and etag == known.etag:
            return False
        stored = read_header(self._store, LATEST_MANIFEST_KEY) if self._memory.latest_may_be_torn else None
        # This machine wrote it, and was cut off before it could note that down.
        return not (stored and stored.manifest.instance_id == self._me and stored.manifest.epoch < epoch)

    def keep_local_state_aside(self) -> None:
        """Keep what a restore is about to replace as a quarantined snapshot."""
        reason = "the local state that a restore was about to replace"
        Backup(self._settings, self._store, NothingToFreeze(), self._log).run(BackupOptions(quarantine=reason))

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
