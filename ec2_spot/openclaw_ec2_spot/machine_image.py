"""Which machine image the instance boots from, and what the person who deploys is told about it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from openclaw_ec2_spot.config_keys import NEWEST_IMAGE
from openclaw_ec2_spot.placement import Architecture
from openclaw_platform.refusals import ConfigRefused

REFRESH_VARIABLE = "REFRESH_AMI"
"""The environment variable that asks one deployment for the newest image."""


@dataclass(frozen=True, slots=True)
class MachineImage:
    """An image that this account sees; `architecture` in EC2's word for it."""

    ami_id: str
    architecture: str


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """The image, and the sentences about it: of what happens to the instance, or of what could."""

    ami_id: str
    warning: str = ""
    hint: str = ""


def refresh_is_asked(environment: Mapping[str, str]) -> bool:
    """Whether this deployment is to take the newest image.

    Raises:
        ConfigRefused: when the variable is neither 1 nor empty or 0.
    """
    value = environment.get(REFRESH_VARIABLE, "")
    if value not in ("", "0", "1"):
        raise ConfigRefused(f"{REFRESH_VARIABLE} is {value!r}, but must be 1 (take the newest image), 0 or nothing.")
    return value == "1"


def takes_the_newest(configured: str, *, refresh: bool) -> bool:
    """Whether the newest image is asked for, by the configuration or for this once.

    Raises:
        ConfigRefused: when a pinned image is to be refreshed.
    """
    if refresh and configured not in ("", NEWEST_IMAGE):
        raise ConfigRefused(
            f"{REFRESH_VARIABLE} is '1', but ami_id pins {configured}: run `pulumi config rm ami_id` first, or pin "
            "another image."
        )
    return refresh or configured == NEWEST_IMAGE


def require_image_architecture(ami_id: str, actual: str, wanted: Architecture) -> None:
    """Refuse a pinned machine image that the instance types cannot boot.

    Raises:
        ConfigRefused: when its architecture is not the types'.
    """
    if actual != wanted.value:
        raise ConfigRefused(
            f"ami_id is {ami_id!r}, an image for {actual}, but must be one for {wanted.value} as instance_type is."
        )


def choose_unpinned(
    newest: str, deployed: str, deployed_image: MachineImage | None, wanted: Architecture, *, take_newest: bool
) -> ImageChoice:
    """The image where none is pinned: the deployed one as long as it can be booted and nobody asks for the newest.

    `deployed` is the image's id in the stack's launch template, empty where there is none; `deployed_image` is None
    where that image can no longer be seen.
    """
    if deployed in ("", newest):
        return ImageChoice(newest)
    if take_newest:
        return ImageChoice(newest, warning=replaces_the_instance(deployed, newest))
    if deployed_image is None:
        reason = f"The deployed machine image {deployed} is not there any more, so that the newest takes its place. "
        return ImageChoice(newest, warning=reason + replaces_the_instance(deployed, newest))
    if deployed_image.architecture != wanted.value:
        return ImageChoice(newest, warning=replaces_the_instance(deployed, newest))
    return ImageChoice(
        deployed,
        hint=f"The machine image stays {deployed}; there is a newer one, {newest}: `make up {REFRESH_VARIABLE}=1` "
        "takes it, which replaces the instance.",
    )


def replaces_the_instance(deployed: str, chosen: str) -> str:
    """The sentence about a changed image; empty where it is the same or nothing is deployed."""
    if deployed in ("", chosen):
        return ""
    return (
        f"The instance is replaced, because its machine image changes from {deployed} to {chosen}: a final backup, "
        "then a new instance that restores it."
    )
