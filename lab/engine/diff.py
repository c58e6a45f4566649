"""What a registration means for a resource that exists already: pure, from the old resource and the new goal."""

from __future__ import annotations

import copy
import enum
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from lab.engine.state import Resource
from lab.engine.values import Inputs, same


class Action(enum.StrEnum):
    """What happens to one resource in one deployment."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    READ = "read"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Goal:
    """What the program asks for in one registration."""

    urn: str
    type: str
    name: str
    inputs: Inputs
    custom: bool = True
    parent: str = ""
    protect: bool = False
    retain_on_delete: bool = False
    provider: str = ""
    deleted_with: str = ""
    import_id: str = ""
    delete_before_replace: bool | None = None
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    replace_with: tuple[str, ...] = ()
    replacement_trigger: Any = None
    secret_inputs: tuple[str, ...] = ()
    secret_outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplacementRules:
    """What a handler says about replacing its type; see `Handler`."""

    replace_on: frozenset[str] = frozenset()
    name_key: str | None = None
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The action, and why: the changed keys, and those of them that need a new resource."""

    action: Action
    changed: tuple[str, ...] = ()
    replacing: tuple[str, ...] = ()
    delete_first: bool = False


def plan(old: Resource | None, goal: Goal, rules: ReplacementRules, replaced: Collection[str] = ()) -> Plan:
    """Decide what to do; `replaced` are the URNs replaced earlier in the same deployment."""
    if old is None:
        return Plan(Action.IMPORT if goal.import_id else Action.CREATE)
    changed = changed_keys(old.inputs, goal.inputs)
    replacing = [key for key in changed if key in rules.replace_on or key == "region"]
    asked = {path.split(".")[0].split("[")[0] for path in goal.replace_on_changes}
    replacing += [key for key in changed if key not in replacing and (key in asked or "*" in asked)]
    if old.type != goal.type:
        replacing.append("type")
    if goal.replacement_trigger is not None and not same(old.replacement_trigger, goal.replacement_trigger):
        replacing.append("replacementTrigger")
    if any(urn in replaced for urn in goal.replace_with):
        replacing.append("replaceWith")
    if replacing:
        return Plan(Action.REPLACE, tuple(changed), tuple(replacing), _delete_first(old, goal, rules))
    return Plan(Action.UPDATE if changed else Action.SAME, tuple(changed))


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


def _delete_first(old: Resource, goal: Goal, rules: ReplacementRules) -> bool:
    if goal.delete_before_replace is not None:
        return goal.delete_before_replace
    return cannot_exist_twice(old.inputs, goal.inputs, rules)


def cannot_exist_twice(old: Inputs, new: Inputs, rules: ReplacementRules) -> bool:
    """Whether the old resource must be gone before the new one can be made: it has the same name at AWS."""
    if rules.unique:
        return True
    key = rules.name_key
    return key is not None and new.get(key) is not None and same(old.get(key), new.get(key))


def deletion_order(resources: Collection[Resource]) -> list[Resource]:
    """Return the resources so that each comes before everything that it depends on; the newest first among equals."""
    by_urn = {resource.urn: resource for resource in resources}
    ordered: dict[str, Resource] = {}

    def visit(resource: Resource, path: tuple[str, ...]) -> None:
        if resource.urn in ordered or resource.urn in path:
            return
        for urn in (*resource.dependencies, resource.parent):
            if urn in by_urn:
                visit(by_urn[urn], (*path, resource.urn))
        ordered[resource.urn] = resource

    for resource in resources:
        visit(resource, ())
    return list(reversed(ordered.values()))


def dependents_to_replace(
    urn: str, resources: Collection[Resource], rules: dict[str, ReplacementRules]
) -> list[Resource]:
    """Return what must be deleted before `urn` can be, since it depends on it in a key that cannot change in place."""
    found: dict[str, Resource] = {}
    pending = [urn]
    while pending:
        target = pending.pop()
        for resource in resources:
            needed = rules.get(resource.type, ReplacementRules()).replace_on
            if resource.urn in found or not any(
                target in urns and key in needed for key, urns in resource.property_dependencies.items()
            ):
                continue
            found[resource.urn] = resource
            pending.append(resource.urn)
    return deletion_order(list(found.values()))
