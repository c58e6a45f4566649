"""A restore that a person asks for: the same as a boot's, but nothing is taken or replaced without being told to."""

import subprocess
from collections.abc import Callable

from openclaw_agent.boot.boot import Boot, BootOutcome
from openclaw_agent.boot.local_changes import local_changes
from openclaw_agent.errors import Refused
from openclaw_agent.host.identity import instance_id
from openclaw_agent.host.spot_watch import GATEWAY_UNIT
from openclaw_agent.lease.claim import read_lease
from openclaw_agent.lease.record import Liveness
from openclaw_agent.restore.restorer import Restorer
from openclaw_agent.settings import Settings
from openclaw_agent.store.bucket import Bucket


def restore_manually(
    settings: Settings,
    store: Bucket,
    restorer: Restorer,
    boot: Boot,
    liveness_of: Callable[[str], Liveness],
    snapshot: str | None,
    *,
    force: bool,
) -> BootOutcome:
    """Replace the state folder by a restore point. The lock must be held.

    Raises:
        UsageError, AgentError: when there is no such restore point; nothing was claimed or replaced.
        Refused: when the gateway runs; and unless `force`, when another instance owns the bucket, or the state folder
            holds what S3 does not. With `force` such a state is kept as a quarantined snapshot first.
    """
    require_stopped_gateway(settings)
    store.require_bucket()
    # Before the restore point is opened: of 100,000 files the two together would take 60 MiB more.
    changes = local_changes(settings)
    found = restorer.first_usable(snapshot)
    if not force:
        _require_no_other_owner(store, instance_id(settings), liveness_of)
    if changes and not force:
        raise Refused(
            f"Refused to replace {settings.state_dir}: {len(changes)} paths there are newer than S3 ({changes[0]!r} "
            "among them). Run openclaw-s3-backup.py first, or pass --force (the present state is then kept as a "
            "quarantined snapshot)."
        )
    return boot.restore_by_hand(snapshot, keep_aside=bool(changes) and found is not None)


def require_stopped_gateway(settings: Settings) -> None:
    """Refuse to change a state that a gateway has open.

    Raises:
        Refused: saying how to stop it.
    """
    if not settings.on_instance:
        return
    active = subprocess.run(("systemctl", "is-active", "--quiet", GATEWAY_UNIT), check=False)  # noqa: S603, S607
    if active.returncode == 0:
        raise Refused(f"The gateway is running on this state; stop it first: systemctl stop {GATEWAY_UNIT}")


def _require_no_other_owner(store: Bucket, me: str, liveness_of: Callable[[str], Liveness]) -> None:
    owner = read_lease(store)
    if owner is None or owner.record.released or owner.record.instance_id == me:
        return
    holder = owner.record.instance_id
    # An instance that is gone will never release what it owned.
    if liveness_of(holder) is not Liveness.GONE:
        raise Refused(
            f"Refused: {holder} owns the bucket {store.bucket} and has not released it; a restore here would stop its "
            "gateway and its backups. Pass --force to take the bucket; --to, --verify, --diff and --list need not own "
            "it."
        )
