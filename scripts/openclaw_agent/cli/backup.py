"""`openclaw-s3-backup.py`: back the state folder up."""

import argparse
import signal
import subprocess

from openclaw_agent.agent_dir.records import AgentDir
from openclaw_agent.backup.run import Backup, BackupOptions
from openclaw_agent.cli.frame import Result, parser_for, run_command
from openclaw_agent.errors import AgentError, DatabaseDamaged, LocalStorageError, NotOwner, Refused
from openclaw_agent.host.freezer import Freezer, GatewayUnknown, UnitFreezer, freezer_for, thaw
from openclaw_agent.host.identity import instance_id
from openclaw_agent.host.spot_watch import GATEWAY_UNIT
from openclaw_agent.lease.claim import release
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.store.bucket import Bucket


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = parser_for("openclaw-s3-backup.py", "Back the state folder up into a snapshot and into latest/.")
    made.add_argument("--state-dir", help="the state folder (default: /opt/openclaw/.openclaw)")
    made.add_argument("--full", action="store_true", help="read every file again instead of trusting size and times")
    made.add_argument("--accept-shrink", action="store_true", help="back up a state that has lost most of its files")
    made.add_argument(
        "--overwrite-latest", action="store_true", help="replace a latest/ that somebody else has changed"
    )
    made.add_argument("--final", action="store_true", help="back up, then release the bucket to the next instance")
    made.add_argument("--thaw", action="store_true", help="only thaw the gateway, in case it was left frozen")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(
        parser(), "backup", _action, arguments=arguments, metrics=_metrics, last_act=_stop_fenced_gateway
    )


def _action(options: argparse.Namespace, settings: Settings, log: RunLog) -> Result:
    freezer = freezer_for(settings.freezer)
    memory = AgentDir(settings.agent_dir)
    if options.thaw:
        return _thaw(memory, freezer)
    store = Bucket(settings.bucket, settings.region)
    try:
        with memory.locked(wait=options.final):
            backup = Backup(settings, store, freezer, log)
            try:
                word = backup.run(
                    BackupOptions(
                        full=options.full,
                        accept_shrink=options.accept_shrink,
                        overwrite_latest=options.overwrite_latest,
                    )
                )
            except (Refused, DatabaseDamaged):
                # What there is has been kept; a replacement need not wait for an instance that is about to end.
                _release(options, settings, memory, store, log)
                raise
            _release(options, settings, memory, store, log)
            return Result(word)
    finally:
        log.add(**store.traffic.facts())


def _thaw(memory: AgentDir, freezer: Freezer) -> Result:
    try:
        # Another run's freeze is its own to end: a thaw in its midst would tear what it captures.
        with memory.locked(wait=False):
            _ask_and_thaw(freezer)
    except Refused:
        return Result("left to the run that is under way", logged=False)
    except LocalStorageError:
        # Without a lock nothing captures either.
        _ask_and_thaw(freezer)
    return Result("thawed", logged=False)


def _ask_and_thaw(freezer: Freezer) -> None:
    try:
        # Asked first, because a freezer of containers learns by it which they are.
        freezer.is_running()
    except GatewayUnknown:
        # A unit is thawed by its name, whatever is known of it.
        if not isinstance(freezer, UnitFreezer):
            raise
    thaw(freezer)


def _release(options: argparse.Namespace, settings: Settings, memory: AgentDir, store: Bucket, log: RunLog) -> None:
    boot = memory.boot()
    if options.final and boot is not None:
        released = release(store, boot.epoch, instance_id(settings))
        log.add(released=released)
        log.say("Released the bucket." if released else "The bucket belongs to another instance already.")


def _stop_fenced_gateway(settings: Settings, log: RunLog, error: AgentError | None) -> None:
    # Two gateways on one chat token fight each other; the new owner's is the one that must live.
    if isinstance(error, NotOwner) and settings.on_instance and settings.freezer != "none":
        log.say(f"Stopping {GATEWAY_UNIT}.")
        # The backup's unit is part of the gateway's, so the stop asks this process to end too: it does, by itself, and
        # with the exit code that says why.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.run(("systemctl", "stop", "--no-block", GATEWAY_UNIT), check=False)  # noqa: S603, S607


def _metrics(result: Result | None, error: AgentError | None) -> list[str]:
    if error is None:
        return ["BackupSucceeded"] if result and result.word in ("done", "unchanged") else []
    if isinstance(error, DatabaseDamaged):
        return ["BackupFailed", "DatabaseDamaged"]
    return ["BackupRefused"] if isinstance(error, Refused | NotOwner) else ["BackupFailed"]
