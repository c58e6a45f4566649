"""The command line of `openclaw-lab` on the instance."""

import argparse
from collections.abc import Sequence
from difflib import get_close_matches

from openclaw_agent.cli.frame import add_shared_flags, parser_for
from openclaw_agent.history.moments import FORMS

COMMANDS: dict[str, str] = {
    "status": "show how the instance stands: gateway, backups, timers, disk and memory",
    "snapshots": "list the snapshots: the newest, then a line a day; or as a calendar",
    "find": "show in which versions a file is kept, over all snapshots",
    "diff": "show what differs between two snapshots",
    "backup-now": "back up at once",
    "restore": "bring a snapshot back: keep what is there, stop, restore, start, wait until ready, back up",
    "drill": "restore the newest backup into a scratch folder, open its databases, and remove it",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = parser_for("openclaw-lab", "OpenClaw on this instance. On your own machine the same words reach it.")
    rows = made.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    made_rows = {}
    for command, text in COMMANDS.items():
        made_rows[command] = row = rows.add_parser(command, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add_shared_flags(row, default=argparse.SUPPRESS)
    made_rows["snapshots"].add_argument("--all", action="store_true", help="a line for each, also of older days")
    made_rows["snapshots"].add_argument("--calendar", action="store_true", help="show five weeks as a calendar")
    made_rows["find"].add_argument("file", metavar="FILE", help="a path in the state, a file's name, or a pattern")
    made_rows["diff"].add_argument("before", metavar="A", help=f"which one: {FORMS}")
    made_rows["diff"].add_argument("after", metavar="B", nargs="?", default="latest", help="the same")
    restore = made_rows["restore"]
    restore.add_argument("--at", metavar="WHEN", required=True, help=f"which one: {FORMS}")
    restore.add_argument("--path", action="append", default=[], metavar="PATH", help="only this (repeatable)")
    restore.add_argument("--dry-run", action="store_true", help="only show what would change since the last backup")
    restore.add_argument("--yes", action="store_true", help="do not ask")
    return made


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, with `command` set; exits where there is none, naming the nearest one."""
    made = parser()
    words = list(arguments) if arguments is not None else None
    options = made.parse_args(words)
    if options.command is None:
        made.error(f"give a command: {', '.join(COMMANDS)}")
    return options


def nearest(word: str) -> str:
    """The command that was meant, "" where none is near."""
    return next(iter(get_close_matches(word, COMMANDS, n=1)), "")
