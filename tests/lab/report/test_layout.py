from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.report.layout import (
    BADGE_DISTANCE,
    BADGE_PITCH,
    LEFT,
    NARROWEST_BAR,
    RIGHT,
    WIDTH,
    Badge,
    Layout,
    Side,
    lay_out,
    numbered,
)
from lab.report.record import DrillRecord, Event, Severity, Span, Track

MOMENTS = st.floats(0, 900, allow_nan=False)
TEXTS = st.text(max_size=60)
EVENTS = st.builds(Event, MOMENTS, st.sampled_from(Track), TEXTS, st.sampled_from(Severity))
SPANS = st.builds(
    lambda began, lasted, track, text: Span(began, began + lasted, track, text),
    MOMENTS, st.floats(0, 100), st.sampled_from(Track), TEXTS,
)  # fmt: skip


def layout_of(*whats: Event | Span, seconds: float = 0.0) -> Layout:
    record = DrillRecord(1, "name", "title", seconds=seconds)
    record.events = [what for what in whats if isinstance(what, Event)]
    record.spans = [what for what in whats if isinstance(what, Span)]
    return lay_out(record, numbered(record))


@given(st.lists(st.one_of(EVENTS, SPANS), min_size=1, max_size=40))
def test_every_item_has_its_place_and_nothing_covers_another(whats: list[Event | Span]) -> None:
    layout = layout_of(*whats)

    shown = [bar.item.number for row in layout.rows for bar in row.bars]
    unwritten = [bar.item.number for row in layout.rows for bar in row.bars if not bar.written]
    events = [badge.item.number for row in layout.rows for badge in row.badges if isinstance(badge.item.what, Event)]
    assert sorted(shown + events) == list(range(1, len(whats) + 1))
    badged = {badge.item.number for row in layout.rows for badge in row.badges}
    assert badged == {*events, *unwritten}
    for row in layout.rows:
        for one, other in combinations(row.badges, 2):
            assert abs(one.x - other.x) >= BADGE_DISTANCE - 0.01 or abs(one.y - other.y) >= BADGE_PITCH
        for bar in row.bars:
            assert bar.width >= NARROWEST_BAR
            assert row.top <= bar.y <= row.top + row.height
        for first, second in combinations(row.bars, 2):
            assert first.y != second.y or first.x + first.width <= second.x or second.x + second.width <= first.x
    assert sum(row.height for row in layout.rows) < layout.height


@given(st.lists(EVENTS, min_size=1, max_size=25))
def test_no_text_beside_a_mark_runs_into_another(events: list[Event]) -> None:
    for row in layout_of(*events).rows:
        for one, other in combinations(row.badges, 2):
            if one.y == other.y:
                left, right = sorted((_reach(one), _reach(other)))
                assert left[1] <= right[0] + 0.01


def _reach(badge: Badge) -> tuple[float, float]:
    half = BADGE_DISTANCE / 2
    text = len(badge.item.what.text) * 6.4 + BADGE_DISTANCE
    left = text if badge.side is Side.LEFT else half
    right = text if badge.side is Side.RIGHT else half
    assert badge.x - left >= LEFT - half
    assert badge.x + right <= WIDTH
    return badge.x - left, badge.x + right


def test_a_freeze_of_milliseconds_in_an_hour_is_seen() -> None:
    (row,) = layout_of(Span(1_800.0, 1_800.018, Track.FREEZE, "frozen"), seconds=3_600.0).rows

    assert row.bars[0].width == NARROWEST_BAR
    assert row.badges[0].side is Side.RIGHT


def test_the_last_moment_s_text_stands_on_its_left() -> None:
    (row,) = layout_of(Event(0.0, Track.GATEWAY, "x" * 120), Event(100.0, Track.GATEWAY, "ready again")).rows

    assert [badge.side for badge in row.badges] == [Side.RIGHT, Side.LEFT]
    assert row.badges[0].y < row.badges[1].y


def test_lanes_come_in_their_order_and_unused_ones_not_at_all() -> None:
    layout = layout_of(Event(1.0, Track.S3, "a"), Event(2.0, Track.DRILL, "b"), Event(3.0, Track.BACKUP, "c"))

    assert [row.track for row in layout.rows] == [Track.DRILL, Track.BACKUP, Track.S3]


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        (10.0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (0.0004, [0.0, 0.0001, 0.0002, 0.0003, 0.0004, 0.0005, 0.0006, 0.0007, 0.0008, 0.0009, 0.001]),
        (110.0, [0, 20, 40, 60, 80, 100]),
        (3_600.0, [0, 500, 1000, 1500, 2000, 2500, 3000, 3500]),
    ],
)
def test_the_axis_has_round_seconds(seconds: float, ticks: list[float]) -> None:
    layout = layout_of(Event(0.0, Track.S3, "a"), seconds=seconds)

    assert [tick.seconds for tick in layout.ticks] == ticks
    assert all(LEFT <= tick.x <= RIGHT + 0.01 for tick in layout.ticks)


def test_the_disaster_is_what_the_drill_did_and_was_bad() -> None:
    layout = layout_of(
        Event(5.0, Track.DRILL, "cut", Severity.BAD),
        Event(6.0, Track.DRILL, "look"),
        Event(7.0, Track.S3, "lost", Severity.BAD),
        seconds=10.0,
    )

    assert layout.disasters == ((LEFT + RIGHT) / 2,)
