"""A price report for people (a table that fits the terminal, in plain text) and for programs (a JSON document)."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from operator_tools.prices.offers import HOURS_A_MONTH, Offer, PriceReport
from operator_tools.prices.price_series import means_of_slices
from operator_tools.prices.sparkline import BARS, sparkline

PRODUCT = "Linux/UNIX"
TREND_WIDTHS = range(8, 29)
JSON_TREND_SLICES = 28
DECIMALS = 4
DECIMALS_OF_SMALL_PRICES = 6
SMALL_PRICE = Decimal("0.001")

_LEFT_ALIGNED = 2


def price_table(report: PriceReport, *, width: int = 80, bars: str = BARS) -> str:
    """Return the offers as a table, cheapest first, with a trend as wide as the terminal's width in columns allows.

    The table is about 80 columns wide at the least; longer names of types and zones make it wider.
    """
    days = f"{report.days}D"
    smallest = min((offer.prices.low for offer in report.offers), default=SMALL_PRICE)
    decimals = DECIMALS if smallest >= SMALL_PRICE else DECIMALS_OF_SMALL_PRICES
    headings = ("TYPE", "ZONE", "VCPU", "GIB", "$/H", "$/MONTH", f"{days} LOW", "MEAN", "HIGH")
    lines = [headings, *(_cells(offer, decimals) for offer in report.offers)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    gaps = len(headings)
    gap = 2 if sum(widths) + 2 * gaps + TREND_WIDTHS[0] <= width else 1
    trend_width = max(TREND_WIDTHS[0], min(TREND_WIDTHS[-1], width - sum(widths) - gap * gaps))
    trends = ["TREND", *(_trend(report, offer, trend_width, bars) for offer in report.offers)]
    rows = [
        (" " * gap).join([*_aligned(cells, widths), trend]).rstrip() for cells, trend in zip(lines, trends, strict=True)
    ]
    return "\n".join([_title(report), "", *rows, "", *_notes(report)])


def without_price_sentence(report: PriceReport) -> str:
    """Return the sentence that names the types without a spot price in the window; empty where there is none."""
    if not report.without_price:
        return ""
    days = "day" if report.days == 1 else f"{report.days} days"
    return f"{report.region} has no {PRODUCT} spot price of the last {days} for {', '.join(report.without_price)}."


def left_out_sentences(report: PriceReport) -> list[str]:
    """Return what is to be said of zones and of price changes that were left out."""
    sentences = []
    if report.zones_left_out:
        sentences.append(
            f"Left out: {', '.join(report.zones_left_out)}; ec2_spot takes availability zones of {report.region} "
            "itself, no Local or Wavelength Zones."
        )
    if report.incomplete_changes:
        noun = "price change that names" if report.incomplete_changes == 1 else "price changes that name"
        sentences.append(f"Left out: {report.incomplete_changes} {noun} no zone, time, price or type.")
    return sentences


def price_document(report: PriceReport) -> dict[str, object]:
    """Return the report for `json.dumps`: prices in US dollars, memory in MiB, times in ISO 8601.

    `trend` holds the mean price of each of `JSON_TREND_SLICES` equal slices of the window, null where none is known.
    """
    return {
        "region": report.region,
        "product": PRODUCT,
        "days": report.days,
        "from": _iso(report.window.start),
        "to": _iso(report.window.end),
        "hours_a_month": HOURS_A_MONTH,
        "offers": [_offer_document(report, offer) for offer in report.offers],
        "without_price": list(report.without_price),
        "zones_left_out": list(report.zones_left_out),
        "incomplete_changes": report.incomplete_changes,
    }


def _cells(offer: Offer, decimals: int) -> tuple[str, ...]:
    kind, prices = offer.instance_type, offer.prices
    return (
        kind.name,
        offer.zone,
        str(kind.vcpus),
        f"{kind.memory_mib / 1024:g}",
        f"{prices.newest:.{decimals}f}",
        f"{offer.price_a_month:.2f}",
        f"{prices.low:.{decimals}f}",
        f"{prices.mean:.{decimals}f}",
        f"{prices.high:.{decimals}f}",
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        f"{cell:<{width}}" if column < _LEFT_ALIGNED else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]


def _trend(report: PriceReport, offer: Offer, width: int, bars: str) -> str:
    return sparkline(means_of_slices(offer.spans, report.window, width), bars)


def _title(report: PriceReport) -> str:
    start, end = (f"{instant:%Y-%m-%d %H:%M}" for instant in (report.window.start, report.window.end))
    return f"Spot prices in {report.region}, {PRODUCT}, US dollars, {start} to {end} UTC"


def _notes(report: PriceReport) -> list[str]:
    notes = [f"A month is {HOURS_A_MONTH} h at the newest price; the mean weighs each price by how long it held."]
    if report.offers:
        cheapest = report.offers[0]
        notes.append(f"Cheapest: pulumi config set instance_type {cheapest.instance_type.name}")
        notes.append(f"          pulumi config set availability_zone {cheapest.zone}")
    return notes


def _number(price: Decimal) -> float:
    return float(round(price, DECIMALS_OF_SMALL_PRICES))


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")


def _offer_document(report: PriceReport, offer: Offer) -> dict[str, object]:
    kind, prices = offer.instance_type, offer.prices
    means = means_of_slices(offer.spans, report.window, JSON_TREND_SLICES)
    return {
        "instance_type": kind.name,
        "availability_zone": offer.zone,
        "vcpus": kind.vcpus,
        "memory_mib": kind.memory_mib,
        "price_an_hour": float(prices.newest),
        "price_a_month": _number(offer.price_a_month),
        "since": _iso(prices.since),
        "low": float(prices.low),
        "mean": _number(prices.mean),
        "high": float(prices.high),
        "trend": [None if mean is None else _number(mean) for mean in means],
    }
