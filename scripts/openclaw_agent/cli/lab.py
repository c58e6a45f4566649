"""`openclaw-lab` on the instance: the words of the operator's machine, on the state here."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict

from openclaw_agent.catalog.snapshots import snapshot_names
from openclaw_agent.cli.frame import Result, run_command
from openclaw_agent.cli.lab_arguments import parse, parser
from openclaw_agent.cli.lab_output import backup_text, brought_back_text, plan_document, plan_text, status_text
from openclaw_agent.errors import AgentError, UsageError
from openclaw_agent.history.changes import changes_between
from openclaw_agent.history.moments import choose
from openclaw_agent.history.pages import NEWEST, calendar_lines, change_lines, snapshot_table, summary, version_table
from openclaw_agent.history.survey import survey
from openclaw_agent.history.tables import counted, size_words
from openclaw_agent.history.versions import find_versions
from openclaw_agent.operate.back_up import back_up, require_kept
from openclaw_agent.operate.bring_back import bring_back, keep_present_state, plan_return
from openclaw_agent.operate.drill import drill
from openclaw_agent.operate.machine_status import machine_status
from openclaw_agent.run_record import RunRecord
from openclaw_agent.session import Clock, Session, open_session, utc_now
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot.keys import snapshot_manifest_key
from openclaw_agent.store.manifests import read_manifest
from openclaw_agent.streams import ask

__all__ = ["main", "parser"]


def main(arguments: list[str] | None = None, *, clock: Clock = utc_now) -> int:
    """Run the command and return its exit code."""

    def action(options: argparse.Namespace, settings: Settings, record: RunRecord) -> Result:
        with open_session(settings, record, clock) as session:
            result = _COMMANDS[options.command](options, session)
            record.add(did=options.command)
            return result

    words = sys.argv[1:] if arguments is None else arguments
    # A log of its own, whose last line is what status shows.
    log_name = "drill" if "drill" in words else "lab"
    return run_command(parser(), log_name, action, arguments=arguments, parse=parse, metrics=_metrics)


def _metrics(options: argparse.Namespace, error: AgentError) -> list[str]:
    """A backup that could not be restored in a drill raises the alarm of one that could not be restored."""
    return ["RestoreFailed"] if options.command == "drill" and not isinstance(error, UsageError) else []


def _status(_options: argparse.Namespace, session: Session) -> Result:
    facts = machine_status(session.settings)
    return Result("shown", facts, status_text(facts, session.clock()), logged=False)


def _snapshots(options: argparse.Namespace, session: Session) -> Result:
    now = session.clock()
    rows = survey(session.bucket, now)
    document = {
        "stack": session.settings.stack,
        "bucket": session.bucket.bucket,
        "snapshots": [row.document(now) for row in rows],
    }
    lines = calendar_lines(rows, now) if options.calendar else []
    if rows and not options.calendar:
        lines = [snapshot_table(rows, now, most=len(rows) if options.all else NEWEST).plain()]
    return Result("listed", document, "\n".join([*lines, summary(rows, now)]), logged=False)


def _find(options: argparse.Namespace, session: Session) -> Result:
    versions = find_versions(session.bucket, snapshot_names(session.bucket), options.file)
    if not versions:
        raise AgentError(f"No snapshot holds a file {options.file!r}. Next: openclaw-lab find '*PART*'")
    document = {"file": options.file, "versions": [row.document() for row in versions]}
    return Result("found", document, version_table(versions, session.clock()).plain(), logged=False)


def _diff(options: argparse.Namespace, session: Session) -> Result:
    now, names = session.clock(), snapshot_names(session.bucket)
    first, second = choose(options.before, names, now).name, choose(options.after, names, now).name
    stored = [read_manifest(session.bucket, snapshot_manifest_key(name)) for name in (first, second)]
    if stored[0] is None or stored[1] is None:
        raise AgentError(f"{first if stored[0] is None else second} is not complete: it has no manifest.")
    changes = changes_between(stored[0].manifest, stored[1].manifest)
    document = {"before": first, "after": second, "changes": [row.document() for row in changes]}
    lines = [f"From {first} to {second}:", *change_lines(changes, len(changes))]
    return Result("compared", document, "\n".join(lines), logged=False)


def _backup_now(_options: argparse.Namespace, session: Session) -> Result:
    _require_instance(session.settings)
    facts = back_up(session.settings)
    require_kept(facts)
    return Result("backed up", facts, backup_text(facts))


def _restore(options: argparse.Namespace, session: Session) -> Result:
    _require_instance(session.settings)
    if options.dry_run:
        plan = plan_return(session, options.at, options.path)
        return Result("planned", plan_document(plan), plan_text(plan, session.clock()), logged=False)
    present = None
    if not options.yes:
        if options.json or not sys.stdin.isatty():
            raise UsageError("Nothing was changed: there is no terminal to answer on. Next: the same with --yes")
        present = keep_present_state(session.settings).get("snapshot")
    plan = plan_return(session, options.at, options.path, present)
    if not options.yes and not _agreed(plan_text(plan, session.clock())):
        raise UsageError("Nothing was changed.")
    done = bring_back(session, plan)
    session.record.add(restored=plan.taken.name, kept_as=done.kept_as)
    document = {
        **plan_document(done.plan),
        "kept_as": done.kept_as,
        "ready_seconds": done.ready_seconds,
        "backup": done.backup,
        "undo": done.undo,
    }
    return Result("restored", document, brought_back_text(done))


def _drill(_options: argparse.Namespace, session: Session) -> Result:
    proven = drill(session)
    session.record.add(**asdict(proven))
    return Result(
        "proven",
        asdict(proven),
        f"Proven: {proven.snapshot} was restored into a scratch folder, {counted(proven.files, 'file')}, "
        f"{size_words(proven.bytes)}; {counted(proven.databases, 'database')} opened.",
    )


def _agreed(shown: str) -> bool:
    ask(f"{shown}\nGo on? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _require_instance(settings: Settings) -> None:
    if not settings.on_instance:
        raise UsageError("This command is for the instance, and /etc/openclaw/instance.json is not here.")


_COMMANDS: dict[str, Callable[[argparse.Namespace, Session], Result]] = {
    "status": _status,
    "snapshots": _snapshots,
    "find": _find,
    "diff": _diff,
    "backup-now": _backup_now,
    "restore": _restore,
    "drill": _drill,
}
