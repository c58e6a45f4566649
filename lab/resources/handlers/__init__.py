"""The resource types that the embedded AWS serves: one handler each, grouped by service."""

from __future__ import annotations

from collections.abc import Mapping

from lab.resources.changes import ReplacementRules
from lab.resources.errors import UnknownResourceType
from lab.resources.handlers import (
    autoscaling,
    cloudwatch,
    ec2_firewall,
    ec2_launch,
    ec2_network,
    ec2_routing,
    ecr,
    iam,
    logs,
    s3,
    s3_objects,
    s3_settings,
    sns,
)
from lab.resources.handlers.base import Handler

HANDLERS: Mapping[str, Handler] = {
    handler.type: handler
    for group in (
        s3, s3_settings, s3_objects, ec2_network, ec2_routing, ec2_firewall, ec2_launch, autoscaling, iam, ecr, sns,
        logs, cloudwatch,
    )
    for handler in group.HANDLERS
}  # fmt: skip

RULES = {
    kind: ReplacementRules(handler.replace_on, handler.name_key, handler.unique) for kind, handler in HANDLERS.items()
}


def handler_of(kind: str) -> Handler:
    """Return the handler of a resource type.

    Raises:
        UnknownResourceType: nothing serves it.
    """
    if kind not in HANDLERS:
        raise UnknownResourceType(f"The embedded AWS has no handler for the resource type {kind}.")
    return HANDLERS[kind]
