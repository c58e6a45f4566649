"""The entry of `openclaw-lab` on the operator's machine: parse, run one command, end."""

import argparse
import os
import sys
from collections.abc import Sequence

from operator_tools import edge
from operator_tools.program.arguments import parse, parsers
from operator_tools.program.commands import COMMANDS
from operator_tools.program.output import Output


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; an error is one sentence on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parsers(words, complete=True)[0])
    options = parse(words)
    (command,) = (row for row in COMMANDS if row.name == options.command)
    module = command.load()

    def work(options: argparse.Namespace) -> int:
        return int(module.run(options, Output(as_json=options.json)))

    return edge.run(work, options)
