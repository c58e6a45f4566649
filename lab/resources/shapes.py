"""The shape of a resource's inputs: which keys a handler understands, of which type, and how AWS calls them.

One declaration serves twice: `check_shape` refuses what the real provider would not know (a misspelled nested key
passes Pulumi's own mocks in silence), and `to_aws` writes the request of the AWS call.
"""

from __future__ import annotations

import difflib
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.resources.errors import InvalidInput
from lab.resources.values import UNKNOWN, Asset


class Kind(enum.StrEnum):
    """The type of one value."""

    TEXT = "a string"
    INTEGER = "a whole number"
    NUMBER = "a number"
    SWITCH = "true or false"
    JSON = "a JSON document"
    ASSET = "an asset"
    LIST = "a list"
    MAP = "a map"
    OBJECT = "an object"


@dataclass(frozen=True, slots=True)
class Shape:
    """One value's type; `aws` is AWS's name for it where that is not the key with a capital first letter."""

    kind: Kind
    fields: Mapping[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    required: frozenset[str] = frozenset()
    aws: str | None = None
    pairs: tuple[str, str] | None = None

    def named(self, aws: str) -> Shape:
        """Return this shape under another name at AWS."""
        return Shape(self.kind, self.fields, self.item, self.required, aws, self.pairs)


TEXT = Shape(Kind.TEXT)
INTEGER = Shape(Kind.INTEGER)
NUMBER = Shape(Kind.NUMBER)
SWITCH = Shape(Kind.SWITCH)
JSON = Shape(Kind.JSON)
ASSET = Shape(Kind.ASSET)


def list_of(item: Shape) -> Shape:
    """Return the shape of a list."""
    return Shape(Kind.LIST, item=item)


def map_of(item: Shape, pairs: tuple[str, str] | None = None) -> Shape:
    """Return the shape of a map; AWS writes it as a list of `pairs` (name key, value key) if given."""
    return Shape(Kind.MAP, item=item, pairs=pairs)


def an_object(required: str = "", /, **fields: Shape) -> Shape:
    """Return the shape of an object; `required` lists keys, separated by blanks.

    A field whose name is a Python keyword is written with an underscore behind it.
    """
    return Shape(
        Kind.OBJECT,
        fields={name.rstrip("_"): shape for name, shape in fields.items()},
        required=frozenset(required.split()),
    )


TEXTS = list_of(TEXT)
TAGS = map_of(TEXT, pairs=("Key", "Value"))
DIMENSIONS = map_of(TEXT, pairs=("Name", "Value"))


def check_shape(shape: Shape, value: Any, where: str) -> None:
    """Refuse a value that does not have its shape; unknown values pass.

    Raises:
        InvalidInput: a key is not known or missing, or a value has the wrong type.
    """
    if value is UNKNOWN or value is None:
        return
    if not _fits(shape, value):
        raise InvalidInput(f"{where} must be {shape.kind}, not {json.dumps(value, default=repr)[:80]}.")
    if shape.kind is Kind.OBJECT:
        for key in value:
            if key not in shape.fields:
                raise InvalidInput(f"{where} has no key '{key}'{_suggestion(key, shape)}.")
        for key in sorted(shape.required):
            if value.get(key) is None:
                raise InvalidInput(f"{where} needs a value for '{key}'.")
        for key, item in value.items():
            check_shape(shape.fields[key], item, f"{where}.{key}")
    elif shape.item is not None and shape.kind is Kind.LIST:
        for position, item in enumerate(value):
            check_shape(shape.item, item, f"{where}[{position}]")
    elif shape.item is not None:
        for key, item in value.items():
            check_shape(shape.item, item, f"{where}.{key}")


def to_aws(shape: Shape, value: Any) -> Any:
    """Write a value that fits its shape as AWS wants it; missing values are left out."""
    match shape.kind:
        case Kind.OBJECT:
            return {
                shape.fields[key].aws or key[:1].upper() + key[1:]: to_aws(shape.fields[key], item)
                for key, item in value.items()
                if item is not None
            }
        case Kind.LIST if shape.item is not None:
            return [to_aws(shape.item, item) for item in value]
        case Kind.MAP if shape.item is not None:
            items = {key: to_aws(shape.item, item) for key, item in value.items()}
            if shape.pairs is None:
                return items
            name_key, value_key = shape.pairs
            return [{name_key: key, value_key: item} for key, item in items.items()]
        case Kind.SWITCH:
            return value if isinstance(value, bool) else value == "true"
        case Kind.INTEGER:
            return int(value)
        case Kind.TEXT:
            return str(value)
        case Kind.JSON:
            return json_text(value)
    return value


def json_text(value: object) -> str:
    """Return a JSON document as text, whether the program wrote it as text or as an object."""
    return value if isinstance(value, str) else json.dumps(value)


def _fits(shape: Shape, value: object) -> bool:
    match shape.kind:
        case Kind.TEXT:
            # The SDK's bridge takes numbers where it documents strings (a volume size, a template's version).
            return isinstance(value, str | int | float) and not isinstance(value, bool)
        case Kind.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case Kind.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case Kind.SWITCH:
            return isinstance(value, bool) or value in ("true", "false")
        case Kind.JSON:
            return isinstance(value, dict) or (isinstance(value, str) and _is_json(value))
        case Kind.ASSET:
            return isinstance(value, Asset)
        case Kind.LIST:
            return isinstance(value, list)
    return isinstance(value, dict)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _suggestion(key: str, shape: Shape) -> str:
    close = difflib.get_close_matches(key, shape.fields, n=1)
    return f", perhaps '{close[0]}' is meant" if close else f"; it knows {', '.join(sorted(shape.fields))}"
