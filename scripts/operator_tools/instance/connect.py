"""`openclaw-lab connect`."""

import argparse

from operator_tools.instance.session import find_plugin, open_session
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing."""


def run(options: argparse.Namespace, out: Output) -> int:
    """Open a shell on the instance."""
    stack = Stack.of(options)
    find_plugin()
    instance = stack.instance()
    out.say(f"A shell on {instance}; sudo openclaw-lab status says how it stands, exit ends it.")
    return open_session(stack, instance)
