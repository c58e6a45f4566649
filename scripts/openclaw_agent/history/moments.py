"""The moment that a person means, and the snapshot that it means. Pure.

A time without a zone is local time; a text that looks like the beginning of a snapshot's name is one, in UTC.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from difflib import get_close_matches

from openclaw_agent.errors import UsageError
from openclaw_agent.snapshot.names import parse_snapshot_name

FORMS = (
    "'2 hours ago', 'yesterday 18:00', 18:00, 'friday 09:30', '2026-11-25 14:00' (local time), 2026-11-25T14:00Z, "
    "a snapshot's name, or the beginning of one (2026-11-25-03, UTC)"
)
NEAREST = 3

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_UNIT_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_AGO = re.compile(r"(?:(\d{1,6})\s*|(an?)\s+)([a-z]+)(?:\s+ago)?")
_DAY_AND_TIME = re.compile(r"(?:(today|yesterday|" + "|".join(_DAYS) + r")\b\s*)?(?:at\s+)?(?:(\d{1,2}):(\d{2}))?")
_NAME_PREFIX = re.compile(r"\d{4}-\d{2}(-\d{2}(-\d{2}(-\d{2}(-\d{2})?)?)?)?-?")


@dataclass(frozen=True, slots=True)
class Taken:
    """The snapshot that was meant, and the two beside it ("" at an end)."""

    name: str
    older: str
    newer: str


def choose(text: str, names: Sequence[str], now: datetime, zone: tzinfo | None = None) -> Taken:
    """Return the snapshot that a text means among the names of those that can be restored, in any order.

    A name means itself, the beginning of one the newest that begins so, a time the newest taken at it or before it.
    `zone` None is the machine's own.

    Raises:
        UsageError: the text is no time or name, it is of the future, or nothing is as old; similar names are told.
    """
    ordered = sorted(names)
    if not ordered:
        raise UsageError("There is no snapshot that could be restored: the bucket holds none that is complete.")
    wanted = " ".join(text.split()).lower()
    if wanted in ("latest", "newest", "now"):
        return _taken(ordered, len(ordered) - 1)
    if _NAME_PREFIX.fullmatch(wanted):
        found = [index for index, name in enumerate(ordered) if _begins(name, wanted)]
        if not found:
            raise UsageError(f"There is no complete snapshot {text!r}{_perhaps(wanted, ordered)}.")
        return _taken(ordered, found[-1])
    moment = parse_moment(text, now, zone)
    if moment > now:
        raise UsageError(f"{text!r} is in the future: {moment:%Y-%m-%d %H:%M} UTC; it is {now:%Y-%m-%d %H:%M} UTC now.")
    instants = [_instant(name) for name in ordered]
    before = [index for index, instant in enumerate(instants) if instant <= moment]
    if not before:
        raise UsageError(
            f"No complete snapshot is as old as {text!r} ({moment:%Y-%m-%d %H:%M} UTC); the oldest is {ordered[0]}."
        )
    return _taken(ordered, before[-1])


def parse_moment(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """Return the instant (UTC) that a text means at `now`; one without a zone is of `zone` (None: the machine's own).

    Raises:
        UsageError: the text is in none of `FORMS`.
    """
    wanted = " ".join(text.split()).lower()
    if named := parse_snapshot_name(wanted):
        return named
    if (ago := _AGO.fullmatch(wanted)) and ago[3] in _UNIT_WORDS:
        try:
            return now - (int(ago[1]) if ago[1] else 1) * _UNITS[_UNIT_WORDS[ago[3]]]
        except OverflowError:
            raise _no_time(text) from None
    day = _DAY_AND_TIME.fullmatch(wanted)
    if day and (day[1] or day[2]):
        return _of_a_day(text, day[1], day[2], day[3], _local(now, zone), zone, now)
    try:
        return _aware(datetime.fromisoformat(text.strip()), zone)
    except (ValueError, OverflowError):
        raise _no_time(text) from None


def in_words(name: str, now: datetime, zone: tzinfo | None = None) -> str:
    """Return a snapshot's time as a person reads it: `today 14:00`, `yesterday 09:20`, `Mon 2026-11-23 09:20`."""
    instant = parse_snapshot_name(name)
    if instant is None:
        return ""
    local, today = _local(instant, zone), _local(now, zone).date()
    days = {today: "today", today - timedelta(days=1): "yesterday"}
    return f"{days.get(local.date(), f'{local:%a %Y-%m-%d}')} {local:%H:%M}"


def _of_a_day(
    text: str, day: str | None, hour: str | None, minute: str | None, here: datetime, zone: tzinfo | None, now: datetime
) -> datetime:
    try:
        clock = time(int(hour), int(minute or 0)) if hour else time(23, 59, 59)
    except ValueError:
        raise _no_time(text) from None
    date = here.date()
    if day == "yesterday":
        date -= timedelta(days=1)
    elif day in _DAYS:
        date -= timedelta(days=(date.weekday() - _DAYS.index(day)) % 7)
    moment = _aware(datetime.combine(date, clock), zone)
    if moment > now and not hour:
        # The day that is under way ends now.
        return now
    if moment > now and day != "today":
        # The last time that it was so late, or that weekday.
        moment = _aware(datetime.combine(date - timedelta(days=7 if day in _DAYS else 1), clock), zone)
    return moment


def _local(instant: datetime, zone: tzinfo | None) -> datetime:
    return instant.astimezone(zone)


def _aware(moment: datetime, zone: tzinfo | None) -> datetime:
    if moment.tzinfo is None and zone is not None:
        moment = moment.replace(tzinfo=zone)
    # Of a moment without a zone Python takes the machine's own.
    return moment.astimezone(UTC)


def _no_time(text: str) -> UsageError:
    return UsageError(f"{text!r} is no time; allowed is {FORMS}.")


def _begins(name: str, prefix: str) -> bool:
    # A whole name is itself, and not also those of its minute that carry seconds.
    return name == prefix or (parse_snapshot_name(prefix) is None and name.startswith(prefix))


def _taken(ordered: Sequence[str], index: int) -> Taken:
    older = ordered[index - 1] if index else ""
    newer = ordered[index + 1] if index + 1 < len(ordered) else ""
    return Taken(ordered[index], older, newer)


def _instant(name: str) -> datetime:
    instant = parse_snapshot_name(name)
    if instant is None:
        raise ValueError(f"{name!r} is no snapshot's name")
    return instant


def _perhaps(wanted: str, ordered: Sequence[str]) -> str:
    named = parse_snapshot_name(wanted)
    if named is not None:
        near = sorted(ordered, key=lambda name: abs(_instant(name) - named))[:NEAREST]
    else:
        near = get_close_matches(wanted, ordered, n=NEAREST, cutoff=0.5)
    return f"; the nearest: {', '.join(sorted(near))}" if near else ""
