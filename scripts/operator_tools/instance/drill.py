"""`openclaw-lab drill`."""

import argparse

from openclaw_agent.history.tables import counted, size_words
from operator_tools.account.errors import ExitCode
from operator_tools.instance.there import ask_instance
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack

SECONDS = 3600


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: what a lost instance would come back with is what is tried."""


def run(options: argparse.Namespace, out: Output) -> int:
    """Have the instance prove its newest backup."""
    stack = Stack.of(options)
    instance = stack.instance()
    with out.waiting(f"Restoring the newest backup into a scratch folder of {instance}"):
        proven = ask_instance(stack, instance, ["drill"], seconds=SECONDS)
    out.document(proven)
    out.say(
        f"Proven: {proven['snapshot']} was restored, {counted(proven['files'], 'file')}, "
        f"{size_words(proven['bytes'])}, and {counted(proven['databases'], 'database')} opened. Nothing was changed."
    )
    out.next(stack.words("status"))
    return ExitCode.DONE
