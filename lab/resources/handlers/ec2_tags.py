"""Tags and look-ups that all EC2 resources share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from lab.resources.handlers.base import is_gone
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.values import Inputs


def tag_specification(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the `TagSpecifications` of a create call; EC2 refuses an empty one, so no tags give an empty list."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": kind, "Tags": pairs}] if pairs else []


def retag(cloud: Region, current: Resource, inputs: Inputs) -> dict[str, str]:
    """Bring a resource's tags to the new inputs, and return them all."""
    ec2, tags = cloud.client("ec2"), cloud.tags(inputs)
    stale = [{"Key": key} for key in current.outputs.get("tagsAll", {}) if key not in tags]
    if stale:
        ec2.delete_tags(Resources=[current.id], Tags=stale)
    if tags:
        ec2.create_tags(Resources=[current.id], Tags=cloud.tag_list(inputs))
    return tags


def first_or_none(describe: Callable[..., dict[str, Any]], key: str, **query: Any) -> dict[str, Any] | None:
    """Return the first thing that a describe call finds, None if there is none."""
    try:
        found = describe(**query)[key]
    except ClientError as error:
        if is_gone(error):
            return None
        raise
    return found[0] if found else None
