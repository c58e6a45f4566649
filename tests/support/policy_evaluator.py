"""Whether a policy's text allows a request, by AWS's rules: no rule is a no, and a Deny outdoes every Allow.

It knows what our policies use, and refuses to judge what it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Facts = Mapping[str, str]
"""What is known of a request: condition keys, in lower case, and their values."""


def is_allowed(policy: Mapping[str, Any], action: str, resource: str, facts: Facts | None = None) -> bool:
    known = {key.lower(): value for key, value in (facts or {}).items()}
    effects = {
        statement["Effect"]
        for statement in policy["Statement"]
        if any(matches(pattern, action, ignore_case=True) for pattern in texts(statement["Action"]))
        and any(matches(pattern, resource) for pattern in texts(statement["Resource"]))
        and _holds(statement.get("Condition", {}), known)
    }
    return effects == {"Allow"}


def texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(wild, text, re.IGNORECASE if ignore_case else 0) is not None


def _holds(conditions: Mapping[str, Mapping[str, Any]], facts: Facts) -> bool:
    return all(
        OPERATORS[operator](facts.get(key.lower()), texts(wanted))
        for operator, block in conditions.items()
        for key, wanted in block.items()
    )


def _is_among(fact: str | None, wanted: list[str]) -> bool:
    return fact in wanted


def _is_like(fact: str | None, wanted: list[str]) -> bool:
    return fact is not None and any(matches(pattern, fact) for pattern in wanted)


OPERATORS: Mapping[str, Callable[[str | None, list[str]], bool]] = {
    "StringEquals": _is_among,
    "StringLike": _is_like,
    "ArnEquals": _is_like,
    "ForAnyValue:StringEquals": _is_among,
    # Of the negated ones a request without the key satisfies each.
    "StringNotEquals": lambda fact, wanted: fact not in wanted,
    "Bool": _is_among,
    "Null": lambda fact, wanted: ("true" if fact is None else "false") in wanted,
}
