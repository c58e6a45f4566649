"""`openclaw-lab prices`."""

import argparse

from operator_tools.prices.command import add_flags, show
from operator_tools.program.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own words."""
    add_flags(parser)


def run(options: argparse.Namespace, _out: Output) -> int:
    """Print the prices."""
    return show(options)
