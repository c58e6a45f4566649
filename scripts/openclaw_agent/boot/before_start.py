"""The last look at the state folder before the gateway starts on it."""

import logging
from dataclasses import replace

from openclaw_agent.agent_dir.records import BootRecord
from openclaw_agent.errors import NotOwner, PreconditionFailed, Refused, StoreError
from openclaw_agent.lease.claim import read_lease
from openclaw_agent.restore.incoming import put_incoming_in_place
from openclaw_agent.restore.plain_copy import settle_plain_copy
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import LEASE_KEY
from openclaw_agent.state_dir.content import holds_files
from openclaw_agent.state_dir.walk import require_state_folder

_log = logging.getLogger(__name__)


def prepare_start(session: Session) -> None:
    """Let the gateway start only on a state that is in order. The lock must be held.

    Raises:
        Refused: when this boot's restore has not finished, or the state is gone though backups exist.
        NotOwner: when another instance holds the lease by now.
        AgentError: when a snapshot that an operator has copied does not agree with its manifest.
    """
    boot = _require_restored(session)
    _require_ownership(session, boot)
    put_incoming_in_place(session)
    _require_state(session)
    settle_plain_copy(session)


def _require_restored(session: Session) -> BootRecord:
    boot = session.records.boot()
    if boot is None or not boot.restored or boot.boot_id != session.boot_id:
        raise Refused(
            "The gateway must not start: this boot's restore has not finished; see "
            "journalctl -u openclaw-s3-restore.service."
        )
    return boot


def _require_ownership(session: Session, boot: BootRecord) -> None:
    """Refuse where another instance holds the lease; acquire it again where a final backup has released it.

    The state is here and in order: an outage of S3 must not keep a restarted gateway down.
    """
    store = session.bucket
    try:
        owner = read_lease(store)
    except StoreError as problem:
        _log.warning("The lease could not be checked: %s", problem)
        return
    if owner is None:
        raise NotOwner(
            f"The gateway must not start: {LEASE_KEY} is gone from the bucket {store.bucket}, so nobody holds "
            "the lease. If no other instance is running, openclaw-s3-restore.py boot acquires it again."
        )
    taken = NotOwner(
        "The gateway must not start: another instance holds the lease now. Stop this instance, or run "
        "openclaw-s3-restore.py boot to take over."
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
        _log.warning("The released lease could not be acquired again yet: %s", problem)
        return
    _log.info("Acquired the released lease again.")


def _require_state(session: Session) -> None:
    state_dir, base = session.settings.state_dir, session.records.base()
    held = base.totals().files if base else 0
    if session.settings.on_instance:
        # It is mounted into the container, where a missing folder would be an error of Docker's.
        require_state_folder(state_dir)
    if held and not holds_files(state_dir, session.exclusions):
        raise Refused(
            f"The gateway must not start: the state folder {state_dir} is empty or missing: no file is in it, "
            f"the last backup held {held} files. Bring them back with openclaw-s3-restore.py run --force, or start "
            "afresh with "
            "openclaw-s3-backup.py --accept-shrink after mkdir."
        )
