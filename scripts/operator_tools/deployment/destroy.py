"""`openclaw-lab destroy`."""

import argparse

from operator_tools.account.errors import ExitCode
from operator_tools.deployment.stacks import run_stacks
from operator_tools.program.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own flags."""
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(options: argparse.Namespace, out: Output) -> int:
    """Destroy both halves, but never a bucket that holds data."""
    code = run_stacks("destroy", options.stack, yes=options.yes)
    if code == ExitCode.DONE:
        out.next(f"openclaw-lab up --stack {options.stack}, which goes on with the backups that stay")
    return code
