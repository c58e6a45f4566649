"""What a registration means for a resource that exists already: pure, from the old resource and the new goal."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from lab.resources.changes import ReplacementRules, cannot_exist_twice, changed_keys
from lab.resources.resource import Resource
from lab.resources.values import Inputs, same


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


def _delete_first(old: Resource, goal: Goal, rules: ReplacementRules) -> bool:
    if goal.delete_before_replace is not None:
        return goal.delete_before_replace
    return cannot_exist_twice(old.inputs, goal.inputs, rules)


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
