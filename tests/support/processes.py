"""The processes that this one has begun and not yet waited for."""

import os
from pathlib import Path


def children() -> set[int]:
    """Their ids: those of servers of the tests, and what was left behind."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name of a program may hold blanks and brackets.
            fields = place.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(place.parent.name))
    return found
