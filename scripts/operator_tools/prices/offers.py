"""What one instance type costs in one zone: the rows of the report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from openclaw_ec2_spot.placement import is_zone_of
from operator_tools.prices.price_series import (
    PriceChange,
    Span,
    Statistics,
    Window,
    series_by_place,
    spans_in,
    statistics_of,
)

HOURS_A_MONTH = 730
"""An average month, as AWS's own calculator counts it."""


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type's size; memory in MiB."""

    name: str
    vcpus: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Offer:
    """An instance type in a zone with its prices in the window."""

    instance_type: InstanceType
    zone: str
    prices: Statistics
    spans: tuple[Span, ...]

    @property
    def price_a_month(self) -> Decimal:
        """US dollars for `HOURS_A_MONTH` at the newest price."""
        return self.prices.newest * HOURS_A_MONTH


@dataclass(frozen=True, slots=True)
class PriceReport:
    """The answer: offers from the cheapest to the dearest, and the types for which the region has no spot price.

    Left out are zones where the stack cannot be deployed, and so many price changes that named no zone, time or price.
    """

    region: str
    days: int
    window: Window
    offers: tuple[Offer, ...]
    without_price: tuple[str, ...]
    zones_left_out: tuple[str, ...] = ()
    incomplete_changes: int = 0


def compile_report(
    region: str, days: int, window: Window, instance_types: Mapping[str, InstanceType], changes: Iterable[PriceChange]
) -> PriceReport:
    """Sort a price history into a report; changes of types that were not asked for are left out.

    So are Local and Wavelength Zones, which EC2 lists among the region's: the cheapest is to be deployed.
    """
    offers: list[Offer] = []
    left_out: set[str] = set()
    for (name, zone), series in series_by_place(changes).items():
        if not is_zone_of(zone, region):
            left_out.add(zone)
            continue
        statistics = statistics_of(series, window)
        if statistics is not None and name in instance_types:
            offers.append(Offer(instance_types[name], zone, statistics, tuple(spans_in(series, window))))
    offers.sort(key=lambda offer: (offer.prices.newest, offer.instance_type.name, offer.zone))
    priced = {offer.instance_type.name for offer in offers}
    without_price = tuple(name for name in instance_types if name not in priced)
    return PriceReport(region, days, window, tuple(offers), without_price, tuple(sorted(left_out)))
