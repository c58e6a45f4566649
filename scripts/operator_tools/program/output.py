"""What a command prints: sentences and tables for people, or one JSON document; a question; one progress line."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from openclaw_agent.history.tables import Table
from operator_tools.account.errors import AccountError, ExitCode


class NotAgreed(AccountError):
    """Nobody said yes."""

    exit_code = ExitCode.USAGE


class Output:
    """One command's output; with `as_json` only `document` prints, and nothing is asked."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def say(self, *lines: str) -> None:
        """Print sentences."""
        if not self.as_json:
            for line in lines:
                print(line, flush=True)

    def table(self, table: Table) -> None:
        """Print a table; on a terminal with its headings dimmed."""
        if self.as_json:
            return
        if not sys.stdout.isatty():
            self.say(table.plain())
            return
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for heading in table.headings:
            drawn.add_column(heading, justify="right" if heading in table.right else "left", no_wrap=True)
        for row in table.rows:
            drawn.add_row(*map(Text, row))
        Console(highlight=False).print(drawn)

    def marked(self, lines: Iterable[str]) -> None:
        """Print lines of changes, `+ - ~` coloured on a terminal."""
        if self.as_json:
            return
        if not sys.stdout.isatty():
            self.say(*lines)
            return
        from rich.console import Console
        from rich.text import Text

        styles = {"+": "green", "-": "red", "~": "yellow"}
        console = Console(highlight=False)
        for line in lines:
            console.print(Text(line, styles.get(line.lstrip()[:1], "") if line.startswith("  ") else ""))

    def document(self, document: object) -> None:
        """Print the JSON document."""
        if self.as_json:
            print(json.dumps(document, indent=2), flush=True)

    def next(self, command: str) -> None:
        """Say what to type now."""
        self.say(f"Next: {command}")

    def undo(self, command: str) -> None:
        """Say what to type to have it back as it was."""
        self.say(f"Undo: {command}")

    def require_yes(self, question: str, *, given: bool, answer: str = "") -> None:
        """Ask, where `--yes` was not given; only `answer`, or y where there is none, goes on.

        Raises:
            NotAgreed: somebody said something else, or there is no terminal to answer on.
        """
        if given:
            return
        if not sys.stdin.isatty() or self.as_json:
            raise NotAgreed(
                "Nothing was changed: there is no terminal to answer on. Next: the same with --yes (YES=1)."
            )
        print(f"{question} ", end="", file=sys.stderr, flush=True)
        said = sys.stdin.readline().strip()
        if said.lower() not in ({answer.lower()} if answer else {"y", "yes"}):
            raise NotAgreed("Nothing was changed.")

    @contextmanager
    def waiting(self, what: str) -> Iterator[Any]:
        """Show one line with the seconds so far while something runs; yields a function that takes the step's name."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _step: None
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        ) as progress:
            task = progress.add_task(what, total=None)
            yield lambda step: progress.update(task, description=step)


def seconds_words(began: float) -> str:
    """Return how long it has been since a `time.monotonic()`: `12 s` or `2 min 5 s`."""
    seconds = int(time.monotonic() - began)
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60} s"
