"""The command line: one parser a command, and mistakes as one sentence with the next thing to type."""

import argparse
import os
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NoReturn

from operator_tools import edge
from operator_tools.account.errors import ExitCode
from operator_tools.program.commands import COMMANDS, Command

PROGRAM = "openclaw-lab"
DEFAULT_STACK = "dev"

_EPILOG = (
    "exit status: 0 done, or nothing to do; 1 it failed; 2 the command line is wrong, or nobody said yes; 3 refused by "
    f"a guard; {edge.INTERRUPTED} Ctrl-C. AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and the other variables of the AWS "
    f'SDKs are honoured. Completion in bash and zsh: eval "$(register-python-argcomplete {PROGRAM})"'
)
_INVALID_CHOICE = re.compile(r"argument (\S+): invalid choice: '(.*?)' \(choose from (.*)\)")


class OneSentence(argparse.ArgumentParser):
    """A parser that says what is wrong in one line instead of its usage."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit status 2."""
        if found := _INVALID_CHOICE.fullmatch(message):
            allowed = [word.strip(" '") for word in found[3].split(",")]
            what = "command" if found[1] == "COMMAND" else found[1].lower()
            message = f"{found[2]!r} is no {what}{perhaps(found[2], allowed)}"
        self.exit(ExitCode.USAGE, f"{self.prog}: {message.rstrip('.')}. Next: {self.prog} --help\n")


def perhaps(wrong: str, allowed: Iterable[str]) -> str:
    """Return what may have been meant, as the end of a sentence; empty where nothing is near."""
    near = get_close_matches(wrong, list(allowed), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}" if near else ""


def parse(arguments: Sequence[str], commands: Sequence[Command] = COMMANDS) -> argparse.Namespace:
    """Return what was asked for, with `command` set; flags of the whole program may stand before and after it."""
    made, rows = parsers(arguments, commands)
    options, unknown = made.parse_known_args(list(arguments))
    if options.command is None:
        made.print_help()
        made.exit(ExitCode.USAGE if arguments else ExitCode.DONE)
    if unknown:
        row = rows[options.command]
        flags = [flag for action in row._actions for flag in action.option_strings]
        row.error(f"{options.command} takes no {unknown[0]!r}{perhaps(unknown[0].split('=')[0], flags)}")
    return options


def parsers(
    arguments: Sequence[str], commands: Sequence[Command] = COMMANDS, *, complete: bool = False
) -> tuple[OneSentence, dict[str, OneSentence]]:
    """Return the program's parser and those of its commands, of which those that are named know their own flags."""
    made = OneSentence(
        prog=PROGRAM,
        description="OpenClaw on one spot instance: from nothing to the first conversation, and each thing after it.",
        epilog=_EPILOG,
        formatter_class=_ByGroup,
    )
    _add_shared(made, os.environ.get("STACK") or DEFAULT_STACK, None, given=False)
    adding = made.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=OneSentence)
    rows = {}
    for row in commands:
        rows[row.name] = described = adding.add_parser(
            row.name, help=f"{row.summary}", description=f"{row.summary[0].upper()}{row.summary[1:]}."
        )
        _add_shared(described, argparse.SUPPRESS, argparse.SUPPRESS, given=argparse.SUPPRESS)
        if complete or row.name in arguments:
            row.load().add_arguments(described)
    return made, rows


class _ByGroup(argparse.HelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=18)


def _add_shared(made: argparse.ArgumentParser, stack: str, region: str | None, *, given: bool | str) -> None:
    made.add_argument("--stack", default=stack, help=f"the stack's name (default: {DEFAULT_STACK}, or STACK)")
    made.add_argument(
        "--region", default=region, help="AWS region (default: the stack's, by the Pulumi CLI; else AWS_REGION)"
    )
    made.add_argument("--json", action="store_true", default=given, help="print one JSON document instead of text")
    made.add_argument("--verbose", action="store_true", default=given, help="say what is asked; show tracebacks")
