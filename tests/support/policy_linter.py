"""A linter of policies over AWS's own tables of actions (the service authorization reference, as policy_sentry has it).

A finding is a sentence. What an action may name, and which conditions it knows, is what AWS says and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policy_sentry.querying.actions import get_action_data

from tests.support.policy_evaluator import texts

VARIABLE = re.compile(r"\$\{[^}]+\}|<[^>]+>")


def findings(policy: Mapping[str, Any]) -> list[str]:
    """All that is wrong with a policy; a resource policy (with principals) is judged by the same tables."""
    return [
        f"{statement['Sid']}: {finding}"
        for statement in policy["Statement"]
        for action in texts(statement["Action"])
        for finding in _judged(statement, action)
    ]


def names_nothing(action: str) -> bool:
    """Whether AWS has no resource that the action could be bound to."""
    return {row["resource_arn_format"] for row in _rows(action)} == {"*"}


def _judged(statement: Mapping[str, Any], action: str) -> Iterator[str]:
    # All of a service: only where a statement denies, or lets through what other policies decide.
    if action.endswith(":*"):
        if "Principal" not in statement:
            yield f"{action} is everything of a service"
        return
    rows = _rows(action)
    if not rows:
        yield f"AWS knows no action {action}"
        return
    for resource in texts(statement.get("Resource", "*")):
        if resource == "*":
            if not names_nothing(action) and "Principal" not in statement:
                yield f"{action} can be bound to a resource, and is not"
        elif not any(_fits(resource, row["resource_arn_format"]) for row in rows):
            yield f"{action} cannot name {resource}"
    known = [key for row in rows for key in row["condition_keys"]]
    for block in statement.get("Condition", {}).values():
        for key in block:
            if not key.lower().startswith("aws:") and not any(_is_key(key, pattern) for pattern in known):
                yield f"{action} knows no condition {key}"


def _rows(action: str) -> list[dict[str, Any]]:
    service, _, name = action.partition(":")
    found: dict[str, list[dict[str, Any]]] = get_action_data(service, name) or {}
    return [row for row in found.get(service, []) if row["action"].lower() == action.lower()]


def _fits(resource: str, pattern: str) -> bool:
    """Whether a resource, wildcards and all, can be one of a form such as `arn:${Partition}:s3:::${Bucket}/${Key}`."""
    if pattern == "*":
        return False
    form = ".+".join(re.escape(part) for part in VARIABLE.split(pattern))
    # CloudWatch Logs writes the ARN of a group with `:*` behind it, which stands for its streams too.
    group = resource.removesuffix(":*")
    named = {resource} if group == resource else {resource, group, f"{group}:log-stream:any"}
    return any(re.fullmatch(form, name) for name in named)


def _is_key(key: str, pattern: str) -> bool:
    return re.fullmatch(".+".join(re.escape(part) for part in VARIABLE.split(pattern)), key, re.IGNORECASE) is not None
