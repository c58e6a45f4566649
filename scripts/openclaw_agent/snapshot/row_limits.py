"""How many rows a manifest's header and last line hold, so that every reader can take them. Pure.

What goes beyond is told by the entries themselves: `damaged`, `stale` and `unverified` stand with each of them.
"""

import json
from collections.abc import Callable, Iterable
from typing import TypeVar

Row = TypeVar("Row")

# A path of 3,840 bytes takes 23 KB where each byte is escaped.
MOST_ROWS = 1_000
MOST_BYTES = 8 * 1024 * 1024
# The whole header is read for each line of a listing.
MOST_HEADER_ROWS = 20
MOST_HEADER_BYTES = 256 * 1024


def first_rows(
    rows: Iterable[Row], text: Callable[[Row], str], *, most: int = MOST_ROWS, most_bytes: int = MOST_BYTES
) -> tuple[Row, ...]:
    """As many of the rows, of which each has this text, as there is room for."""
    kept: list[Row] = []
    size = 0
    for row in rows:
        size += len(json.dumps(text(row)))
        if len(kept) >= most or size > most_bytes:
            break
        kept.append(row)
    return tuple(kept)
