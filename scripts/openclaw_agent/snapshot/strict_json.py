"""JSON that a stranger may have written: its shape bounded before it is parsed, its values read by exact type. Pure.

Every function raises ValueError with what is wrong; the caller names the document and makes it its own kind of error.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NoReturn, TypeVar

# Our own documents nest four deep at most.
MOST_DEPTH = 16
MOST_SHOWN = 60
LARGEST = 2**63 - 1
_PUNCTUATION = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)

_Value = TypeVar("_Value")
Reader = Callable[[Any], _Value]


class _Missing(Enum):
    REQUIRED = "required"


REQUIRED = _Missing.REQUIRED


def parse_object(text: bytes) -> dict[str, Any]:
    """The JSON object that a text in UTF-8 is: of bounded depth, no name twice, no NaN.

    Raises:
        ValueError: saying what it is instead.
    """
    _require_bounded_depth(text)
    parsed = _DECODER.decode(text.decode())
    if not isinstance(parsed, dict):
        raise ValueError("it is no JSON object")
    return parsed


def field(fields: Mapping[str, Any], name: str, read: Reader[_Value], default: _Value | _Missing = REQUIRED) -> _Value:
    """A field's value; `default` where there is none and need not be one.

    Raises:
        ValueError: when it is missing, of another type or out of its range.
    """
    if name not in fields:
        if isinstance(default, _Missing):
            raise ValueError(f"{name} is missing")
        return default
    try:
        return read(fields[name])
    except ValueError as problem:
        raise ValueError(f"{name}: {problem}") from problem


def whole(least: int, most: int) -> Reader[int]:
    """Reads a whole number; true and 1.0 are none."""

    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{shown(value)} is no whole number from {least} to {most}")
        return value

    return read


def number(value: Any) -> float:
    """Read a finite number that is not negative."""
    if type(value) not in (int, float) or not 0 <= value <= LARGEST or not math.isfinite(value):
        raise ValueError(f"{shown(value)} is no number of 0 or more")
    return float(value)


def flag(value: Any) -> bool:
    """Read true or false."""
    if type(value) is not bool:
        raise ValueError(f"{shown(value)} is neither true nor false")
    return value


def text(most_characters: int) -> Reader[str]:
    """Reads a text of bounded length."""

    def read(value: Any) -> str:
        if type(value) is not str or len(value) > most_characters:
            raise ValueError(f"{shown(value)} is no text of at most {most_characters} characters")
        return value

    return read


def matching(pattern: re.Pattern[str], what: str) -> Reader[str]:
    """Reads a text that matches a pattern, which `what` describes."""

    def read(value: Any) -> str:
        if type(value) is not str or pattern.fullmatch(value) is None:
            raise ValueError(f"{shown(value)} is no {what}")
        return value

    return read


def rows(read_row: Callable[[dict[str, Any]], _Value]) -> Reader[tuple[_Value, ...]]:
    """Reads a list of objects."""

    def read(value: Any) -> tuple[_Value, ...]:
        if type(value) is not list:
            raise ValueError(f"{shown(value)} is no list")
        return tuple(read_row(document(row)) for row in value)

    return read


def texts(most_characters: int) -> Reader[tuple[str, ...]]:
    """Reads a list of texts."""
    read_one = text(most_characters)

    def read(value: Any) -> tuple[str, ...]:
        if type(value) is not list:
            raise ValueError(f"{shown(value)} is no list")
        return tuple(read_one(row) for row in value)

    return read


def document(value: Any) -> dict[str, Any]:
    """Read an object."""
    if type(value) is not dict:
        raise ValueError(f"{shown(value)} is no JSON object")
    return value


def shown(value: object) -> str:
    """A value as a message shows it: on one line, escaped, and not all of a long one."""
    if type(value) is int and abs(value) > 10 ** (MOST_SHOWN - 1):
        return "a number that long"
    written = ascii(value[:MOST_SHOWN] if type(value) is str else value)
    return written if len(written) <= MOST_SHOWN else f"{written[:MOST_SHOWN]}…"


def _require_bounded_depth(text: bytes) -> None:
    # Nearly every line has fewer brackets than that, wherever they stand.
    if text.count(b"[") + text.count(b"{") <= MOST_DEPTH:
        return
    depth = 0
    for found in _PUNCTUATION.finditer(text):
        mark = text[found.start()]
        if mark in b"[{":
            depth += 1
            if depth > MOST_DEPTH:
                raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
        elif mark in b"]}":
            depth -= 1


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("it has a field twice")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_no_constant)
