"""A week of made-up but realistic spot prices, for the tests of statistics and report."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from operator_tools.prices.offers import InstanceType
from operator_tools.prices.price_series import PriceChange, Window

NOW = datetime(2026, 2, 27, 14, 0, tzinfo=UTC)
WEEK = Window.of_days(7, NOW)
SIZES = {
    "t4g.small": InstanceType("t4g.small", 2, 2048),
    "t4g.medium": InstanceType("t4g.medium", 2, 4096),
    "t4g.nano": InstanceType("t4g.nano", 2, 512),
}


def change(hours_ago: float, price: str, kind: str = "t4g.small", zone: str = "me-central-1a") -> PriceChange:
    return PriceChange(kind, zone, NOW - timedelta(hours=hours_ago), Decimal(price))


def wave(kind: str, zone: str, middle: float, swing: float, phase: float) -> list[PriceChange]:
    """A change every five hours or so, newest first as EC2 answers, the last of them before the window."""
    hours = [1 + 5.25 * step for step in range(33)]
    return [
        change(hour, f"{middle + swing * math.sin(hour / 19 + phase) + swing / 3 * math.cos(hour / 5):.4f}", kind, zone)
        for hour in hours
    ]


def week_of_changes() -> list[PriceChange]:
    return [
        *wave("t4g.small", "me-central-1a", 0.0061, 0.0006, 0.0),
        *wave("t4g.small", "me-central-1b", 0.0058, 0.0002, 2.0),
        *wave("t4g.medium", "me-central-1a", 0.0123, 0.0011, 4.0),
        change(400, "0.0131", "t4g.medium", "me-central-1b"),
        change(30, "0.0119", "t4g.medium", "me-central-1c"),
    ]
