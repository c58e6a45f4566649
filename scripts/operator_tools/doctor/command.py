"""`openclaw-lab doctor`."""

import argparse

from openclaw_agent.history.tables import Table
from operator_tools.account.errors import ExitCode
from operator_tools.doctor.checks import State, findings
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing."""


def run(options: argparse.Namespace, out: Output) -> int:
    """Look at everything; the exit status is 1 where something is to be done."""
    stack = Stack.of(options)
    with out.waiting("Looking"):
        found = list(findings(stack))
    to_do = [row for row in found if row.state is State.TO_DO]
    out.document({"stack": stack.name, "ok": not to_do, "checks": [row.document() for row in found]})
    out.table(Table(("", "check", "found"), tuple((row.state.value, row.check, row.text) for row in found)))
    for row in found:
        if row.fix:
            out.say(f"{row.state.value}: {row.check}: {row.fix}")
    if to_do:
        out.next(f"the lines above, then {stack.words('doctor')}")
    else:
        out.next(f"{stack.words('cost')}, then {stack.words('up')}")
    return ExitCode.FAILED if to_do else ExitCode.DONE
