"""Telling the story: a live display on a terminal, plain lines when piped; the same words in both."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape


class CheckFailed(Exception):
    """Something that the story promises did not hold."""


@dataclass(slots=True)
class Terminal:
    """Prints chapters, steps and proofs, each with the seconds since the start."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    began: float = field(default_factory=time.monotonic)
    proofs: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    _status: object | None = None

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        """One part of the story; on a terminal a spinner shows what is being waited for."""
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

    def prove(self, sentence: str, holds: bool, otherwise: str = "") -> None:
        """Note a proof, or end the story.

        Raises:
            ProofFailed: when it does not hold.
        """
        if not holds:
            raise CheckFailed(f"Not so: {sentence}" + (f" ({otherwise})" if otherwise else ""))
        self.proofs.append(sentence)
        self._line(f"  [green]shown[/green] {escape(sentence)}")

    def skip(self, piece: str, reason: str) -> None:
        """Note a piece that cannot run here."""
        self.skipped.append(f"{piece}: {reason}")
        self._line(f"  [yellow]skipped[/yellow] {escape(piece)}: {escape(reason)}")

    def closing(self, where_to_look: list[str]) -> None:
        """Sum up what was shown, what was skipped, and where to look."""
        self.console.print()
        self.console.print("[bold]What was shown[/bold]")
        for sentence in self.proofs:
            self.console.print(f"  - {escape(sentence)}", soft_wrap=True)
        for row in self.skipped:
            self.console.print(f"  - [yellow]skipped[/yellow] {escape(row)}", soft_wrap=True)
        self.console.print("[bold]Where to look[/bold]")
        for row in where_to_look:
            self.console.print(f"  - {escape(row)}", soft_wrap=True)
        self.console.print(f"Done in {time.monotonic() - self.began:.0f} s.")

    def _line(self, text: str) -> None:
        self.console.print(f"[dim]{time.monotonic() - self.began:6.1f} s[/dim] {text}", soft_wrap=True)
