"""What a configuration key is: a row that documents, parses and refuses its own values, and is read as an attribute.

One row is one key: the settings' class holds the rows, its instances hold the values, and Pulumi.yaml and the docs'
table are generated from the rows (`make generate`).
"""

import difflib
import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, Self, TypeVar, overload

from openclaw_platform.refusals import ConfigRefused

Value = TypeVar("Value")
LookUp = Callable[[str], str | None]
"""What the user has set for a key; None or empty text where it is not set. Pulumi's `Config.get`, or a dictionary's."""


class Kind(Enum):
    """The type that Pulumi.yaml declares for a key."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class ConfigKey(Generic[Value]):
    """One configuration key, as an attribute of a `ConfigTable`, whose name is the key's.

    `default` is text as one would type it after `pulumi config set`, None where the key must be set. `allowed`
    completes the sentence "must be ...". `parse` turns text into the value and raises ValueError for what is not
    allowed. `instance_json` is the key's name in the instance's /etc/openclaw/instance.json, empty where the instance
    does not need it.
    """

    kind: Kind
    default: str | None
    allowed: str
    meaning: str
    parse: Callable[[str], Value]
    instance_json: str = ""
    # The instance knows the default too: user-data has little room, and most stacks change nothing of it.
    told_if_changed: bool = False
    name: str = field(init=False, default="")

    def __set_name__(self, _owner: type, name: str) -> None:
        """Take the attribute's name."""
        object.__setattr__(self, "name", name)

    @overload
    def __get__(self, settings: None, owner: type) -> Self: ...
    @overload
    def __get__(self, settings: "ConfigTable", owner: type) -> Value: ...
    def __get__(self, settings: "ConfigTable | None", owner: type) -> "Self | Value":
        """The row itself from the class, its value from an instance."""
        if settings is None:
            return self
        value: Value = settings.values[self.name]
        return value

    @property
    def default_value(self) -> Value | None:
        """What stands for it where nobody sets it; None where it must be set."""
        return None if self.default is None else self.parse(self.default)

    def read(self, look_up: LookUp) -> Value:
        """Return what the user has set for this key, or its default.

        Raises:
            ConfigRefused: in one sentence that names the value and what is allowed.
        """
        text = (look_up(self.name) or "").strip() or self.default
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


class ConfigTable:
    """Settings of which each is a `ConfigKey` of the class; a subclass adds keys to those of its base."""

    __slots__ = ("values",)

    def __init__(self, look_up: LookUp) -> None:
        """Read every key.

        Raises:
            ConfigRefused: for the first value that is not allowed by itself or beside the others.
        """
        self.values: dict[str, Any] = {key.name: key.read(look_up) for key in self.rows()}
        self.require_agreement()

    def require_agreement(self) -> None:
        """Refuse values that are allowed one by one and not together."""

    @classmethod
    def rows(cls) -> "tuple[ConfigKey[Any], ...]":
        """The rows, those of base classes first, in the order in which they are written."""
        return tuple(row for part in reversed(cls.__mro__) for row in vars(part).values() if isinstance(row, ConfigKey))

    def for_instance_json(self) -> dict[str, Any]:
        """The values that the instance is told, by their names there."""
        return {
            key.instance_json: self.values[key.name]
            for key in self.rows()
            if key.instance_json and not (key.told_if_changed and self.values[key.name] == key.default_value)
        }


def require_known_keys(given: Iterable[str], keys: Iterable[ConfigKey[Any]]) -> None:
    """Refuse a key that is set and that nothing reads, as one with a typo is.

    Raises:
        ConfigRefused: for the first of them; it names the nearest key there is, or all.
    """
    known = [key.name for key in keys]
    for name in sorted(set(given) - set(known)):
        near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
        instead = f"the nearest is {near[0]}" if near else f"there are {', '.join(known)}"
        raise ConfigRefused(
            f"{name} is set, but is no configuration key of this project: {instead} "
            f"(`pulumi config rm {shlex.quote(name)}` removes it)."
        )


def config_table_markdown(keys: Iterable[ConfigKey[Any]]) -> str:
    """Render the keys as a Markdown table, one row a key, without a line break at the end."""
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
