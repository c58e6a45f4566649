"""`openclaw-lab restore`: look, ask here; carry out there."""

import argparse
from datetime import UTC, datetime
from typing import Any

from openclaw_agent.catalog.completeness import Completeness
from openclaw_agent.exit_codes import ExitCode as AgentCode
from openclaw_agent.history.moments import FORMS, Taken, choose, in_words
from openclaw_agent.history.survey import survey
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.bucket import Bucket
from operator_tools.account.errors import ExitCode
from operator_tools.instance.backup_now import backup_sentence
from operator_tools.instance.there import EndedThere, ask_instance
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack

SECONDS = 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own flags."""
    parser.add_argument("--at", metavar="WHEN", required=True, help=f"which snapshot: {FORMS}")
    parser.add_argument(
        "--path", action="append", default=[], metavar="PATH", help="only this file or folder (repeatable)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would change since the last backup")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace, out: Output) -> int:
    """Choose, keep the present state, show, ask, restore."""
    stack = Stack.of(options)
    now = datetime.now(UTC)
    instance = stack.instance()
    taken = chosen(stack.store, options.at, now)
    out.say(f"{taken.name} ({in_words(taken.name, now)}{_beside(taken, now)}).")
    words = ["restore", "--at", taken.name, *(word for path in options.path for word in ("--path", path))]
    if options.dry_run:
        plan = ask_instance(stack, instance, [*words, "--dry-run"])
        out.document(plan)
        _show(out, plan)
        out.next(stack.words(f"restore --at {taken.name}"))
        return ExitCode.DONE
    if not options.yes:
        # So that what is shown is what would change now, and nothing that was written since is lost.
        _keep(stack, instance, out)
        _show(out, ask_instance(stack, instance, [*words, "--dry-run"]))
    out.require_yes("Restore it? [y/N]", given=options.yes)
    with out.waiting(f"Restoring {taken.name} on {instance}"):
        done = ask_instance(stack, instance, [*words, "--yes"], seconds=SECONDS)
    out.document(done)
    if options.yes:
        _show(out, done)
    out.say(
        f"Restored {done['snapshot']}. What was there is kept as {done['kept_as']}. The gateway was ready after "
        f"{done['ready_seconds']} s. {backup_sentence(done['backup'])}"
    )
    out.undo(stack.words(str(done["undo"]).removeprefix("openclaw-lab ")))
    return ExitCode.DONE


def chosen(store: Bucket, text: str, now: datetime) -> Taken:
    """Return the snapshot that a text means; a quarantined one is taken where its whole name is given."""
    rows = survey(store, now)
    named = parse_snapshot_name(text.strip()) is not None
    names = [row.name for row in rows if row.restorable or (named and row.completeness is Completeness.QUARANTINED)]
    return choose(text, names, now)


def _beside(taken: Taken, now: datetime) -> str:
    older = f"; the older one beside it: {taken.older}, {in_words(taken.older, now)}" if taken.older else ""
    newer = f"; the newer one: {taken.newer}, {in_words(taken.newer, now)}" if taken.newer else ""
    return f"{older}{newer}"


def _keep(stack: Stack, instance: str, out: Output) -> None:
    try:
        with out.waiting(f"Keeping the present state of {instance}"):
            out.say(backup_sentence(ask_instance(stack, instance, ["backup-now"], seconds=SECONDS)))
    except EndedThere as ended:
        # The restore keeps a state that a backup refused as a snapshot of its own.
        if int(ended.exit_code) not in (AgentCode.REFUSED, AgentCode.GAPS):
            raise
        out.say(f"The backup before it: {ended}")


def _show(out: Output, plan: dict[str, Any]) -> None:
    head = f"Restoring it, against {plan['compared_with']}:"
    out.marked([head, *plan["lines"]])
