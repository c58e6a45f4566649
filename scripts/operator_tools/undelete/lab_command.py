"""`openclaw-lab undelete`."""

import argparse

from operator_tools.program.output import Output
from operator_tools.undelete.command import add_flags, undelete


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own flags."""
    add_flags(parser)


def run(options: argparse.Namespace, _out: Output) -> int:
    """Bring the backups back."""
    return undelete(options)
