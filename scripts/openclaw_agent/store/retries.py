"""How often something that may pass is tried, and how long the pauses between the tries are."""

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

_Answer = TypeVar("_Answer")


def _always(_problem: Exception) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` tries, `first_pause` seconds after the first one, each further pause `growth` times as long.

    `passing` says which errors are worth another try; any other is raised at once, and so is the last try's.
    """

    attempts: int
    first_pause: float
    growth: float = 1.0
    passing: Callable[[Exception], bool] = _always

    def pauses(self) -> Iterator[float]:
        """The seconds to wait before each further try."""
        for number in range(self.attempts - 1):
            yield self.first_pause * self.growth**number

    def call(self, attempt: Callable[[], _Answer], sleep: Callable[[float], object] = time.sleep) -> _Answer:
        """The answer of the first try that succeeds."""
        for pause in self.pauses():
            try:
                return attempt()
            except Exception as problem:
                if not self.passing(problem):
                    raise
            sleep(pause)
        return attempt()

    async def call_async(
        self, attempt: Callable[[], Awaitable[_Answer]], sleep: Callable[[float], Awaitable[object]]
    ) -> _Answer:
        """The same for a coroutine."""
        for pause in self.pauses():
            try:
                return await attempt()
            except Exception as problem:
                if not self.passing(problem):
                    raise
            await sleep(pause)
        return await attempt()


def request_policy(attempts: int, passing: Callable[[Exception], bool]) -> RetryPolicy:
    """For requests to S3 that neither of the two clients tries again by itself."""
    return RetryPolicy(attempts, first_pause=0.2, growth=2.0, passing=passing)
