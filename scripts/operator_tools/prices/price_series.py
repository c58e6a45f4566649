"""The spot price of one instance type in one zone over a window of time, and its statistics.

EC2's history is a list of changes: a price holds from its timestamp to the next one's, and the last change before the
window is the price at its start (API reference of DescribeSpotPriceHistory). Prices are US dollars an hour.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class PriceChange:
    """An instance type's price in a zone from an instant on, in US dollars an hour."""

    instance_type: str
    zone: str
    at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class Window:
    """The span of time that is looked at."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, days: int, end: datetime) -> "Window":
        """Return the window of so many days that ends at an instant."""
        return cls(end - timedelta(days=days), end)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the window during which one price held."""

    start: datetime
    end: datetime
    price: Decimal


@dataclass(frozen=True, slots=True)
class Statistics:
    """Newest price and since when, and low, time-weighted mean and high of the window, in US dollars an hour."""

    newest: Decimal
    since: datetime
    low: Decimal
    mean: Decimal
    high: Decimal


def series_by_place(changes: Iterable[PriceChange]) -> dict[tuple[str, str], list[PriceChange]]:
    """Return the changes of each (instance type, zone), oldest first and each instant once."""
    places: dict[tuple[str, str], dict[datetime, PriceChange]] = {}
    for change in changes:
        places.setdefault((change.instance_type, change.zone), {})[change.at] = change
    return {place: [by_time[at] for at in sorted(by_time)] for place, by_time in places.items()}


def spans_in(series: Sequence[PriceChange], window: Window) -> list[Span]:
    """Return which price held when within the window, oldest first; empty where the series begins after its end."""
    ends = [change.at for change in series[1:]] + [window.end]
    return [
        Span(max(change.at, window.start), min(end, window.end), change.price)
        for change, end in zip(series, ends, strict=True)
        if change.at < window.end and end > window.start
    ]


def mean_price(spans: Sequence[Span]) -> Decimal:
    """Return the time-weighted mean: what an hour cost on average to an instance that ran all the time.

    The plain mean of the changes would count an hour with ten changes as much as ten quiet days.

    Raises:
        ValueError: there is no span.
    """
    if not spans:
        raise ValueError("the mean of no prices is not defined")
    seconds = [Decimal(str((span.end - span.start).total_seconds())) for span in spans]
    return sum((span.price * weight for span, weight in zip(spans, seconds, strict=True)), Decimal(0)) / sum(seconds)


def statistics_of(series: Sequence[PriceChange], window: Window) -> Statistics | None:
    """Return the window's statistics, or None where no price held in it."""
    spans = spans_in(series, window)
    if not spans:
        return None
    prices = [span.price for span in spans]
    since = series[0].at
    for before, after in pairwise(change for change in series if change.at < window.end):
        if before.price != after.price:
            since = after.at
    return Statistics(newest=prices[-1], since=since, low=min(prices), mean=mean_price(spans), high=max(prices))


def means_of_slices(spans: Sequence[Span], window: Window, slices: int) -> list[Decimal | None]:
    """Return the time-weighted mean of each of so many equal slices of the window, None where no price is known."""
    width = (window.end - window.start) / slices
    means: list[Decimal | None] = []
    for number in range(slices):
        start, end = window.start + number * width, window.start + (number + 1) * width
        parts = [
            Span(max(span.start, start), min(span.end, end), span.price)
            for span in spans
            if span.start < end and span.end > start
        ]
        means.append(mean_price(parts) if parts else None)
    return means
