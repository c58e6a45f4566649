"""No backup before a restore: the boot in whose name a backup is made, or an unused bucket that is taken first."""

from openclaw_agent.agent_dir.records import AgentDir, BootRecord
from openclaw_agent.errors import Refused
from openclaw_agent.host.identity import boot_id, instance_id
from openclaw_agent.lease.claim import acquire, read_lease
from openclaw_agent.lease.record import Liveness
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot.keys import LEASE_KEY
from openclaw_agent.store.bucket import Bucket


def require_restored_boot(settings: Settings, store: Bucket, log: RunLog) -> BootRecord:
    """The record of this boot's finished restore; on a machine that never backed up, of taking an unused bucket.

    Raises:
        Refused: when this boot has restored nothing from the bucket, or there is nothing to back up yet.
    """
    memory = AgentDir(settings.agent_dir)
    me = instance_id(settings)
    boot = memory.boot()
    mine = boot is not None and boot.bucket == settings.bucket and boot.instance_id == me
    if boot is not None and mine and boot.boot_id == boot_id() and boot.restored:
        return boot
    if memory.base() is None and _is_unused(store, me):
        return _taken(settings, store, memory, me, log)
    raise Refused(
        f"No backup before a restore: since this machine booted, nothing was restored from {settings.bucket}; run "
        "openclaw-s3-restore.py --boot first."
    )


def _is_unused(store: Bucket, me: str) -> bool:
    keys = [row.key for row in store.list("", most=2)]
    if keys == [LEASE_KEY]:
        # This machine's own first backup may have been cut off right after its claim.
        owner = read_lease(store)
        return owner is not None and owner.record.instance_id == me
    return not keys


def _taken(settings: Settings, store: Bucket, memory: AgentDir, me: str, log: RunLog) -> BootRecord:
    if not settings.state_dir.is_dir() or not any(settings.state_dir.iterdir()):
        raise Refused(
            f"The state folder {settings.state_dir} is empty or missing, and so is the bucket: there is nothing to "
            "back up yet."
        )
    owner = acquire(store, me, lambda _id: Liveness.UNKNOWN, log.say)
    record = BootRecord(boot_id(), me, settings.bucket, owner.epoch, restored=True)
    memory.write_boot(record)
    return record
