"""The standard streams, which may be closed, full or broken: what a run has to say never changes how it ends."""

import contextlib
import logging
import os
import shlex
import sys
from pathlib import Path


def open_missing_streams() -> None:
    """Give a process that was started without a standard stream (`2>&-`) one that nobody reads."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The next file or socket would take the number, and be written to by whatever writes to that stream.
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for the life of the process


def printable(text: str) -> str:
    """The text without what would move a terminal's cursor, set its title or turn its writing round.

    Names come from the bucket, the state and the gateway. Control characters, escape sequences' first byte, marks of
    direction and what is no character at all are shown as an escape; lines stay lines.
    """
    if text.isprintable():
        return text
    return "".join(one if one == "\n" or one.isprintable() else ascii(one)[1:-1] for one in text)


def on_one_line(text: str) -> str:
    """The same, on one line: a name must not look like a sentence of ours."""
    return printable(text).replace("\n", "\\n")


def print_error(text: str) -> None:
    """Write to stderr; where nobody listens any more, the run goes on."""
    _to_stderr(printable(text) + "\n")


def ask(text: str) -> None:
    """Write a question to stderr, whose answer comes on the same line."""
    _to_stderr(printable(text))


def redraw(text: str) -> None:
    """Write over the line on stderr; the text is our own."""
    _to_stderr("\r" + printable(text))


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(text, end="", file=sys.stderr, flush=True)


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        # A developer's has lines: a traceback.
        print_error(text if record.levelno < logging.INFO else on_one_line(text))


def log_to_stderr(*, verbose: bool) -> None:
    """Let the agent's loggers write sentences to stderr; what serves a developer alone only with `verbose`."""
    logger = logging.getLogger(__package__)
    logger.handlers = [_ToStderr()]
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)


def shell_word(text: str) -> str:
    """The text as one word of a shell's command line, on one line, for a person to copy."""
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(f"\\x{byte:02x}" for byte in os.fsencode(text)) + "'"


def print_result(text: str) -> None:
    """Write a result to stdout. A reader that has left is no news; any other failure is told on stderr."""
    try:
        print(printable(text), flush=True)
    except BrokenPipeError:
        return
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        print_error(f"The result cannot be printed ({reason}); the run itself is not affected.")


def flush_streams() -> None:
    """Write out what is still held back, if it can be."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
