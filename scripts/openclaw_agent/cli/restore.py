"""`openclaw-s3-restore.py`: bring the state back, look at restore points, check them."""

import argparse
import sys
from dataclasses import asdict

from openclaw_agent.agent_dir.records import AgentDir
from openclaw_agent.backup.run import utc_now
from openclaw_agent.boot.before_start import prepare_start
from openclaw_agent.boot.boot import Boot, BootOutcome, LeasePolicy
from openclaw_agent.boot.manual_restore import require_stopped_gateway, restore_manually
from openclaw_agent.catalog.listing import list_restore_points, list_table
from openclaw_agent.cli.frame import Result, parser_for, run_command
from openclaw_agent.cli.progress import Progress
from openclaw_agent.cli.restore_flags import check_flags
from openclaw_agent.errors import AgentError, UsageError
from openclaw_agent.lease.claim import WAIT_LIMIT_SECONDS, ec2_liveness
from openclaw_agent.restore.diff import Difference, differences
from openclaw_agent.restore.paths import restore_paths, restore_paths_to
from openclaw_agent.restore.restorer import Restorer
from openclaw_agent.restore.verify import verify
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.target import resolve_target
from openclaw_agent.store.bucket import Bucket


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
    made.add_argument(
        "--force",
        action="store_true",
        help="replace a state that holds changes S3 does not have (they are kept as a quarantined snapshot), and take "
        "the bucket from an owner that has not released it",
    )
    made.add_argument(
        "--owner-wait",
        type=float,
        metavar="SECONDS",
        help=f"how long to wait for another owner that is still alive (default: {WAIT_LIMIT_SECONDS:g})",
    )
    made.add_argument("--list", action="store_true", help="list the restore points")
    made.add_argument("--verify", action="store_true", help="download and check everything, change nothing")
    made.add_argument("--diff", metavar="NAME", help="show what restoring NAME (or latest) would change")
    made.add_argument("--boot", action="store_true", help="take ownership, then restore or keep, as at a boot")
    made.add_argument("--before-start", action="store_true", help="check the state just before the gateway starts")
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
    check_flags(options)
    store = Bucket(settings.bucket, settings.region)
    try:
        if options.list:
            rows = list_restore_points(store, utc_now())
            return Result("listed", [asdict(row) for row in rows], list_table(rows))
        if options.before_start:
            with AgentDir(settings.agent_dir).locked(wait=True):
                prepare_start(settings, store, log)
            return Result("ready")
        with Progress(shown=sys.stderr.isatty() and not options.json) as progress:
            restorer = Restorer(settings, store, log, progress.add)
            if options.diff is not None:
                return _diff(options, settings, restorer)
            if options.verify:
                return _verify(options, restorer, log)
            if options.to is not None:
                return _restore_elsewhere(options, settings, restorer, log)
            with AgentDir(settings.agent_dir).locked(wait=True):
                return _restore_in_place(options, settings, store, restorer, log)
    finally:
        log.add(**store.traffic.facts())


def _snapshot(name: str | None) -> str | None:
    return None if name == "latest" else name


def _diff(options: argparse.Namespace, settings: Settings, restorer: Restorer) -> Result:
    manifest = restorer.with_manifest(_snapshot(options.diff)).manifest
    rows = differences(manifest, settings.state_dir, Exclusions(settings.excludes))
    return Result("compared", [asdict(row) for row in rows], _differences_text(rows, manifest.snapshot))


def _differences_text(rows: list[Difference], snapshot: str) -> str:
    lines = [f"{row.action:<7} {row.path!r}" + (f"  ({row.respects})" if row.respects else "") for row in rows]
    total = f"{len(rows)} differences to {snapshot}." if rows else f"No difference to {snapshot}."
    return "\n".join([*lines, total])


def _verify(options: argparse.Namespace, restorer: Restorer, log: RunLog) -> Result:
    verdict = verify(restorer, _snapshot(options.snapshot))
    log.add(**verdict.facts())
    if verdict.broken:
        raise AgentError(verdict.sentence())
    log.say(verdict.sentence())
    return Result("checked")


def _restore_elsewhere(options: argparse.Namespace, settings: Settings, restorer: Restorer, log: RunLog) -> Result:
    target, snapshot = resolve_target(options.to, settings.state_dir), _snapshot(options.snapshot)
    if options.path is not None:
        restore_paths_to(restorer, snapshot, options.path, target)
        log.say(f"Restored {', '.join(options.path)} to {target}.")
        return Result("restored")
    restored = restorer.restore_to(target, snapshot)
    if restored is None:
        raise AgentError(restorer.nothing_there())
    totals = restored.manifest.with_totals()
    log.say(f"Restored {totals.file_count} files, {totals.total_bytes:,} bytes to {target}.")
    return Result("restored")


def _restore_in_place(
    options: argparse.Namespace, settings: Settings, store: Bucket, restorer: Restorer, log: RunLog
) -> Result:
    snapshot, liveness_of = _snapshot(options.snapshot), ec2_liveness(settings.region)
    if options.path is not None:
        require_stopped_gateway(settings)
        kept = restore_paths(settings, restorer, snapshot, options.path)
        beside = f"; what was there is kept in {kept} until the next good backup." if kept else "."
        log.say(f"Restored {', '.join(options.path)}{beside}")
        return Result("restored")
    wait = WAIT_LIMIT_SECONDS if options.owner_wait is None else options.owner_wait
    boot = Boot(settings, store, restorer, log, LeasePolicy(liveness_of, wait))
    if options.boot:
        outcome = boot.run()
        log.say(f"Boot: {outcome.value}.")
        return Result(outcome.value)
    outcome = restore_manually(settings, store, restorer, boot, liveness_of, snapshot, force=options.force)
    return Result(outcome.value if outcome is BootOutcome.FIRST_START else "restored")
