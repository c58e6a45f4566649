"""Going on only when something holds: at once, or within a time."""

import time
from collections.abc import Callable

from lab.host.deadline import Deadline
from lab.world.terminal import CheckFailed


def require(holds: bool, otherwise: str) -> None:
    """Go on only if something holds; `otherwise` says what is the matter if it does not."""
    if not holds:
        raise CheckFailed(otherwise)


def until(
    what: str, check: Callable[[], object], seconds: float = 60, every: float = 0.1, *, promised: bool = False
) -> None:
    """Poll until `check()` is true; a busy machine is given longer, unless the system promises these seconds.

    Raises:
        CheckFailed: when it is not within `seconds`.
    """
    began, deadline = time.monotonic(), Deadline(seconds)
    while not check():
        if deadline.passed() or (promised and time.monotonic() - began >= seconds):
            raise CheckFailed(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(every)
