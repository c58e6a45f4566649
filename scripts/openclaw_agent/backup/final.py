"""What surrounds a backup: the lock, the release of the lease after a last one, the stop of a fenced gateway."""

import logging
import signal

from openclaw_agent.agent_dir.folder import AgentDir
from openclaw_agent.backup.outcome import BackupResult, is_kept
from openclaw_agent.backup.run import Backup, BackupOptions
from openclaw_agent.errors import AgentError, LocalStorageError, NotOwner, Refused
from openclaw_agent.host.freezer import Freezer, UnitFreezer, thaw
from openclaw_agent.host.units import GATEWAY_UNIT, request_stop
from openclaw_agent.lease.claim import release
from openclaw_agent.session import Session
from openclaw_agent.settings import Settings

_log = logging.getLogger(__name__)


def back_up(session: Session, freezer: Freezer, options: BackupOptions, *, final: bool) -> BackupResult:
    """Back up under the lock; after a final backup release the lease, so that a replacement need not wait.

    Raises:
        AgentError: as `Backup.run`; the lease is released also where all there is has been kept nevertheless.
    """
    with session.locked(wait=final):
        try:
            result = Backup(session, freezer).run(options)
        except AgentError as problem:
            if final and is_kept(problem):
                _release(session)
            raise
        if final:
            _release(session)
        return result


def stop_fenced_gateway(settings: Settings, error: AgentError | None) -> None:
    """Stop the gateway of an instance that has lost the lease: two of them on one chat token fight each other."""
    if isinstance(error, NotOwner) and settings.on_instance and settings.freezer != "none":
        _log.warning("Stopping %s.", GATEWAY_UNIT)
        # The backup's unit is part of the gateway's, so the stop asks this process to end too: it does, by itself, and
        # with the exit code that says why.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        request_stop(GATEWAY_UNIT)


def thaw_after_crash(agent_dir: AgentDir, freezer: Freezer) -> bool:
    """Thaw a gateway that a run left frozen; False where a run is under way, which thaws it itself."""
    try:
        # A thaw in the midst of another run would tear what it captures.
        with agent_dir.locked(wait=False):
            _find_and_thaw(freezer)
    except Refused:
        return False
    except LocalStorageError:
        # Without a lock nothing captures either.
        _find_and_thaw(freezer)
    return True


def _find_and_thaw(freezer: Freezer) -> None:
    # A unit is thawed by its name, whatever is known of it; which containers there are must be asked.
    gateway = freezer.gateway if isinstance(freezer, UnitFreezer) else freezer.running_gateway()
    if gateway is not None:
        thaw(gateway)


def _release(session: Session) -> None:
    boot = session.records.boot()
    if boot is not None:
        released = release(session.bucket, boot.epoch, session.instance_id())
        session.record.add(released=released)
        _log.info("Released the lease." if released else "Another instance holds the lease already.")
