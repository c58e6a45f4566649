"""`openclaw-lab resume`."""

import argparse

from operator_tools.power.command import add_flags, switch
from operator_tools.program.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own flags."""
    add_flags(parser)


def run(options: argparse.Namespace, _out: Output) -> int:
    """Resume the stack."""
    options.verb = "resume"
    return switch(options)
