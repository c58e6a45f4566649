"""Snapshot names: the minute of the backup in UTC, `YYYY-MM-DD-HH-MM`, and the keys below `snapshots/`.

A second backup within one minute carries its seconds too, `YYYY-MM-DD-HH-MM-SS` with SS from 01 to 59. A name without
seconds stands for second 00, and `-00` is no name, so that one instant has one name and one name has one instant.

Names sort by time as strings; keys do not (`/` sorts after `-`, hence `…-14-00-07/` before `…-14-00/`), so sort names.
"""

import re
from collections.abc import Container
from datetime import UTC, datetime

_NAME_PATTERN = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})-([0-9]{2})-([0-9]{2})(?:-([0-9]{2}))?")

DAY_LENGTH = len("2026-02-27")
"""How much of a name says its UTC day."""


def format_snapshot_name(taken_at: datetime) -> str:
    """Return the name of a snapshot taken at an instant, whose fraction of a second is dropped.

    Raises:
        ValueError: the instant has no time zone.
    """
    utc = _in_utc(taken_at)
    minute = f"{utc.year:04d}-{utc.month:02d}-{utc.day:02d}-{utc.hour:02d}-{utc.minute:02d}"
    return f"{minute}-{utc.second:02d}" if utc.second else minute


def parse_snapshot_name(name: str) -> datetime | None:
    """Return the instant (UTC) that a snapshot's name stands for, or None where it is no snapshot's name."""
    match = _NAME_PATTERN.fullmatch(name)
    if match is None:
        return None
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    second = 0 if match[6] is None else int(match[6])
    if match[6] == "00":
        return None
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def choose_snapshot_name(taken_at: datetime, taken_names: Container[str]) -> str:
    """Return the name for a new snapshot: its minute's, or where that is taken the minute's with free seconds.

    Raises:
        ValueError: the instant has no time zone, or every name of its minute from its second on is taken.
    """
    utc = _in_utc(taken_at)
    minute = utc.replace(second=0)
    name = format_snapshot_name(minute)
    if name not in taken_names:
        return name
    for second in range(max(utc.second, 1), 60):
        name = format_snapshot_name(minute.replace(second=second))
        if name not in taken_names:
            return name
    raise ValueError(f"every snapshot name from {format_snapshot_name(utc)} to the end of its minute is taken")


def _in_utc(taken_at: datetime) -> datetime:
    if taken_at.tzinfo is None:
        raise ValueError(f"the time {taken_at.isoformat()} has no time zone; a snapshot's time must have one")
    return taken_at.astimezone(UTC)
