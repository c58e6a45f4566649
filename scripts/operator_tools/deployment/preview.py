"""`openclaw-lab preview`."""

import argparse

from operator_tools.account.errors import ExitCode
from operator_tools.deployment.stacks import run_stacks
from operator_tools.program.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing."""


def run(options: argparse.Namespace, out: Output) -> int:
    """Show what `up` would change."""
    code = run_stacks("preview", options.stack, yes=False)
    if code == ExitCode.DONE:
        out.next(f"openclaw-lab up --stack {options.stack}")
    return code
