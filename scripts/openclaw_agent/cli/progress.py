"""A progress line on a terminal: files and bytes so far, a few times a second."""

import time
from types import TracebackType
from typing import Self

from openclaw_agent.streams import redraw

REDRAW_SECONDS = 0.2
MIB = 1024 * 1024


class Progress:
    """Counts what has been fetched; draws only where somebody looks."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._files = 0
        self._bytes = 0
        self._drawn = 0.0

    def add(self, size: int) -> None:
        """Count one file of `size` bytes."""
        self._files += 1
        self._bytes += size
        now = time.monotonic()
        if self._shown and now - self._drawn >= REDRAW_SECONDS:
            self._drawn = now
            redraw(self._line())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            redraw(f"{self._line()}\n")

    def _line(self) -> str:
        return f"{self._files:,} files, {self._bytes / MIB:,.1f} MiB"
