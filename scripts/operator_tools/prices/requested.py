"""What the user asks for, checked before (and, for instance types, against what) AWS is asked."""

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from operator_tools.prices.price_errors import WrongRequest

HISTORY_DAYS = range(1, 91)
"""EC2 keeps 90 days of spot price history (API reference of DescribeSpotPriceHistory)."""

_TYPE_PATTERN = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")


def parse_instance_types(words: Iterable[str]) -> tuple[str, ...]:
    """Return the instance types in the order given, each once; a word may hold several, with commas between them.

    Raises:
        WrongRequest: there is none, or one does not have the form of an instance type.
    """
    names = [name for word in words for name in re.split(r"[,\s]+", word) if name]
    if not names:
        raise WrongRequest(
            'No instance type was given; name at least one, such as INSTANCE_TYPES="t4g.small t4g.medium".'
        )
    for name in names:
        if not _TYPE_PATTERN.fullmatch(name):
            raise WrongRequest(f"{name!r} is no instance type; allowed is <family>.<size>, such as t4g.small.")
    return tuple(dict.fromkeys(names))


def parse_days(text: str) -> int:
    """Return the days of history to look at.

    Raises:
        WrongRequest: it is no whole number in `HISTORY_DAYS`.
    """
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) not in HISTORY_DAYS:
        raise WrongRequest(
            f"{text!r} is no number of days; allowed is {HISTORY_DAYS[0]} to {HISTORY_DAYS[-1]}, "
            "as far back as EC2 keeps prices."
        )
    return int(text)


def check_offered(instance_types: Sequence[str], offered: Collection[str], region: str) -> None:
    """Check that a region offers every instance type.

    Raises:
        WrongRequest: it does not; the sentence names all that are missing, and offered ones of a similar name.
    """
    missing = [name for name in instance_types if name not in offered]
    if missing:
        noun = "instance type" if len(missing) == 1 else "instance types"
        raise WrongRequest(f"{region} offers no {noun} {_listed(missing, 'or')}{_perhaps(missing, offered)}.")


def _perhaps(wrong: Iterable[str], allowed: Collection[str]) -> str:
    close = dict.fromkeys(name for word in wrong for name in get_close_matches(word, sorted(allowed), n=3, cutoff=0.6))
    return f"; did you mean {_listed(list(close), 'or')}?".removesuffix("?") if close else ""


def _listed(names: Sequence[str], conjunction: str) -> str:
    return f"{', '.join(names[:-1])} {conjunction} {names[-1]}" if len(names) > 1 else names[0]
