"""A series of numbers as one short line of bars."""

from collections.abc import Sequence
from decimal import Decimal

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=+*#@"


def sparkline(values: Sequence[Decimal | None], bars: str = BARS) -> str:
    """Return a bar for each value, scaled from the lowest to the highest; all in the middle where they are equal.

    An unknown value (None) is a space.
    """
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low, spread = min(known), max(known) - min(known)
    return "".join(" " if value is None else bars[_height(value - low, spread, len(bars))] for value in values)


def bars_for(encoding: str | None) -> str:
    """Return the bars that an output's encoding can show; plain ASCII where it cannot show blocks."""
    try:
        BARS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII_BARS
    return BARS


def _height(above_low: Decimal, spread: Decimal, levels: int) -> int:
    if spread == 0:
        return (levels - 1) // 2
    return round(above_low / spread * (levels - 1))
