import json
from pathlib import Path

import pytest

from operator_tools.prices.offers import PriceReport, compile_report
from operator_tools.prices.price_report import price_document, price_table, without_price_sentence
from operator_tools.prices.sparkline import ASCII_BARS
from tests.operator_tools.price_histories import SIZES, WEEK, change, week_of_changes

GOLDEN = Path(__file__).parent / "golden"


def week() -> PriceReport:
    return compile_report("me-central-1", 7, WEEK, SIZES, week_of_changes())


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_looks_like(width: int) -> None:
    expected = (GOLDEN / f"a-week-in-{width}-columns.txt").read_text(encoding="utf-8")
    assert f"{price_table(week(), width=width)}\n" == expected


@pytest.mark.parametrize("width", range(78, 140))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = price_table(week(), width=width).splitlines()
    assert max(len(line) for line in lines if "t4g" in line or "TREND" in line) <= width


def test_the_table_can_be_plain_ascii() -> None:
    assert price_table(week(), bars=ASCII_BARS).isascii()


def test_prices_below_a_tenth_of_a_cent_show_their_digits() -> None:
    report = compile_report("me-central-1", 7, WEEK, SIZES, [change(900, "0.00001")])
    assert "0.000010" in price_table(report)


def test_the_document_holds_numbers() -> None:
    report = compile_report("me-central-1", 7, WEEK, SIZES, [change(1000, "0.0060"), change(84, "0.0080")])
    document = price_document(report)
    (offer,) = json.loads(json.dumps(document))["offers"]
    assert {key: value for key, value in document.items() if key != "offers"} == {
        "region": "me-central-1",
        "product": "Linux/UNIX",
        "days": 7,
        "from": "2026-02-20T14:00:00+00:00",
        "to": "2026-02-27T14:00:00+00:00",
        "hours_a_month": 730,
        "without_price": ["t4g.medium", "t4g.nano"],
        "zones_left_out": [],
        "incomplete_changes": 0,
    }
    assert offer == {
        "instance_type": "t4g.small",
        "availability_zone": "me-central-1a",
        "vcpus": 2,
        "memory_mib": 2048,
        "price_an_hour": 0.008,
        "price_a_month": 5.84,
        "since": "2026-02-24T02:00:00+00:00",
        "low": 0.006,
        "mean": 0.007,
        "high": 0.008,
        "trend": [0.006] * 14 + [0.008] * 14,
    }


def test_types_without_a_price_are_named() -> None:
    assert without_price_sentence(week()) == (
        "me-central-1 has no Linux/UNIX spot price of the last 7 days for t4g.nano."
    )
    all_priced = compile_report("me-central-1", 1, WEEK, {"t4g.small": SIZES["t4g.small"]}, week_of_changes())
    assert without_price_sentence(all_priced) == ""
