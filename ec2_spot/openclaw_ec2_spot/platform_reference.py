"""Finds the platform stack that belongs to an instance's stack."""

from collections.abc import Mapping
from typing import Any

import pulumi

from openclaw_platform.outputs import OUTPUT_NAMES, PlatformOutputs
from openclaw_platform.refusals import ConfigRefused, PlatformStackMissing

PLATFORM_PROJECT = "openclaw-platform"
"""The project name in platform/Pulumi.yaml."""


def platform_stack_name(organization: str, stack: str) -> str:
    """The full name of the platform stack that an instance's stack of the same name relies on."""
    return f"{organization}/{PLATFORM_PROJECT}/{stack}"


def referenced_platform(organization: str, stack: str, region: str) -> PlatformOutputs[pulumi.Input[str]]:
    """The outputs of the platform stack, which is in the same region.

    Raises:
        PlatformStackMissing: when there is no such stack, or it has not been deployed whole.
        ConfigRefused: when it is in another region than this project's.
    """
    full_name = platform_stack_name(organization, stack)
    deployed = _deployed_outputs(full_name)
    missing = [name for name in OUTPUT_NAMES if name not in deployed]
    if missing:
        raise PlatformStackMissing(
            f"The platform stack {full_name} has no output {missing[0]}: "
            f"run `pulumi up` in platform/ for the stack {stack} first."
        )
    if deployed["region"] != region:
        raise ConfigRefused(
            f"aws:region is {region!r}, but must be {deployed['region']!r}, where the platform stack {full_name} was "
            f"deployed: set it with `pulumi config set aws:region {deployed['region']}`; to live in another region, "
            "deploy a new stack there and copy the backups."
        )
    reference = pulumi.StackReference(full_name)
    return PlatformOutputs(**{name: reference.require_output(name) for name in OUTPUT_NAMES})


def _deployed_outputs(full_name: str) -> Mapping[str, Any]:
    """Ask the engine directly: a StackReference reports a missing stack only later, as a traceback."""
    try:
        answer = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": full_name}).value
    except Exception as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise PlatformStackMissing(
            f"The platform stack {full_name} cannot be read ({reason}): "
            f"run `pulumi up` in platform/ for the stack {full_name.rpartition('/')[2]} first, "
            "or name its organization with `pulumi config set platform_organization NAME`."
        ) from error
    outputs: Mapping[str, Any] = (answer or {}).get("outputs") or {}
    return outputs
