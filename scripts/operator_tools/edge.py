"""The edge of a command on the user's own machine: what its errors, a closed pipe and Ctrl-C become.

The agent's commands have an edge and exit codes of their own (`openclaw_agent.exit_codes`): they run unattended.
"""

import argparse
import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from openclaw_agent.errors import AgentError
from openclaw_agent.streams import printable
from operator_tools.account.errors import AccountError, ExitCode

INTERRUPTED = 130
"""What a shell reports for a command that Ctrl-C ended."""


def run(
    work: Callable[[argparse.Namespace], int], options: argparse.Namespace, *, when_interrupted: str = "Interrupted."
) -> int:
    """Do a command's work and return its exit status; an error is one sentence on standard error.

    `options.verbose` shows what is asked, and an error's traceback. A reader of the output that goes away (head, less)
    changes neither what is done nor the exit status.
    """
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(message)s")
    with contextlib.redirect_stdout(cast(IO[str], _OutputThatMayClose(sys.stdout))):
        try:
            return work(options)
        except Exception as error:
            if not isinstance(error, (AccountError, AgentError, *_refusals())):
                raise
            if options.verbose:
                traceback.print_exc()
            print(printable(str(error)), file=sys.stderr)
            return int(getattr(error, "exit_code", ExitCode.USAGE))
        except KeyboardInterrupt:
            print(when_interrupted, file=sys.stderr)
            return INTERRUPTED


def _refusals() -> tuple[type[Exception], ...]:
    # Looked up, not imported: what did not load the stacks' settings has no refusal of them.
    module = sys.modules.get("openclaw_platform.refusals")
    return () if module is None else (module.ConfigRefused,)


class _OutputThatMayClose:
    """A stream for as long as somebody reads it, and nowhere after that."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or lose the text where nobody reads any more."""
        with self._closing():
            self._stream.write(printable(text))
        return len(text)

    def flush(self) -> None:
        """Hand on what was written."""
        with self._closing():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of a stream, such as its encoding."""
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # Python flushes the stream at its own exit too, and would complain then.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
