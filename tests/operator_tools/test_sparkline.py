from decimal import Decimal

import pytest

from operator_tools.prices.sparkline import ASCII_BARS, BARS, bars_for, sparkline


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
        ([8, 1, 8], "█▁█"),
        ([3, 3, 3], "▄▄▄"),
        ([None, 1, None, 2], " ▁ █"),
        ([None, None], "  "),
        ([], ""),
    ],
    ids=["every height", "up and down", "flat", "gaps", "nothing known", "empty"],
)
def test_bars_are_scaled_from_the_lowest_to_the_highest(values: list[int | None], line: str) -> None:
    assert sparkline([None if value is None else Decimal(value) for value in values]) == line


@pytest.mark.parametrize(
    ("encoding", "bars"),
    [("utf-8", BARS), ("ascii", ASCII_BARS), ("latin-1", ASCII_BARS), (None, ASCII_BARS), ("nonsense", ASCII_BARS)],
)
def test_an_output_without_blocks_gets_plain_bars(encoding: str | None, bars: str) -> None:
    assert bars_for(encoding) == bars
    assert len(BARS) == len(ASCII_BARS)
