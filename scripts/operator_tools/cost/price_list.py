"""The one dated file of list prices."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PRICES_FILE = Path(__file__).with_name("prices.json")


@dataclass(frozen=True, slots=True)
class PriceList:
    """List prices in US dollars by name; `on_demand` by instance type, an hour; `free_*` is what costs nothing."""

    as_of: str
    region: str
    usd: Mapping[str, float]
    on_demand: Mapping[str, float]
    free_metrics: int
    free_alarms: int


def read_prices(path: Path = PRICES_FILE) -> PriceList:
    """Read the file."""
    written = json.loads(path.read_text(encoding="utf-8"))
    return PriceList(
        as_of=written["as_of"],
        region=written["region"],
        usd={name: row["usd"] for name, row in written["prices"].items()},
        on_demand=written["on_demand_hour"]["usd"],
        free_metrics=written["free"]["metrics"],
        free_alarms=written["free"]["alarms"],
    )
