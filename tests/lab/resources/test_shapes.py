"""Shapes: what inputs may hold, how AWS calls it, and that the real provider knows every key of ours."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.resources.errors import InvalidInput
from lab.resources.handlers import HANDLERS
from lab.resources.handlers.base import Handler
from lab.resources.shapes import (
    DIMENSIONS,
    INTEGER,
    JSON,
    SWITCH,
    TAGS,
    TEXT,
    Kind,
    Shape,
    an_object,
    check_shape,
    list_of,
    to_aws,
)
from lab.resources.values import UNKNOWN

SHAPE = an_object(
    "name",
    name=TEXT,
    size=INTEGER,
    on=SWITCH,
    policy=JSON,
    tags=TAGS,
    dimensions=DIMENSIONS,
    rules=list_of(an_object(id=TEXT.named("ID"), and_=an_object(prefix=TEXT))),
)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"name": "a", "sise": 1}, "it has no key 'sise', perhaps 'size' is meant"),
        ({"name": "a", "zzz": 1}, "it has no key 'zzz'; it knows dimensions, name"),
        ({"size": 1}, "it needs a value for 'name'"),
        ({"name": []}, r"it\.name must be a string, not \[\]"),
        ({"name": "a", "size": "1"}, r"it\.size must be a whole number"),
        ({"name": "a", "size": True}, r"it\.size must be a whole number"),
        ({"name": "a", "on": "yes"}, r"it\.on must be true or false"),
        ({"name": "a", "policy": "{"}, r"it\.policy must be a JSON document"),
        ({"name": "a", "rules": {}}, r"it\.rules must be a list"),
        ({"name": "a", "rules": [{"and": {"prefiks": "x"}}]}, r"it\.rules\[0\]\.and has no key 'prefiks'"),
        ({"name": "a", "tags": {"x": {}}}, r"it\.tags\.x must be a string"),
    ],
    ids=["near", "far", "missing", "text", "number", "bool", "switch", "json", "list", "nested", "map"],
)
def test_what_does_not_fit_is_named(value: Any, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        check_shape(SHAPE, value, "it")


@pytest.mark.parametrize(
    "value",
    [
        {"name": "a"},
        {"name": 3},
        {"name": UNKNOWN, "rules": UNKNOWN},
        {"name": "a", "on": "true", "policy": {"a": 1}, "rules": [{"and": {"prefix": "x"}}, UNKNOWN]},
    ],
    ids=["least", "number-as-text", "unknown", "full"],
)
def test_what_fits_passes(value: Any) -> None:
    check_shape(SHAPE, value, "it")


def test_aws_names() -> None:
    value = {
        "name": 3,
        "on": "true",
        "policy": {"a": 1},
        "tags": {"x": "y"},
        "dimensions": {"x": "y"},
        "rules": [{"id": "1", "and": {"prefix": "p"}}],
        "size": None,
    }
    assert to_aws(SHAPE, value) == {
        "Name": "3",
        "On": True,
        "Policy": '{"a": 1}',
        "Tags": [{"Key": "x", "Value": "y"}],
        "Dimensions": [{"Name": "x", "Value": "y"}],
        "Rules": [{"ID": "1", "And": {"Prefix": "p"}}],
    }


def provider_keys(arguments: type, inputs: Any) -> dict[str, type | None]:
    """Each input key of one of pulumi_aws's argument classes, with the class of a nested object."""
    from pulumi import _types

    keys = {}
    for python_name, name in _types.input_type_py_to_pulumi_names(arguments).items():
        getter = getattr(arguments, python_name).fget
        nested = re.search(r"'(\w+Args)'", str(getter.__annotations__["return"]))
        keys[name] = getattr(inputs, nested.group(1), None) if nested else None
    return keys


def unknown_keys(shape: Shape, arguments: type, inputs: Any, where: str) -> Iterator[str]:
    known = provider_keys(arguments, inputs)
    for key, field in shape.fields.items():
        inner = field
        while inner.item is not None:
            inner = inner.item
        if key not in known:
            yield f"{where}.{key}"
        elif inner.kind is Kind.OBJECT:
            nested = known[key]
            if nested is None:
                yield f"{where}.{key} (not an object there)"
            else:
                yield from unknown_keys(inner, nested, inputs, f"{where}.{key}")


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
def test_the_real_provider_knows_every_key_that_a_handler_declares(handler: Handler) -> None:
    module_name, class_name = re.fullmatch(r"aws:(\w+)/\w+:(\w+)", handler.type).groups()  # type: ignore[union-attr]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(f"pulumi_aws.{module_name}")
        inputs = importlib.import_module(f"pulumi_aws.{module_name}._inputs")
    resource = getattr(module, class_name)
    defined_in = sys.modules[resource.__module__]
    assert f"'{handler.type}'" in Path(str(defined_in.__file__)).read_text()
    # The other name is taken where a nested object of another resource is called like this resource's arguments.
    arguments = getattr(defined_in, f"{class_name}InitArgs", None) or getattr(defined_in, f"{class_name}Args")
    # IAM is global: its resources take no region, which the shape of all ours allows.
    found = [key for key in unknown_keys(handler.shape, arguments, inputs, class_name) if key != f"{class_name}.region"]
    assert found == []


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS)
def test_rules_of_a_handler_name_keys_that_it_has(handler: Handler) -> None:
    assert handler.replace_on <= set(handler.shape.fields)
    assert handler.name_key is None or handler.name_key in handler.replace_on
