"""A restore that a person asks for: the same as a boot's, but nothing is taken or replaced without being told to."""

from openclaw_agent.boot.boot import Boot, BootOutcome
from openclaw_agent.boot.local_changes import local_changes
from openclaw_agent.catalog.choice import Wanted
from openclaw_agent.catalog.reader import CatalogReader
from openclaw_agent.errors import Refused
from openclaw_agent.host.units import GATEWAY_UNIT, is_active
from openclaw_agent.lease.claim import read_lease
from openclaw_agent.lease.record import Liveness
from openclaw_agent.session import Session
from openclaw_agent.settings import Settings


def restore_manually(
    session: Session, reader: CatalogReader, boot: Boot, wanted: Wanted, *, force: bool
) -> BootOutcome:
    """Replace the state folder by a restore point. The lock must be held.

    Raises:
        UsageError, AgentError: when there is no such restore point; nothing was claimed or replaced.
        Refused: when the gateway runs; and unless `force`, when another instance holds the lease, or the state folder
            holds what S3 does not. With `force` such a state is quarantined first.
    """
    state_dir = session.settings.state_dir
    require_stopped_gateway(session.settings)
    session.bucket.require_bucket()
    # Before the restore point is opened: of 100,000 files the two together would take 60 MiB more.
    changes = local_changes(session)
    found = reader.first_usable(wanted)
    if not force:
        _require_no_other_holder(session, boot)
    if changes and not force:
        raise Refused(
            f"Refused to replace {state_dir}: {len(changes)} paths there are newer than S3 ({changes[0]!r} among "
            "them). Run openclaw-s3-backup.py first, or pass --force (the current state is then quarantined as a "
            "snapshot)."
        )
    return boot.restore_by_hand(wanted, quarantine=bool(changes) and found is not None)


def require_stopped_gateway(settings: Settings) -> None:
    """Refuse to change a state that a gateway has open.

    Raises:
        Refused: saying how to stop it.
    """
    if not settings.on_instance:
        return
    if is_active(GATEWAY_UNIT):
        raise Refused(f"The gateway is running on this state; stop it first: systemctl stop {GATEWAY_UNIT}")


def _require_no_other_holder(session: Session, boot: Boot) -> None:
    lease = read_lease(session.bucket)
    if lease is None or lease.record.released or lease.record.instance_id == session.instance_id():
        return
    holder = lease.record.instance_id
    # An instance that is gone will never release its lease.
    if boot.lease_policy.liveness_of(holder) is not Liveness.GONE:
        raise Refused(
            f"Refused: instance {holder} holds the lease on {session.bucket.bucket} and has not released it; a restore "
            "here would stop its gateway and its backups. Pass --force to take the lease; list, verify, diff and run "
            "--to need none."
        )
