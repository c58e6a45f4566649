"""`openclaw-lab snapshots`."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from openclaw_agent.history.pages import NEWEST, calendar_lines, snapshot_table, summary
from openclaw_agent.history.survey import survey
from operator_tools.account.errors import AccountError, ExitCode
from operator_tools.program.output import Output
from operator_tools.snapshots.calendar_page import calendar_page
from operator_tools.stack.stack import Stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own flags."""
    parser.add_argument("--all", action="store_true", help="a line for each, also of older days")
    parser.add_argument("--calendar", action="store_true", help="show five weeks as a calendar of UTC days")
    parser.add_argument("--html", metavar="FILE", help="write calendar and list as one HTML page, also for a phone")


def run(options: argparse.Namespace, out: Output) -> int:
    """Look, and print."""
    stack = Stack.of(options)
    now = datetime.now(UTC)
    with out.waiting(f"Looking at the snapshots of {stack.name}"):
        rows = survey(stack.store, now)
    out.document({"stack": stack.name, "bucket": stack.store.bucket, "snapshots": [row.document(now) for row in rows]})
    if options.html:
        _write(Path(options.html), calendar_page(stack.name, rows, now))
        out.say(f"Wrote {options.html}.")
        return ExitCode.DONE
    if options.calendar:
        out.say(*calendar_lines(rows, now))
    elif rows:
        out.table(snapshot_table(rows, now, most=len(rows) if options.all else NEWEST))
    out.say(summary(rows, now))
    if any(row.restorable for row in rows):
        out.next(stack.words("restore --at '2 hours ago'") + "  (or a name from the first column)")
    else:
        out.next(stack.words("backup-now"))
    return ExitCode.DONE


def _write(target: Path, text: str) -> None:
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AccountError(f"{target} cannot be written: {error.strerror}.") from error
