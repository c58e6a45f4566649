"""The last look at the state folder before the gateway starts on it."""

import os
from dataclasses import replace
from pathlib import Path

from openclaw_agent.agent_dir.records import AgentDir, BootRecord
from openclaw_agent.errors import LocalStorageError, NotOwner, PreconditionFailed, Refused, StoreError
from openclaw_agent.host.identity import boot_id
from openclaw_agent.lease.claim import read_lease
from openclaw_agent.restore.nested_sync import repair_nested_sync
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot.keys import LEASE_KEY
from openclaw_agent.state_dir.content import holds_files
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.openclaw import AUTH_KEY_FOLDER, GATEWAY_UID
from openclaw_agent.store.bucket import Bucket

# docker-compose.yaml mounts it at ~/.config/openclaw: the key that opens stored auth profiles is part of the state.


def prepare_start(settings: Settings, store: Bucket, log: RunLog) -> None:
    """Let the gateway start only on a state that is in order. The lock must be held.

    Raises:
        Refused: when this boot's restore has not finished, or the state is gone though backups exist.
        NotOwner: when another instance owns the bucket by now.
        AgentError: when a snapshot that was synced into the state folder does not agree with its manifest.
    """
    memory = AgentDir(settings.agent_dir)
    boot = _require_restored(memory)
    _require_ownership(store, boot, log)
    repair_nested_sync(settings, memory, log)
    _require_state(settings, memory)
    if settings.on_instance:
        _provide_auth_key_folder(settings.state_dir)


def _require_restored(memory: AgentDir) -> BootRecord:
    boot = memory.boot()
    if boot is None or not boot.restored or boot.boot_id != boot_id():
        raise Refused(
            "The gateway must not start: this boot's restore has not finished; see "
            "journalctl -u openclaw-s3-restore.service."
        )
    return boot


def _require_ownership(store: Bucket, boot: BootRecord, log: RunLog) -> None:
    """Refuse a bucket that is not ours any more; take it back where a final backup has let go of it.

    The state is here and in order: an outage of S3 must not keep a restarted gateway down.
    """
    try:
        owner = read_lease(store)
    except StoreError as problem:
        log.say(f"Ownership could not be checked: {problem}")
        return
    if owner is None:
        raise NotOwner(
            f"The gateway must not start: {LEASE_KEY} is gone from the bucket {store.bucket}, so nobody owns it. "
            "If no other instance is running, openclaw-s3-restore.py --boot takes it again."
        )
    taken = NotOwner(
        "The gateway must not start: another instance owns the bucket now. Stop this instance, or run "
        "openclaw-s3-restore.py --boot to take over."
    )
    if not owner.record.is_current(boot.epoch, boot.instance_id):
        raise taken
    if not owner.record.released:
        return
    try:
        store.put(LEASE_KEY, replace(owner.record, released=False).encode(), if_match=owner.etag)
    except PreconditionFailed as lost:
        raise taken from lost
    except StoreError as problem:
        log.say(f"The released bucket could not be taken back yet: {problem}")
        return
    log.say("Took the released bucket back.")


def _require_state(settings: Settings, memory: AgentDir) -> None:
    base = memory.base()
    held = base.with_totals().file_count if base else 0
    if held and not holds_files(settings.state_dir, Exclusions(settings.excludes)):
        raise Refused(
            f"The gateway must not start: the state folder {settings.state_dir} is empty or missing: no file is in it, "
            f"the last backup held {held} files. Bring them back with openclaw-s3-restore.py, or start afresh with "
            "openclaw-s3-backup.py --accept-shrink after mkdir."
        )


def _provide_auth_key_folder(state_dir: Path) -> None:
    folder = state_dir
    for part in AUTH_KEY_FOLDER.split("/"):
        folder /= part
        try:
            folder.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(folder, GATEWAY_UID, GATEWAY_UID)
        except FileExistsError:
            # What is mounted into the container must not be of the container's choosing.
            if folder.is_symlink() or not folder.is_dir():
                raise Refused(
                    f"The gateway must not start: {folder} is no folder, and it is mounted into the gateway's "
                    "container; move it away."
                ) from None
        except OSError as problem:
            raise LocalStorageError(f"The folder {folder} cannot be made ({problem.strerror}).") from problem
