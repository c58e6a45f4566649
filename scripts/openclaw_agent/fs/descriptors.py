"""What a forked child must let go of, so that nothing of the agent's lives on in it."""

import itertools
import os
from collections.abc import Iterable
from pathlib import Path

OPEN_DESCRIPTORS = Path("/proc/self/fd")
FIRST_BEYOND_STANDARD = 3


def open_descriptors() -> set[int]:
    """The descriptors that this process has open."""
    # The listing's own descriptor is closed again by now.
    return {number for number in (int(row.name) for row in OPEN_DESCRIPTORS.iterdir()) if _is_open(number)}


def close_inherited(keep: Iterable[int]) -> None:
    """Close everything but the standard streams and `keep`; the agent's lock is free once the agent has gone."""
    kept = sorted(number for number in keep if number >= FIRST_BEYOND_STANDARD)
    bounds = [FIRST_BEYOND_STANDARD - 1, *kept, os.sysconf("SC_OPEN_MAX")]
    for low, high in itertools.pairwise(bounds):
        os.closerange(low + 1, high)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
