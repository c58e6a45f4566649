"""`openclaw-s3-restore.py`: bring the state back, look at restore points, check them."""

import argparse
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from openclaw_agent.actions.backup import utc_now
from openclaw_agent.actions.before_start import prepare_start
from openclaw_agent.actions.boot import Boot, BootOutcome, TakeOver
from openclaw_agent.actions.restore import Restored, Restorer
from openclaw_agent.actions.restore_list import list_restore_points, list_table
from openclaw_agent.actions.restore_paths import restore_paths
from openclaw_agent.actions.restore_views import differences
from openclaw_agent.actions.watch import GATEWAY_UNIT
from openclaw_agent.commands.frame import Result, parser_for, run_command
from openclaw_agent.commands.progress import Progress
from openclaw_agent.errors import AgentError, Refused, UsageError
from openclaw_agent.exclusions import Exclusions
from openclaw_agent.local_memory import LocalMemory
from openclaw_agent.object_store import ObjectStore
from openclaw_agent.owner_record_store import WAIT_LIMIT_SECONDS, ec2_liveness
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = parser_for(
        "openclaw-s3-restore.py",
        "Restore the state folder from the newest restore point, or from the one that is named.",
    )
    made.add_argument("--state-dir", help="the state folder (default: /opt/openclaw/.openclaw)")
    made.add_argument("--snapshot", metavar="NAME", help="the snapshot to take, as --list shows it")
    made.add_argument("--to", metavar="DIR", help="build the state in this new or empty folder instead")
    made.add_argument("--path", action="append", metavar="PATH", help="restore only this file or folder (repeatable)")
    made.add_argument("--force", action="store_true", help="replace a state that holds changes S3 does not have")
    made.add_argument(
        "--owner-wait",
        type=float,
        default=WAIT_LIMIT_SECONDS,
        metavar="SECONDS",
        help="how long to wait for another owner that is still alive (default: %(default)g)",
    )
    instead = made.add_mutually_exclusive_group()
    instead.add_argument("--list", action="store_true", help="list the restore points")
    instead.add_argument("--verify", action="store_true", help="download and check everything, change nothing")
    instead.add_argument("--diff", metavar="NAME", help="show what restoring NAME (or latest) would change")
    instead.add_argument("--boot", action="store_true", help="take ownership, then restore or keep, as at a boot")
    instead.add_argument("--before-start", action="store_true", help="check the state just before the gateway starts")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(
        parser(),
        "restore",
        _action,
        arguments=arguments,
        metrics=lambda _result, error: ["RestoreFailed"] if error and not isinstance(error, UsageError) else [],
    )


def _action(options: argparse.Namespace, settings: Settings, log: RunLog) -> Result:
    if options.owner_wait < 0:
        raise UsageError(f"--owner-wait {options.owner_wait:g} is not allowed: it must be 0 or more seconds.")
    store = ObjectStore(settings.bucket, settings.region)
    try:
        if options.list:
            rows = list_restore_points(store, utc_now())
            if not options.json:
                print(list_table(rows))
            return Result("listed", [asdict(row) for row in rows])
        if options.before_start:
            with LocalMemory(settings.agent_dir).locked(wait=True):
                prepare_start(settings, store, log)
            return Result("ready")
        with Progress(log, shown=sys.stderr.isatty() and not options.json) as progress:
            restorer = Restorer(settings, store, log, progress.add)
            return _act_on_restore_points(options, settings, store, restorer, log)
    finally:
        log.add_traffic(store.traffic)


def _act_on_restore_points(
    options: argparse.Namespace, settings: Settings, store: ObjectStore, restorer: Restorer, log: RunLog
) -> Result:
    snapshot = None if options.snapshot == "latest" else options.snapshot
    if options.diff:
        return _diff(options, settings, restorer)
    if options.verify:
        return _told(restorer.verify(snapshot), log, "Checked")
    if options.path:
        with LocalMemory(settings.agent_dir).locked(wait=True):
            _require_stopped_gateway(settings)
            kept = restore_paths(settings, restorer, snapshot, options.path, Path(options.to) if options.to else None)
        log.say(f"Restored {', '.join(options.path)}" + (f"; what was there is kept in {kept}." if kept else "."))
        return Result("restored")
    if options.to:
        return _told(restorer.restore_to(Path(options.to).absolute(), snapshot), log, "Restored")
    with LocalMemory(settings.agent_dir).locked(wait=True):
        boot = Boot(settings, store, restorer, log, TakeOver(ec2_liveness(settings.region), options.owner_wait))
        if options.boot:
            outcome = boot.run()
            log.say(f"Boot: {outcome.value}.")
            return Result(outcome.value)
        return _restore_by_hand(options, settings, store, restorer, boot, snapshot)


def _restore_by_hand(
    options: argparse.Namespace,
    settings: Settings,
    store: ObjectStore,
    restorer: Restorer,
    boot: Boot,
    snapshot: str | None,
) -> Result:
    _require_stopped_gateway(settings)
    changes = [] if options.force else restorer.local_changes()
    if changes:
        raise Refused(
            f"Refused to replace {settings.state_dir}: {len(changes)} files there are newer than S3 ({changes[0]!r} "
            "among them). Run openclaw-s3-backup.py first, or pass --force (the present state is kept beside it)."
        )
    store.require_bucket()
    outcome = boot.restore_by_hand(snapshot)
    return Result(outcome.value if outcome is BootOutcome.FIRST_START else "restored")


def _require_stopped_gateway(settings: Settings) -> None:
    if not settings.on_instance:
        return
    active = subprocess.run(("systemctl", "is-active", "--quiet", GATEWAY_UNIT), check=False)  # noqa: S603, S607
    if active.returncode == 0:
        raise Refused(f"The gateway is running on this state; stop it first: systemctl stop {GATEWAY_UNIT}")


def _told(restored: Restored | None, log: RunLog, verb: str) -> Result:
    if restored is None:
        raise AgentError("The bucket is empty: there is nothing to restore.")
    log.say(f"{verb} {restored.files} files, {restored.bytes:,} bytes.")
    return Result(verb.lower())


def _diff(options: argparse.Namespace, settings: Settings, restorer: Restorer) -> Result:
    name = None if options.diff == "latest" else options.diff
    _choice, manifest, _keys = restorer.manifest_of(name)
    rows = differences(manifest, settings.state_dir, Exclusions(settings.excludes))
    if not options.json:
        for row in rows:
            print(f"{row.action:<7} {row.path!r}" + (f"  ({row.respects})" if row.respects else ""))
        print(f"{len(rows)} differences to {manifest.snapshot}." if rows else f"No difference to {manifest.snapshot}.")
    return Result("compared", [asdict(row) for row in rows])
