"""Which inputs of a resource changed, and what follows for its replacement: pure."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass

from lab.resources.values import Inputs, same


@dataclass(frozen=True, slots=True)
class ReplacementRules:
    """What a handler says about replacing its type; see `Handler`."""

    replace_on: frozenset[str] = frozenset()
    name_key: str | None = None
    unique: bool = False


def changed_keys(old: Inputs, new: Inputs) -> list[str]:
    """Return the top-level keys whose values differ; a missing key is the same as null."""
    return [key for key in sorted({*old, *new}) if not same(old.get(key), new.get(key))]


def with_ignored_changes(old: Inputs, new: Inputs, paths: Collection[str]) -> Inputs:
    """Return the new inputs with the old values at these dotted paths (a list is ignored as a whole)."""
    result = copy.copy(new)
    for path in paths:
        keys = path.split("[")[0].split(".")
        _take_over(old, result, keys)
    return result


def _take_over(old: Inputs, new: Inputs, keys: list[str]) -> None:
    head, *rest = keys
    if rest and isinstance(old.get(head), dict) and isinstance(new.get(head), dict):
        new[head] = dict(new[head])
        _take_over(old[head], new[head], rest)
    elif head in old:
        new[head] = old[head]
    else:
        new.pop(head, None)


def cannot_exist_twice(old: Inputs, new: Inputs, rules: ReplacementRules) -> bool:
    """Whether the old resource must be gone before the new one can be made: it has the same name at AWS."""
    if rules.unique:
        return True
    key = rules.name_key
    return key is not None and new.get(key) is not None and same(old.get(key), new.get(key))
