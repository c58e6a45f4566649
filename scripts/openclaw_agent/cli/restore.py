"""`openclaw-s3-restore.py`: restore the state, look at restore points, check them."""

import argparse
import logging
import sys
from dataclasses import asdict

from openclaw_agent.backup.make_whole import make_whole
from openclaw_agent.boot.before_start import prepare_start
from openclaw_agent.boot.boot import Boot, BootOutcome, LeasePolicy
from openclaw_agent.boot.manual_restore import require_stopped_gateway, restore_manually
from openclaw_agent.catalog.choice import wanted
from openclaw_agent.catalog.listing import list_restore_points
from openclaw_agent.catalog.reader import CatalogReader
from openclaw_agent.cli.frame import Result, run_command
from openclaw_agent.cli.progress import Progress
from openclaw_agent.cli.restore_arguments import parse, parser
from openclaw_agent.cli.restore_output import differences_text, list_table
from openclaw_agent.cli.restore_target import resolve_target
from openclaw_agent.errors import AgentError, DoneWithGaps, UsageError
from openclaw_agent.lease.claim import WAIT_LIMIT_SECONDS
from openclaw_agent.lease.liveness import ec2_liveness
from openclaw_agent.restore.diff import differences
from openclaw_agent.restore.gaps import restored_with_gaps
from openclaw_agent.restore.paths import PathSource, restore_paths, restore_paths_to
from openclaw_agent.restore.restorer import Finished, Restorer
from openclaw_agent.restore.verify import verify
from openclaw_agent.run_record import RunRecord
from openclaw_agent.session import Clock, Session, open_session, utc_now
from openclaw_agent.settings import Settings

_log = logging.getLogger(__name__)

__all__ = ["main", "parser"]


def main(arguments: list[str] | None = None, *, clock: Clock = utc_now) -> int:
    """Run the command and return its exit code."""

    def action(options: argparse.Namespace, settings: Settings, record: RunRecord) -> Result:
        _require_place(options, settings)
        with (
            Progress(shown=sys.stderr.isatty() and not options.json) as progress,
            open_session(settings, record, clock) as session,
        ):
            return _COMMANDS[options.command](options, session, progress.add)

    return run_command(parser(), "restore", action, arguments=arguments, parse=parse, metrics=_metrics)


def _metrics(options: argparse.Namespace, error: AgentError) -> list[str]:
    """What the gateway needs and did not get raises the alarm; what a person looked at and could not see does not."""
    if isinstance(error, DoneWithGaps):
        return ["Gaps"] * error.count
    needed = options.command in ("boot", "before-start") or (options.command == "run" and options.to is None)
    return ["RestoreFailed"] if needed and not isinstance(error, UsageError) else []


def _require_place(options: argparse.Namespace, settings: Settings) -> None:
    in_place = options.command == "run" and options.to is None
    if in_place and not settings.on_instance and not settings.state_dir_is_given:
        raise UsageError(
            f"Not on an instance: pass --to DIR to restore into a new folder, or --state-dir DIR to restore in place "
            f"({settings.state_dir} is replaced only where it is named)."
        )


def _list(_options: argparse.Namespace, session: Session, _finished: Finished) -> Result:
    rows = list_restore_points(session.bucket, session.clock())
    return Result("listed", [asdict(row) for row in rows], list_table(rows))


def _diff(options: argparse.Namespace, session: Session, _finished: Finished) -> Result:
    manifest = CatalogReader(session.bucket, session.record).with_manifest(wanted(options.diff)).manifest
    rows = differences(manifest, session.settings.state_dir, session.exclusions)
    return Result("compared", [asdict(row) for row in rows], differences_text(rows, manifest.snapshot))


def _verify(options: argparse.Namespace, session: Session, finished: Finished) -> Result:
    verdict = verify(CatalogReader(session.bucket, session.record), wanted(options.snapshot), finished)
    session.record.add(**verdict.facts())
    if verdict.broken:
        raise AgentError(verdict.sentence())
    _log.info(verdict.sentence())
    return Result("verified")


def _make_whole(options: argparse.Namespace, session: Session, _finished: Finished) -> Result:
    name = wanted(options.make_whole).name
    if not name:
        raise UsageError("make-whole latest is not allowed: latest/ is always whole; give a snapshot's name.")
    copied = make_whole(session, name)
    if copied:
        _log.info("Snapshot %s is whole: %d files were copied into its folder.", name, copied)
    else:
        _log.info("Snapshot %s is whole already.", name)
    return Result("whole")


def _before_start(_options: argparse.Namespace, session: Session, _finished: Finished) -> Result:
    with session.locked(wait=True):
        prepare_start(session)
    return Result("ready")


def _boot(options: argparse.Namespace, session: Session, finished: Finished) -> Result:
    with session.locked(wait=True):
        reader = CatalogReader(session.bucket, session.record)
        boot = Boot(session, reader, _lease_policy(options, session), finished)
        outcome = boot.run(start_afresh=bool(options.start_afresh))
    _log.info(outcome.sentence())
    _raise_gaps(boot.gaps_error)
    return Result(outcome.value)


def _run(options: argparse.Namespace, session: Session, finished: Finished) -> Result:
    if options.to is not None:
        return _run_elsewhere(options, session, finished)
    asked = wanted(options.snapshot)
    with session.locked(wait=True):
        reader = CatalogReader(session.bucket, session.record)
        if options.path is not None:
            require_stopped_gateway(session.settings)
            kept = restore_paths(session, PathSource(reader, asked, options.path, finished))
            beside = f"; what was there is kept in {kept} until the next good backup." if kept else "."
            _log.info("Restored %s%s", ", ".join(options.path), beside)
            return Result(BootOutcome.RESTORED.value)
        boot = Boot(session, reader, _lease_policy(options, session), finished)
        outcome = restore_manually(session, reader, boot, asked, force=bool(options.force))
        _raise_gaps(boot.gaps_error)
        return Result(outcome.value)


def _raise_gaps(error: DoneWithGaps | None) -> None:
    if error is not None:
        raise error


def _run_elsewhere(options: argparse.Namespace, session: Session, finished: Finished) -> Result:
    asked = wanted(options.snapshot)
    target = resolve_target(options.to, session.settings.state_dir)
    reader = CatalogReader(session.bucket, session.record)
    if options.path is not None:
        restore_paths_to(session, PathSource(reader, asked, options.path, finished), target)
        _log.info("Restored %s to %s.", ", ".join(options.path), target)
        return Result("restored")
    restored = Restorer(session, reader, finished).restore_to(target, asked)
    if restored is None:
        raise AgentError(reader.nothing_there())
    totals = restored.manifest.totals()
    _log.info("Restored %d files, %s bytes to %s.", totals.files, f"{totals.bytes:,}", target)
    _raise_gaps(restored_with_gaps(restored.gaps, restored.manifest.snapshot))
    return Result("restored")


def _lease_policy(options: argparse.Namespace, session: Session) -> LeasePolicy:
    wait = WAIT_LIMIT_SECONDS if options.owner_wait is None else options.owner_wait
    return LeasePolicy(ec2_liveness(session.settings.region), wait)


_COMMANDS = {
    "list": _list,
    "verify": _verify,
    "diff": _diff,
    "make-whole": _make_whole,
    "boot": _boot,
    "before-start": _before_start,
    "run": _run,
}
