"""The command line of `openclaw-s3-restore.py`: its sub-commands, and the flags of old, which stay aliases."""

import argparse
import math
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from openclaw_agent.cli.frame import add_shared_flags, parser_for
from openclaw_agent.exit_codes import ExitCode
from openclaw_agent.lease.claim import WAIT_LIMIT_SECONDS

# Each command with its help and the flags it takes.
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "list": ("list the restore points", ()),
    "verify": ("download and check everything, change nothing", ("--snapshot",)),
    "diff": ("show what restoring NAME (or latest) would change", ()),
    "make-whole": ("copy into the folder of the snapshot NAME what it needs of others, inside S3", ()),
    "boot": (
        "acquire the lease, then restore or keep the local state, as at a boot",
        ("--owner-wait", "--start-afresh"),
    ),
    "before-start": ("check the state just before the gateway starts", ()),
    "run": (
        "restore the state folder, parts of it, or into another folder",
        ("--snapshot", "--to", "--path", "--force", "--owner-wait"),
    ),
}
# Commands that take a name and nothing else.
NAME_FLAGS = ("--diff", "--make-whole")
# What makes a command line without a command mean `run`; --owner-wait alone says how, not what.
MEANS_RUN = ("--snapshot", "--to", "--path", "--force")
# A restore of parts, or into another folder, takes no lease and replaces no state.
ONLY_IN_PLACE = ("--force", "--owner-wait")


@cache
def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = parser_for(
        "openclaw-s3-restore.py",
        "Restore the state folder, look at restore points, check them. Without a command nothing is done.",
    )
    made.add_argument("--state-dir", help="the state folder (default: /opt/openclaw/state/.openclaw)")
    for flag, options in _old_flags().items():
        made.add_argument(flag, **{**options, "dest": _old(flag), "help": argparse.SUPPRESS})
    commands = made.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for command, (text, flags) in COMMANDS.items():
        row = commands.add_parser(command, help=text, description=f"{text[0].upper()}{text[1:]}.")
        add_shared_flags(row, default=argparse.SUPPRESS)
        row.add_argument("--state-dir", default=argparse.SUPPRESS, help="the state folder")
        if command == "diff":
            row.add_argument("diff", metavar="NAME", type=_value, help="a snapshot's name, or latest")
        if command == "make-whole":
            row.add_argument("make_whole", metavar="NAME", type=_value, help="a snapshot's name")
        for flag in flags:
            row.add_argument(flag, **_flags()[flag])
    return made


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, with `command` set, also where an old flag names it; exits where there is nothing to do.

    A command line that says nothing to do fails: what once restored by it must not take the help for a restore.
    """
    made = parser()
    options, unknown = made.parse_known_args(arguments)
    old = {flag: getattr(options, _old(flag)) for flag in _old_flags() if hasattr(options, _old(flag))}
    if options.command is None:
        _translate(made, options, old, unknown)
    elif old:
        made.error(f"{next(iter(old))} is not allowed before {options.command}: a command's flags come after its name.")
    takes = COMMANDS[options.command][1]
    given = [flag for flag in _flags() if hasattr(options, _dest(flag))]
    wrong = [*(flag for flag in given if flag not in takes), *unknown]
    if wrong:
        made.error(f"{options.command} takes no {wrong[0]}; it takes {' and '.join(takes) or 'no flag of its own'}.")
    elsewhere = next((flag for flag in ("--to", "--path") if flag in given), None)
    if elsewhere and (wrong := [flag for flag in given if flag in ONLY_IN_PLACE]):
        made.error(f"{elsewhere} and {wrong[0]} do not go together; {elsewhere} goes with --snapshot, --to and --path.")
    for flag in (*_flags(), *NAME_FLAGS):
        setattr(options, _dest(flag), getattr(options, _dest(flag), None))
    return options


def _translate(
    made: argparse.ArgumentParser, options: argparse.Namespace, old: dict[str, Any], unknown: list[str]
) -> None:
    """Set the command that the old flags mean, with its flags."""
    commands = [flag.removeprefix("--") for flag in old if flag.removeprefix("--") in COMMANDS]
    if len(commands) > 1:
        made.error(f"--{commands[0]} and --{commands[1]} do not go together: give one command.")
    if not commands and any(flag in old for flag in MEANS_RUN):
        commands = ["run"]
    if not commands:
        if unknown:
            made.error(f"unrecognized arguments: {' '.join(unknown)}")
        made.print_help(sys.stderr)
        made.exit(ExitCode.USAGE, "\nNothing was done: give a command.\n")
    options.command = commands[0]
    for flag, value in old.items():
        if flag in _flags() or flag in NAME_FLAGS:
            setattr(options, _dest(flag), value)


def _old_flags() -> dict[str, dict[str, Any]]:
    """What the command line took before it had commands."""
    switch = {"action": "store_true", "default": argparse.SUPPRESS}
    commands = {f"--{command}": switch for command in COMMANDS if command != "run" and f"--{command}" not in NAME_FLAGS}
    named = {flag: {"metavar": "NAME", "type": _value, "default": argparse.SUPPRESS} for flag in NAME_FLAGS}
    return {**commands, **named, **_flags()}


def _old(flag: str) -> str:
    return f"old_{_dest(flag)}"


def _flags() -> dict[str, dict[str, Any]]:
    """The flags of the commands; absent where they are not given."""
    rows: dict[str, dict[str, Any]] = {
        "--snapshot": {"metavar": "NAME", "type": _value, "help": "the snapshot to take, as list shows it, or latest"},
        "--to": {"metavar": "DIR", "type": _value, "help": "restore into this new or empty folder instead"},
        "--path": {
            "metavar": "PATH",
            "type": _value,
            "action": "append",
            "help": "restore only this file or folder (repeatable)",
        },
        "--force": {
            "action": "store_true",
            "help": "replace a state that holds changes S3 does not have (they are quarantined first), and take the "
            "lease from a holder that has not released it",
        },
        "--start-afresh": {
            "action": "store_true",
            "help": "start on an empty state though the bucket has held one: what was in it is meant to be gone",
        },
        "--owner-wait": {
            "metavar": "SECONDS",
            "type": _seconds,
            "help": f"how long to wait for another holder that is still alive (default: {WAIT_LIMIT_SECONDS:g})",
        },
    }
    return {flag: {**options, "default": argparse.SUPPRESS} for flag, options in rows.items()}


def _dest(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _value(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("'' is not allowed: give a value, or leave the flag out.")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise argparse.ArgumentTypeError(f"{text} is not allowed: it must be 0 or more seconds, and finite.")
    return seconds
