"""Deadlines that a busy machine does not miss: what is bounded is the wait for something that hangs."""

import os
import time
from collections.abc import Callable

MOST = 10.0


def scaled(seconds: float, load: Callable[[], float] = lambda: os.getloadavg()[0]) -> float:
    """The time that work of `seconds` on a quiet machine may take under its load, at most tenfold.

    Not for what the deployed system promises: such a bound is compared with the measured time.
    """
    return seconds * min(MOST, max(1.0, load() / (os.cpu_count() or 1)))


class Deadline:
    """The end of a wait, moved by the load that there is while it lasts."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._began = clock()

    def passed(self) -> bool:
        """Whether the time is up."""
        waited = self._clock() - self._began
        return waited >= self._seconds and waited >= scaled(self._seconds)
