"""`aws.iam.get_policy_document`: an IAM policy from the provider's statements; pure."""

from __future__ import annotations

import json
from typing import Any

from lab.resources.values import Inputs

DEFAULT_VERSION = "2012-10-17"
LISTS = {
    "actions": "Action",
    "notActions": "NotAction",
    "resources": "Resource",
    "notResources": "NotResource",
}


def policy_document(asked: Inputs) -> Inputs:
    """Return the policy as `json` and `minifiedJson`, in the provider's form (one-element lists become values)."""
    document: dict[str, Any] = {"Version": asked.get("version", DEFAULT_VERSION)}
    if asked.get("policyId"):
        document["Id"] = asked["policyId"]
    document["Statement"] = [_statement(each) for each in asked.get("statements", [])]
    return {
        "id": "policy",
        "json": json.dumps(document, indent=2),
        "minifiedJson": json.dumps(document, separators=(",", ":")),
    }


def _statement(asked: Inputs) -> dict[str, Any]:
    written: dict[str, Any] = {"Effect": asked.get("effect", "Allow")}
    if asked.get("sid"):
        written["Sid"] = asked["sid"]
    for key, name in LISTS.items():
        if asked.get(key):
            written[name] = _single(asked[key])
    for key, name in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if asked.get(key):
            written[name] = {each["type"]: _single(each["identifiers"]) for each in asked[key]}
    for condition in asked.get("conditions", []):
        block = written.setdefault("Condition", {}).setdefault(condition["test"], {})
        block[condition["variable"]] = _single(condition["values"])
    return written


def _single(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
