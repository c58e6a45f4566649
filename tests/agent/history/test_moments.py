"""A time as people say it means the newest snapshot taken at it or before it; a name means itself."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.errors import UsageError
from openclaw_agent.history.moments import Taken, choose, in_words, parse_moment
from openclaw_agent.snapshot.names import format_snapshot_name, parse_snapshot_name

# A Wednesday.
NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")

MOMENTS = {
    "2 hours ago": "2026-11-25 10:30",
    "2h": "2026-11-25 10:30",
    "90 min ago": "2026-11-25 11:00",
    "an hour ago": "2026-11-25 11:30",
    "a week ago": "2026-11-18 12:30",
    "3 days ago": "2026-11-22 12:30",
    "yesterday 18:00": "2026-11-24 17:00",
    "Yesterday  at 18:00": "2026-11-24 17:00",
    "yesterday": "2026-11-24 22:59:59",
    "today": "2026-11-25 12:30",
    "today 09:00": "2026-11-25 08:00",
    "09:12": "2026-11-25 08:12",
    # Later than now, so that of yesterday is meant.
    "18:00": "2026-11-24 17:00",
    "friday 09:30": "2026-11-20 08:30",
    # The one a week ago: that of today is still to come.
    "wednesday 18:00": "2026-11-18 17:00",
    "wednesday 10:00": "2026-11-25 09:00",
    "2026-11-25 10:00": "2026-11-25 09:00",
    # Summer time was in force.
    "2026-07-01 10:00": "2026-07-01 08:00",
    "2026-11-25T10:00Z": "2026-11-25 10:00",
    "2026-11-25T10:00+05:00": "2026-11-25 05:00",
    "2026-11-25-10-00": "2026-11-25 10:00",
    "2026-11-25-10-00-07": "2026-11-25 10:00:07",
}


@pytest.mark.parametrize(("text", "wanted"), MOMENTS.items())
def test_a_time_as_people_say_it(text: str, wanted: str) -> None:
    assert parse_moment(text, NOW, BERLIN) == datetime.fromisoformat(wanted).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "2 fortnights ago", "yesterday 18", "99999999999 hours ago", "999999 weeks ago", "1:2:3"],
)
def test_what_is_no_time_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no time; allowed is '2 hours ago'"):
        parse_moment(text, NOW, BERLIN)


NAMES = ["2026-11-24-18-00", "2026-11-25-08-00", "2026-11-25-10-00", "2026-11-25-10-00-07", "2026-11-25-12-00"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2 hours ago", "2026-11-25-10-00-07"),
        ("yesterday", "2026-11-24-18-00"),
        ("2026-11-25-10-00", "2026-11-25-10-00"),
        ("2026-11-25-10", "2026-11-25-10-00-07"),
        ("2026-11-25", "2026-11-25-12-00"),
        ("2026-11", "2026-11-25-12-00"),
        ("latest", "2026-11-25-12-00"),
    ],
)
def test_the_snapshot_that_is_meant(text: str, name: str) -> None:
    assert choose(text, NAMES, NOW, UTC).name == name


def test_the_two_beside_it_are_told() -> None:
    assert choose("2026-11-25-08", NAMES, NOW) == Taken("2026-11-25-08-00", "2026-11-24-18-00", "2026-11-25-10-00")
    assert choose("latest", NAMES, NOW).newer == ""
    assert choose("2026-11-24-18-00", NAMES, NOW).older == ""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("2026-11-25-08-20", "There is no complete snapshot '2026-11-25-08-20'; the nearest: .*2026-11-25-08-00"),
        ("2026-12", "There is no complete snapshot '2026-12'"),
        ("a week ago", "No complete snapshot is as old as 'a week ago'.*; the oldest is 2026-11-24-18-00"),
        ("2026-11-26 09:00", "is in the future"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        choose(text, NAMES, NOW, UTC)


def test_an_empty_bucket_has_nothing_to_choose() -> None:
    with pytest.raises(UsageError, match="holds none that is complete"):
        choose("latest", [], NOW)


SECONDS_AGO = st.sets(st.integers(0, 30_000_000), min_size=1, max_size=30)


@given(
    SECONDS_AGO,
    st.integers(0, 500_000),
)
def test_no_newer_snapshot_was_taken_at_or_before_the_moment(ages: set[int], minutes: int) -> None:
    names = sorted(format_snapshot_name(NOW - timedelta(seconds=age)) for age in ages)
    moment = NOW - timedelta(minutes=minutes)
    fitting = [name for name in names if (parse_snapshot_name(name) or NOW) <= moment]
    if not fitting:
        with pytest.raises(UsageError):
            choose(f"{minutes} minutes ago", names, NOW)
    else:
        assert choose(f"{minutes} minutes ago", names, NOW).name == fitting[-1]


@given(SECONDS_AGO, st.data())
def test_a_whole_name_means_itself(ages: set[int], data: st.DataObject) -> None:
    names = sorted(format_snapshot_name(NOW - timedelta(seconds=age)) for age in ages)
    name = data.draw(st.sampled_from(names))
    assert choose(name, names, NOW).name == name


def test_a_name_is_read_out_in_local_time() -> None:
    assert in_words("2026-11-25-10-00", NOW, BERLIN) == "today 11:00"
    assert in_words("2026-11-24-10-00", NOW, BERLIN) == "yesterday 11:00"
    assert in_words("2026-11-20-10-00", NOW, BERLIN) == "Fri 2026-11-20 11:00"
