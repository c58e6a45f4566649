import itertools
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operator_tools.prices.offers import compile_report
from operator_tools.prices.price_series import (
    PriceChange,
    Window,
    mean_price,
    means_of_slices,
    series_by_place,
    spans_in,
    statistics_of,
)
from tests.operator_tools.price_histories import NOW, SIZES, WEEK, change


def test_the_price_before_the_window_holds_at_its_start() -> None:
    spans = spans_in([change(1000, "0.0060"), change(84, "0.0080")], WEEK)
    assert [(span.start, span.end, span.price) for span in spans] == [
        (WEEK.start, NOW - timedelta(hours=84), Decimal("0.0060")),
        (NOW - timedelta(hours=84), NOW, Decimal("0.0080")),
    ]


def test_the_mean_weighs_a_price_by_how_long_it_held() -> None:
    flurry = [change(1000, "0.0050"), *(change(1 - step / 10, f"0.00{90 + step}") for step in range(10))]
    statistics = statistics_of(flurry, WEEK)
    assert statistics is not None
    assert float(statistics.mean) == pytest.approx(
        (167 * 0.0050 + sum(0.1 * (0.0090 + s / 1e4) for s in range(10))) / 168
    )
    assert statistics.mean < Decimal("0.0051")


def test_low_and_high_count_only_prices_that_held_in_the_window() -> None:
    statistics = statistics_of([change(300, "0.0010"), change(200, "0.0060"), change(2, "0.0070")], WEEK)
    assert statistics is not None
    assert (statistics.low, statistics.high, statistics.newest) == (
        Decimal("0.0060"),
        Decimal("0.0070"),
        Decimal("0.0070"),
    )


def test_a_repeated_price_is_as_old_as_its_first_change() -> None:
    statistics = statistics_of([change(90, "0.0050"), change(50, "0.0060"), change(20, "0.0060")], WEEK)
    assert statistics is not None
    assert statistics.since == NOW - timedelta(hours=50)


def test_a_series_that_begins_within_the_window_has_no_price_before() -> None:
    spans = spans_in([change(84, "0.0060")], WEEK)
    assert means_of_slices(spans, WEEK, 4) == [None, None, Decimal("0.0060"), Decimal("0.0060")]
    assert mean_price(spans) == Decimal("0.0060")


def test_a_change_after_the_window_s_end_does_not_count() -> None:
    assert statistics_of([change(-1, "0.0060")], WEEK) is None
    statistics = statistics_of([change(3, "0.0060"), change(-1, "0.0090")], WEEK)
    assert statistics is not None
    assert statistics.newest == Decimal("0.0060")


def test_no_prices_have_no_mean() -> None:
    with pytest.raises(ValueError, match="not defined"):
        mean_price([])


def test_changes_are_sorted_into_types_and_zones_and_doubles_dropped() -> None:
    changes = [change(1, "0.2", zone="b"), change(1, "0.1"), change(5, "0.3"), change(1, "0.1")]
    assert series_by_place(changes) == {
        ("t4g.small", "b"): [changes[0]],
        ("t4g.small", "me-central-1a"): [changes[2], changes[1]],
    }


@given(
    st.lists(
        st.tuples(st.integers(-1000, 400_000), st.decimals("0.0001", "30", places=4)),
        min_size=1,
        max_size=12,
        unique_by=lambda pair: pair[0],
    ),
    st.integers(1, 40),
)
def test_statistics_agree_with_each_other(pairs: list[tuple[int, Decimal]], slices: int) -> None:
    changes = [PriceChange("t4g.small", "a", NOW - timedelta(seconds=ago), price) for ago, price in pairs]
    (series,) = series_by_place(changes).values()
    window = Window.of_days(2, NOW)
    spans = spans_in(series, window)
    statistics = statistics_of(series, window)
    assert (statistics is None) == (not spans)
    if statistics is not None:
        rounding = Decimal("1e-20")
        assert statistics.low - rounding <= statistics.mean <= statistics.high + rounding
        assert statistics.low <= statistics.newest <= statistics.high
        assert all(before.end == after.start for before, after in itertools.pairwise(spans))
        assert spans[-1].end == window.end
        for mean in means_of_slices(spans, window, slices):
            assert mean is None or statistics.low - rounding <= mean <= statistics.high + rounding


def test_offers_are_sorted_by_price_then_type_then_zone() -> None:
    changes = [
        change(5, "0.0060", zone="me-central-1b"),
        change(5, "0.0060", zone="me-central-1a"),
        change(5, "0.0060", kind="t4g.medium", zone="me-central-1c"),
        change(5, "0.0059", zone="me-central-1d"),
        change(5, "0.0001", kind="m5.large"),
    ]
    report = compile_report("me-central-1", 7, WEEK, SIZES, changes)
    assert [(offer.instance_type.name, offer.zone) for offer in report.offers] == [
        ("t4g.small", "me-central-1d"),
        ("t4g.medium", "me-central-1c"),
        ("t4g.small", "me-central-1a"),
        ("t4g.small", "me-central-1b"),
    ]
    assert report.without_price == ("t4g.nano",)
    assert report.offers[0].price_a_month == Decimal("4.3070")
