"""The output of demo and drills: a live display on a terminal, plain lines when piped, the same words in both."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


class CheckFailed(Exception):
    """A check failed."""


@dataclass(slots=True)
class Terminal:
    """Prints sections, steps and checks, each with the seconds since the start."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    began: float = field(default_factory=time.monotonic)
    checks: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    _status: object | None = None

    @contextmanager
    def section(self, title: str) -> Iterator[None]:
        """One part of the run; on a terminal a spinner shows what is being waited for."""
        self._line(f"[bold]{escape(title)}[/bold]")
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(escape(title)) as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None

    def step(self, text: str) -> None:
        """Say what happens now."""
        self._line(f"  {escape(text)}")
        if self._status is not None:
            self._status.update(escape(text))  # type: ignore[attr-defined]

    def check(self, sentence: str, holds: bool, otherwise: str = "") -> None:
        """Note a check that holds, or end the run.

        Raises:
            CheckFailed: when it does not hold.
        """
        if not holds:
            raise CheckFailed(f"Not so: {sentence}" + (f" ({otherwise})" if otherwise else ""))
        self.checks.append(sentence)
        self._line(f"  [green]ok[/green] {escape(sentence)}")

    def skip(self, feature: str, reason: str) -> None:
        """Note a feature that cannot run here."""
        self.skipped.append(f"{feature}: {reason}")
        self._line(f"  [yellow]skipped[/yellow] {escape(feature)}: {escape(reason)}")

    def closing(self, where_to_look: list[str]) -> None:
        """Sum up what was checked, what was skipped, and where to look."""
        self.console.print()
        self.console.print("[bold]What was checked[/bold]")
        for sentence in self.checks:
            self.console.print(f"  - {escape(sentence)}", soft_wrap=True)
        for row in self.skipped:
            self.console.print(f"  - [yellow]skipped[/yellow] {escape(row)}", soft_wrap=True)
        self.console.print("[bold]Where to look[/bold]")
        for row in where_to_look:
            self.console.print(f"  - {escape(row)}", soft_wrap=True)
        self.console.print(f"Done in {time.monotonic() - self.began:.0f} s.")

    def _line(self, text: str) -> None:
        self.console.print(f"[dim]{time.monotonic() - self.began:6.1f} s[/dim] {text}", soft_wrap=True)
