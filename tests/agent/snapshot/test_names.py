from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.snapshot.keys import snapshot_manifest_key, snapshot_name_in_key, snapshot_prefix
from openclaw_agent.snapshot.names import choose_snapshot_name, format_snapshot_name, parse_snapshot_name

INSTANTS = st.datetimes(timezones=st.just(UTC)).map(lambda instant: instant.replace(microsecond=0))


@given(INSTANTS)
def test_a_formatted_name_parses_to_its_instant(instant: datetime) -> None:
    assert parse_snapshot_name(format_snapshot_name(instant)) == instant


@given(st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]-[0-2][0-9]-[0-5][0-9](-[0-6][0-9])?", fullmatch=True))
def test_a_parsed_name_formats_to_itself(name: str) -> None:
    instant = parse_snapshot_name(name)
    assert instant is None or format_snapshot_name(instant) == name


@given(INSTANTS, INSTANTS)
def test_names_sort_by_time(one: datetime, other: datetime) -> None:
    assert (format_snapshot_name(one) < format_snapshot_name(other)) == (one < other)


@pytest.mark.parametrize(
    ("name", "instant"),
    [
        ("2026-02-27-14-00", datetime(2026, 2, 27, 14, 0, tzinfo=UTC)),
        ("2026-02-27-14-00-07", datetime(2026, 2, 27, 14, 0, 7, tzinfo=UTC)),
        ("2024-02-29-23-59", datetime(2024, 2, 29, 23, 59, tzinfo=UTC)),
    ],
    ids=["minute", "with seconds", "leap day"],
)
def test_a_snapshot_name_stands_for_an_instant(name: str, instant: datetime) -> None:
    assert parse_snapshot_name(name) == instant


@pytest.mark.parametrize(
    "name",
    [
        "",
        "latest",
        "2026-02-27",
        "2026-2-27-14-00",
        "2026-02-27-14-0",
        "2026-02-27-14-00/",
        "2026-02-27-14-00\n",
        " 2026-02-27-14-00",
        "2026-02-27T14:00",
        "2026-02-30-14-00",
        "2025-02-29-14-00",
        "2026-13-01-14-00",
        "2026-02-27-24-00",
        "2026-02-27-14-60",
        "2026-02-27-14-00-60",
        "2026-02-27-14-00-00",
        "2026-02-27-14-00-7",
        "2026-02-27-14-00-07-01",
        "0000-01-01-00-00",
        "٢٠٢٦-02-27-14-00",
        "before-upgrade-2026-02-27-14-00",
    ],
)
def test_what_is_no_timestamp_is_no_name(name: str) -> None:
    assert parse_snapshot_name(name) is None


def test_a_name_is_in_utc_whatever_the_clock_s_zone() -> None:
    assert format_snapshot_name(datetime(2026, 2, 27, 1, 30, tzinfo=timezone(timedelta(hours=4)))) == "2026-02-26-21-30"


def test_a_time_without_zone_has_no_name() -> None:
    with pytest.raises(ValueError, match=r"2026-02-27T14:00:00 has no time zone"):
        format_snapshot_name(datetime(2026, 2, 27, 14))  # noqa: DTZ001 - that is what is refused


@pytest.mark.parametrize(
    ("second", "taken", "name"),
    [
        (7, set(), "2026-02-27-14-00"),
        (7, {"2026-02-27-14-00"}, "2026-02-27-14-00-07"),
        (7, {"2026-02-27-14-00", "2026-02-27-14-00-07"}, "2026-02-27-14-00-08"),
        (0, {"2026-02-27-14-00"}, "2026-02-27-14-00-01"),
    ],
    ids=["minute free", "minute taken", "second taken", "on the minute"],
)
def test_a_second_backup_within_a_minute_carries_its_seconds(second: int, taken: set[str], name: str) -> None:
    assert choose_snapshot_name(datetime(2026, 2, 27, 14, 0, second, 250_000, tzinfo=UTC), taken) == name


def test_a_minute_without_free_names_is_refused() -> None:
    taken = {"2026-02-27-14-00", "2026-02-27-14-00-59"}
    with pytest.raises(ValueError, match=r"from 2026-02-27-14-00-59 to the end of its minute is taken"):
        choose_snapshot_name(datetime(2026, 2, 27, 14, 0, 59, tzinfo=UTC), taken)


def test_keys_lie_below_the_snapshot_s_prefix() -> None:
    assert snapshot_prefix("2026-02-27-14-00") == "snapshots/2026-02-27-14-00/"
    assert snapshot_manifest_key("2026-02-27-14-00") == "snapshots/2026-02-27-14-00/manifest.json"


@pytest.mark.parametrize("name", ["", ".", "..", "2026-02-27", "latest"])
def test_no_prefix_is_made_of_a_foreign_name(name: str) -> None:
    with pytest.raises(ValueError, match="is no snapshot name; allowed is YYYY-MM-DD-HH-MM"):
        snapshot_prefix(name)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("snapshots/2026-02-27-14-00/manifest.json", "2026-02-27-14-00"),
        ("snapshots/2026-02-27-14-00/.openclaw/a/b", "2026-02-27-14-00"),
        ("snapshots/before-upgrade/x", "before-upgrade"),
        ("snapshots/readme.txt", None),
        ("snapshots//x", None),
        ("latest/manifest.json", None),
        ("other/snapshots/2026-02-27-14-00/x", None),
    ],
)
def test_a_key_names_the_snapshot_it_belongs_to(key: str, name: str | None) -> None:
    assert snapshot_name_in_key(key) == name
