"""What a backup requires: the boot whose restore has finished, or an unused bucket whose lease is acquired first."""

from pathlib import Path

from openclaw_agent.agent_dir.records import BootRecord
from openclaw_agent.errors import Refused
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.lease.claim import acquire, read_lease
from openclaw_agent.lease.record import Liveness
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import LEASE_KEY
from openclaw_agent.store.bucket import Bucket


def require_restored_boot(session: Session) -> BootRecord:
    """The record of this boot's finished restore; on a machine that never backed up, of taking an unused bucket.

    Raises:
        Refused: when this boot has restored nothing from the bucket, or there is nothing to back up yet.
    """
    bucket, me, boot = session.settings.bucket, session.instance_id(), session.records.boot()
    mine = boot is not None and boot.bucket == bucket and boot.instance_id == me
    if boot is not None and mine and boot.boot_id == session.boot_id and boot.restored:
        return boot
    if session.records.base() is None and _is_unused(session.bucket, me):
        return _acquired(session, me)
    raise Refused(
        f"Backup refused: this boot has not completed a restore from {bucket} yet; run openclaw-s3-restore.py boot "
        "first."
    )


def _is_unused(store: Bucket, me: str) -> bool:
    keys = [row.key for row in store.list("", most=2)]
    if keys == [LEASE_KEY]:
        # This machine's own first backup may have been cut off right after its claim.
        owner = read_lease(store)
        return owner is not None and owner.record.instance_id == me
    return not keys


def _acquired(session: Session, me: str) -> BootRecord:
    state_dir = session.settings.state_dir
    if not _holds_something(state_dir):
        raise Refused(
            f"The state folder {state_dir} is empty or missing, and so is the bucket: there is nothing to back up yet."
        )
    lease = acquire(session.bucket, me, lambda _id: Liveness.UNKNOWN)
    record = BootRecord(session.boot_id, me, session.settings.bucket, lease.epoch, restored=True)
    session.records.write_boot(record)
    return record


def _holds_something(state_dir: Path) -> bool:
    try:
        with ConfinedDir(state_dir) as top:
            return bool(top.names())
    except (FileNotFoundError, NotADirectoryError):
        return False
