"""Questions on a terminal, whose answers are checked at once, and asked again where they are not allowed."""

import getpass
import sys
from collections.abc import Callable

from operator_tools.account.errors import AccountError, ExitCode

MOST_TRIES = 5


class NoAnswer(AccountError):
    """Nobody answers, or nothing that is allowed."""

    exit_code = ExitCode.USAGE


def ask(question: str, default: str, check: Callable[[str], object] = str) -> str:
    """Return the answer, or the default for Enter alone.

    `check` raises ValueError, or an error whose text is a sentence, for what is not allowed.

    Raises:
        NoAnswer: the input ended, or five answers were not allowed.
    """
    for _try in range(MOST_TRIES):
        said = _line(f"{question} [{default}]: " if default else f"{question}: ") or default
        try:
            check(said)
        except Exception as problem:  # noqa: BLE001 - a sentence for the one who types
            print(f"  {problem}", file=sys.stderr)
            continue
        return said
    raise NoAnswer(f"{MOST_TRIES} answers to {question!r} were not allowed; nothing was written.")


def ask_hidden(question: str) -> str:
    """Return what is typed, unseen on a terminal; "" for Enter alone."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{question} (hidden, Enter for none): ").strip()
    return _line(f"{question} (Enter for none): ")


def _line(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:
        print(file=sys.stderr)
        raise NoAnswer("The input ended before the last question; nothing was written.")
    if not sys.stdin.isatty():
        print(file=sys.stderr)
    return line.strip()
