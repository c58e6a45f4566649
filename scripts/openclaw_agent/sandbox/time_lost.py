"""How much time one run may lose on work that comes to nothing: many hostile files cost as little as a few."""

import time

from openclaw_agent.sandbox.limits import Limits, limits_for

MOST_SECONDS_LOST = 60.0
# Less than this is no try.
LEAST_SECONDS = 0.05


class TimeLost:
    """The time of one run: `most_lost` seconds on what comes to nothing, `most` in all (None for no such limit)."""

    def __init__(self, most_lost: float = MOST_SECONDS_LOST, most: float | None = None) -> None:
        self._left_to_lose = most_lost
        self._deadline = None if most is None else time.monotonic() + most

    def limits(self, size: int) -> Limits | None:
        """The limits of the next work, on `size` bytes; None when there is no time for it."""
        limits = limits_for(size)
        left = self._deadline - time.monotonic() if self._deadline is not None else limits.seconds
        if self._left_to_lose <= 0 or left < LEAST_SECONDS:
            return None
        return limits if left >= limits.seconds else limits.within(left)

    def lose(self, seconds: float) -> None:
        """Work of so many seconds came to nothing."""
        self._left_to_lose -= seconds
