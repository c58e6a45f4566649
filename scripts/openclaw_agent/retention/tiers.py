"""The retention policy as a table, one row a tier, and the periods of which a tier keeps one snapshot each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

_FRIDAY_ORDINAL = 5
"""0001-01-05, the first Friday of the proleptic Gregorian calendar, as `date.toordinal` counts days."""


class Tier(Enum):
    """The ages into which the policy sorts snapshots."""

    RECENT = "recent"
    DAILY = "daily"
    WEEKLY = "weekly"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """A span of whole UTC days that one snapshot represents; its functions tell of an instant's own period."""

    days: int
    first_minute: str
    number: Callable[[datetime], int]
    title: Callable[[datetime], str]
    starts_with_minute_of: Callable[[datetime], bool]


def _is_midnight(instant: datetime) -> bool:
    return instant.hour == 0 and instant.minute == 0


def _week_number(instant: datetime) -> int:
    return (instant.toordinal() - _FRIDAY_ORDINAL) // 7


def _week_title(instant: datetime) -> str:
    days_since_friday = (instant.toordinal() - _FRIDAY_ORDINAL) % 7
    return f"the week of Friday {(instant - timedelta(days=days_since_friday)).date().isoformat()}"


DAY = Period(
    days=1,
    first_minute="00:00",
    number=datetime.toordinal,
    title=lambda instant: f"the UTC day {instant.date().isoformat()}",
    starts_with_minute_of=_is_midnight,
)
WEEK = Period(
    days=7,
    first_minute="Friday 00:00",
    number=_week_number,
    title=_week_title,
    starts_with_minute_of=lambda instant: _is_midnight(instant) and instant.isoweekday() == 5,
)


class Share(Enum):
    """The share of its complete snapshots that a tier without periods keeps."""

    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class TierRow:
    """One row of the policy: the tier of ages from `from_age` (included) on, and what it keeps, in the docs' words."""

    tier: Tier
    from_age: timedelta
    keeps: Share | Period
    age_range: str
    policy: str


# History independence rests on two properties of the rows, which tests hold: a row's periods are made of whole periods
# of the row above, and a tier outlasts the tier above it by at least one of its own periods.
TIERS: tuple[TierRow, ...] = (
    TierRow(Tier.RECENT, timedelta(0), Share.ALL, "younger than 24 h", "keep all"),
    TierRow(Tier.DAILY, timedelta(hours=24), DAY, "24 h to 7 days", "keep one for each UTC day, its 00:00 snapshot"),
    TierRow(Tier.WEEKLY, timedelta(days=7), WEEK, "7 to 30 days", "keep one for each week, its Friday 00:00 snapshot"),
    TierRow(Tier.EXPIRED, timedelta(days=30), Share.NONE, "30 days and older", "delete"),
)


def tier_row(age: timedelta) -> TierRow:
    """Return the row of the policy for an age.

    Raises:
        ValueError: the age is negative (the future has no tier).
    """
    for row in reversed(TIERS):
        if age >= row.from_age:
            return row
    raise ValueError(f"the age {age} is negative, and the future has no tier")
