"""What the instance boots with: user-data, and in words for the launch template and for who deploys a change. Pure.

A preview shows user-data as a wall of base64; the description is beside it, and so it is in EC2's list of versions.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.placement import DeployedTemplate, Placement
from openclaw_ec2_spot.user_data import render_user_data
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs

LONGEST_DESCRIPTION = 255
"""What EC2 takes as the description of a template's version."""

_DIGITS = 12
_LONGEST_VALUE = 60
_INSTANCE_JSON = re.compile(r"^ *content: ([A-Za-z0-9+/]+=*)$", re.MULTILINE)
# Said as the release's sum, by words of their own, or of no interest to a person.
_NOT_SETTINGS = frozenset({"release_key", "release_sha256", "image"})


@dataclass(frozen=True, slots=True)
class Boot:
    """What the template is given, and the sentence about the instance's replacement (empty where it stays)."""

    user_data: str
    description: str
    announcement: str


def plan_boot(
    template: str, scope: Scope, settings: InstanceSettings, placement: Placement, platform: PlatformOutputs[str]
) -> Boot:
    """Render the user-data, and say what it and the rest of the launch template are made of.

    Raises:
        ConfigRefused: when the user-data is more than EC2 takes.
    """
    user_data = render_user_data(template, scope, settings, platform)
    described = describe(settings, placement, user_data)
    return Boot(user_data, described, announce(placement.deployed, described, user_data))


def describe(settings: InstanceSettings, placement: Placement, user_data: str) -> str:
    """One line of `name value` pairs, separated by commas; `settings` sums up all that has no word of its own."""
    told = _instance_json(user_data)
    words = {
        "release": str(told.get("release_sha256", ""))[:_DIGITS],
        "image": _short_image(settings.image),
        "ami": placement.ami_id,
        "types": _short("/".join(placement.instance_types)),
        "disk": f"{settings.root_volume_size_gib} GiB",
        "credits": settings.cpu_credits if placement.burstable else "none",
        "zone": settings.availability_zone,
        "settings": _sum_of_settings(told, user_data),
    }
    return ", ".join(f"{name} {value}" for name, value in words.items())[:LONGEST_DESCRIPTION]


def announce(deployed: DeployedTemplate | None, description: str, user_data: str) -> str:
    """The sentence about what replaces the instance; empty where nothing does, or only its machine image."""
    if deployed is None or (deployed.description, deployed.user_data) == (description, user_data):
        return ""
    before, after = _words(deployed.description), _words(description)
    old, new = _instance_json(deployed.user_data), _instance_json(user_data)
    changes = [*_changes(before, after, ("release", "image")), *_changed_settings(old, new)]
    changes += _changes(before, after, ("types", "disk", "credits", "zone"))
    if not before:
        # Deployed by a version that did not describe its templates.
        changes += _changes(_described_by(old), after, ("release", "image"))
    if not changes and deployed.user_data != user_data:
        changes = ["the script of its first boot"]
    if not changes:
        return ""
    return (
        "The instance is replaced (a final backup, then a new instance that restores it), because this changes: "
        f"{'; '.join(changes)}."
    )


def _changes(before: dict[str, str], after: dict[str, str], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if name in before and name in after and before[name] != after[name]:
            yield f"{name} from {before[name]} to {after[name]}"


def _changed_settings(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    keys = {row.instance_json: row.name for row in InstanceSettings.rows() if row.instance_json}
    if old and new:
        untold = {row.instance_json: row.default_value for row in InstanceSettings.rows() if row.told_if_changed}
        old, new = untold | old, untold | new
    for name in sorted(old.keys() & new.keys() - _NOT_SETTINGS):
        if old[name] != new[name]:
            yield f"{keys.get(name, name)} from {_text(old[name])} to {_text(new[name])}"


def _words(description: str) -> dict[str, str]:
    if not description.startswith("release "):
        return {}
    return {name: value for name, _, value in (pair.partition(" ") for pair in description.split(", "))}


def _described_by(told: dict[str, Any]) -> dict[str, str]:
    if not told:
        return {}
    return {
        "release": str(told.get("release_sha256", ""))[:_DIGITS],
        "image": _short_image(str(told.get("image", ""))),
    }


def _instance_json(user_data: str) -> dict[str, Any]:
    """The settings inside of user-data, {} where it has none that can be read."""
    found = _INSTANCE_JSON.search(user_data)
    try:
        told = json.loads(base64.b64decode(found[1], validate=True)) if found else {}
    except (binascii.Error, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _sum_of_settings(told: dict[str, Any], user_data: str) -> str:
    rest = {name: value for name, value in told.items() if name not in _NOT_SETTINGS}
    script = _INSTANCE_JSON.sub("", user_data).replace(str(told.get("release_sha256", "")), "")
    return hashlib.sha256(f"{json.dumps(rest, sort_keys=True)}\n{script}".encode()).hexdigest()[:8]


def _short_image(image: str) -> str:
    name, _, digest = image.rpartition("/")[2].partition("@sha256:")
    return _short(f"{name}@{digest[:_DIGITS]}" if digest else name)


def _short(text: str) -> str:
    if len(text) <= _LONGEST_VALUE:
        return text
    # Two long values that differ behind the cut differ in the description too.
    return f"{text[: _LONGEST_VALUE - 10]}…{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _text(value: object) -> str:
    if isinstance(value, list):
        return _short(",".join(map(str, value))) or "nothing"
    return _short(str(value).lower() if isinstance(value, bool) else str(value)) or "nothing"
