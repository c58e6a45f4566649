"""What a configuration key is: a row that documents, parses and refuses its own values."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from openclaw_platform.refusals import ConfigRefused

Value = TypeVar("Value")
GivenConfig = Mapping[str, str | None]
"""What the user has set, key to text; None or empty text stands for a key that is not set."""


class Kind(Enum):
    """The type that Pulumi.yaml declares for a key."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class ConfigKey(Generic[Value]):
    """One configuration key.

    `default` is text as one would type it after `pulumi config set`, None where the key must be set. `allowed`
    completes the sentence "must be ...". `parse` turns text into the value and raises ValueError for what is not
    allowed.
    """

    name: str
    kind: Kind
    default: str | None
    allowed: str
    meaning: str
    parse: Callable[[str], Value]

    def read(self, given: GivenConfig) -> Value:
        """Return this key's value among the given ones, or its default.

        Raises:
            ConfigRefused: in one sentence that names the value and what is allowed.
        """
        text = (given.get(self.name) or "").strip() or self.default
        if text is None:
            raise ConfigRefused(
                f"{self.name} is not set, but must be {self.allowed}; "
                f"set it with `pulumi config set {self.name} VALUE`."
            )
        try:
            return self.parse(text)
        except ValueError:
            raise self.refusal(text) from None

    def refusal(self, text: str) -> ConfigRefused:
        """The error for a value that this key does not allow."""
        return ConfigRefused(f"{self.name} is {text!r}, but must be {self.allowed}.")


def given_config(keys: Iterable[ConfigKey[Any]], look_up: Callable[[str], str | None]) -> dict[str, str | None]:
    """Collect what the user has set for the given keys; `look_up` is Pulumi's `Config.get` or a dictionary's."""
    return {key.name: look_up(key.name) for key in keys}


def config_table_markdown(keys: Iterable[ConfigKey[Any]]) -> str:
    """Render the keys as the Markdown table of the README, one row a key, without a line break at the end."""
    rows = ["| Key | Default | Allowed | Meaning |", "| --- | --- | --- | --- |"]
    for key in keys:
        default = "**required**" if key.default is None else f"`{key.default}`" if key.default else "none"
        cells = (f"`{key.name}`", default, key.allowed, key.meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def pulumi_config_schema(keys: Iterable[ConfigKey[Any]]) -> dict[str, dict[str, Any]]:
    """The `config:` section that Pulumi.yaml must hold for the keys, as YAML would load it."""
    return {key.name: _schema_of(key) for key in keys}


def _schema_of(key: ConfigKey[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": key.kind.value, "description": key.meaning}
    if key.default is not None:
        schema["default"] = _DEFAULT_AS_YAML[key.kind](key.default)
    return schema


def boolean(text: str) -> bool:
    """Parse `true` or `false`."""
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def integer_between(low: int, high: int) -> Callable[[str], int]:
    """A parser of whole numbers from `low` to `high`, both included."""

    def parse(text: str) -> int:
        number = _integer(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return parse


def integer_among(allowed: Iterable[int]) -> Callable[[str], int]:
    """A parser of the listed whole numbers."""
    numbers = frozenset(allowed)

    def parse(text: str) -> int:
        number = _integer(text)
        if number not in numbers:
            raise ValueError(text)
        return number

    return parse


def text_matching(pattern: str, *, or_empty: bool = False) -> Callable[[str], str]:
    """A parser of text that matches the whole of a regular expression, or is empty if that is allowed."""
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if not (or_empty and not text) and not compiled.fullmatch(text):
            raise ValueError(text)
        return text

    return parse


def comma_list(parse_item: Callable[[str], Value]) -> Callable[[str], tuple[Value, ...]]:
    """A parser of comma-separated items, each given once; empty text is an empty list."""

    def parse(text: str) -> tuple[Value, ...]:
        items = tuple(parse_item(item.strip()) for item in text.split(",")) if text else ()
        if len(set(items)) != len(items):
            raise ValueError(text)
        return items

    return parse


def _integer(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(text)
    return int(text)


_DEFAULT_AS_YAML: dict[Kind, Callable[[str], object]] = {Kind.STRING: str, Kind.INTEGER: int, Kind.BOOLEAN: boolean}
