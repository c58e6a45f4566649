"""`openclaw-s3-lifecycle.py`: delete the snapshots that the retention rules no longer keep."""

import argparse
import logging
from datetime import UTC, datetime
from functools import cache

from openclaw_agent.catalog.completeness import snapshot_is_whole, snapshot_of_whole_latest
from openclaw_agent.catalog.snapshots import list_snapshots
from openclaw_agent.cli.frame import Result, parser_for, run_command
from openclaw_agent.errors import UsageError
from openclaw_agent.retention.prune import plan_prune, prune, require_ownership_here
from openclaw_agent.retention.report import retention_document, retention_sentence, retention_table
from openclaw_agent.run_record import RunRecord
from openclaw_agent.session import Clock, Session, open_session, utc_now
from openclaw_agent.settings import Settings
from openclaw_agent.store.manifests import BaseLooks

_log = logging.getLogger(__name__)


@cache
def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = parser_for("openclaw-s3-lifecycle.py", "Delete the snapshots that the retention rules no longer keep.")
    made.add_argument(
        "--dry-run", action="store_true", help="print what would be kept and deleted, and why; delete nothing"
    )
    made.add_argument("--now", metavar="TIME", help="measure ages at this instant (ISO 8601, UTC unless it says else)")
    made.add_argument("--strict-midnight", action="store_true", help="keep literal 00:00 snapshots alone")
    return made


def main(arguments: list[str] | None = None, *, clock: Clock = utc_now) -> int:
    """Run the command and return its exit code."""

    def action(options: argparse.Namespace, settings: Settings, record: RunRecord) -> Result:
        now = _instant(options.now)
        with open_session(settings, record, clock) as session:
            return _prune(options, session, now or session.clock())

    return run_command(parser(), "lifecycle", action, arguments=arguments)


def _prune(options: argparse.Namespace, session: Session, now: datetime) -> Result:
    store, record = session.bucket, session.record
    if not options.dry_run:
        require_ownership_here(session)
    broken: list[str] = []

    def is_whole(name: str) -> bool:
        whole = snapshot_is_whole(store, name)
        broken.extend(() if whole else (name,))
        return whole

    plan = plan_prune(
        list_snapshots(store),
        now,
        strict_midnight=options.strict_midnight,
        latest=snapshot_of_whole_latest(store),
        is_whole=is_whole,
        bases_of=BaseLooks(store).needed,
    )
    record.add(kept=len(plan.kept), removed=len(plan.removed), dry_run=options.dry_run)
    _log.info(retention_sentence(plan, dry_run=options.dry_run))
    if not options.dry_run:
        if broken and session.agent_dir.folder.is_dir():
            record.add(broken=broken)
            session.records.doubt_snapshots(broken)
        pruned = prune(store, plan)
        record.add(deleted_snapshots=pruned.snapshots, deleted_objects=pruned.objects)
    if options.dry_run:
        return Result("planned", retention_document(plan), retention_table(plan))
    return Result("pruned", retention_document(plan))


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as problem:
        raise UsageError(f"--now {text!r} is not allowed: it must be like 2026-02-27T14:00:00Z.") from problem
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
