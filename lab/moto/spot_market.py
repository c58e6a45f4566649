"""Spot prices of the last month, where moto has one constant from 2006; and burstable types where moto offers none.

The prices are invented: a third of a guessed on-demand price, with a swing that follows from type and zone, so that two
runs agree. They show what the commands do with a history, and nothing about a real market.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

CHANGE_EVERY = timedelta(hours=9)
KEPT = timedelta(days=31)
PRODUCT = "Linux/UNIX"
BURSTABLE = [f"{family}.{size}" for family in ("t4g", "t3") for size in ("nano", "micro", "small", "medium", "large")]
# Dollars an hour of the smallest size; each further one costs twice as much.
SMALLEST = {"t4g": 0.0042, "t3": 0.0052}
SIZES = ("nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")


def open_spot_market() -> None:
    """Let the server offer burstable types in every region, and answer questions for prices with a history."""
    from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
    from moto.ec2.models.spot_requests import SpotRequestBackend
    from moto.ec2.responses.spot_instances import SpotInstances

    _offer_burstable_types(INSTANCE_TYPE_OFFERINGS)
    offered = SpotRequestBackend.describe_spot_price_history

    def describe_spot_price_history(self: Any) -> Any:
        types, filters = self._get_param("InstanceTypes", []), self._filters_from_querystring()
        products = self._get_param("ProductDescriptions", []) or filters.pop("product-description", [PRODUCT])
        zone = self._get_param("AvailabilityZone")
        start, end = _instant(self._get_param("StartTime")), _instant(self._get_param("EndTime"))
        places = offered(self.ec2_backend, types, filters) if PRODUCT in products else []
        rows: list[dict[str, Any]] = [
            {
                "InstanceType": place["InstanceType"],
                "ProductDescription": PRODUCT,
                "SpotPrice": f"{price:.6f}",
                "AvailabilityZone": place["Location"],
                "Timestamp": since,
            }
            for place in places
            if zone in (None, place["Location"])
            for since, price in history(place["InstanceType"], place["Location"], start, end)
        ]
        from moto.core.responses import ActionResult

        return ActionResult({"SpotPriceHistory": sorted(rows, key=lambda row: row["Timestamp"], reverse=True)})

    SpotInstances.describe_spot_price_history = describe_spot_price_history  # type: ignore[method-assign]


def history(
    instance_type: str, zone: str, start: datetime | None = None, end: datetime | None = None
) -> Iterator[tuple[datetime, float]]:
    """Yield every change of a price between two instants, and the one that held at the first; dollars an hour."""
    last = end or datetime.now(UTC)
    first = start or last - KEPT
    number = int(first.timestamp() // CHANGE_EVERY.total_seconds())
    while (since := datetime.fromtimestamp(number * CHANGE_EVERY.total_seconds(), UTC)) <= last:
        yield since, _price(instance_type, zone, number)
        number += 1


def _price(instance_type: str, zone: str, number: int) -> float:
    family, _, size = instance_type.partition(".")
    steps = SIZES.index(size) if size in SIZES else len(SIZES)
    digest = hashlib.sha256(json.dumps([instance_type, zone, number]).encode()).digest()
    level = hashlib.sha256(json.dumps([family, zone]).encode()).digest()
    third: float = SMALLEST.get(family, 0.006) * 2**steps / 3
    return third * (1 + level[0] / 512) * (1 + digest[0] / 2560)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _offer_burstable_types(offerings: dict[str, dict[str, list[dict[str, str]]]]) -> None:
    """Add them where a region has none; a zone without them, of a region that has them, is so at AWS too."""
    for places in offerings.values():
        for rows in places.values():
            there = {row["InstanceType"] for row in rows}
            like = {location: next(row for row in rows if row["Location"] == location) for location in _locations(rows)}
            rows += [{**row, "InstanceType": name} for name in BURSTABLE if name not in there for row in like.values()]


def _locations(rows: list[dict[str, str]]) -> list[str]:
    return sorted({row["Location"] for row in rows})
