"""Where and on what the instance may run: the rules between zone, region, instance types and architecture."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from openclaw_ec2_spot.network_plan import ZONE_LETTERS, ZoneSubnet
from openclaw_platform.refusals import ConfigRefused


class Architecture(Enum):
    """The processor architectures that Amazon Linux 2023, the release's wheels and OpenClaw's image exist for."""

    ARM64 = "arm64"
    X86_64 = "x86_64"

    @property
    def ami_parameter(self) -> str:
        """The public SSM parameter that names the newest Amazon Linux 2023 image."""
        return f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{self.value}"


@dataclass(frozen=True, slots=True)
class InstanceTypeFacts:
    """What EC2 says about one instance type."""

    name: str
    architectures: tuple[str, ...]
    burstable: bool


@dataclass(frozen=True, slots=True)
class DeployedTemplate:
    """The newest version of the stack's launch template; its user-data as plain text."""

    ami_id: str
    description: str
    user_data: str


@dataclass(frozen=True, slots=True)
class Placement:
    """What AWS confirmed: the subnet in its zone, the types in order of preference, architecture and image.

    `deployed` is None before the first deployment.
    """

    subnet: ZoneSubnet
    instance_types: tuple[str, ...]
    architecture: Architecture
    burstable: bool
    ami_id: str
    deployed: DeployedTemplate | None = None


def is_zone_of(zone: str, region: str) -> bool:
    """Whether the name is that of an availability zone of the region, and not of a Local or Wavelength Zone."""
    return zone[:-1] == region and zone[-1:] in ZONE_LETTERS


def require_zone_in_region(zone: str, region: str) -> None:
    """Refuse a zone that by its name lies in another region.

    Raises:
        ConfigRefused: when it does.
    """
    if zone[:-1] != region:
        raise ConfigRefused(
            f"availability_zone is {zone!r}, but must be a zone of the stack's region {region}, such as {region}a; "
            "the region is set with `pulumi config set aws:region REGION`."
        )


def require_key_in_region(kms_key_arn: str, region: str) -> None:
    """Refuse a key of another region, which SSM does not take.

    Raises:
        ConfigRefused: when it is one.
    """
    if kms_key_arn and kms_key_arn.split(":")[3] != region:
        raise ConfigRefused(f"kms_key_arn is {kms_key_arn!r}, but must be a key of the stack's region {region}.")


def require_zone_exists(zone: str, region: str, zones: Collection[str]) -> None:
    """Refuse a zone that the account does not have.

    Raises:
        ConfigRefused: when it does not.
    """
    if zone not in zones:
        raise ConfigRefused(
            f"availability_zone is {zone!r}, but in {region} must be one of {', '.join(sorted(zones))}."
        )


def require_types_offered(
    types: Iterable[str], zone: str, region: str, *, in_zone: Collection[str], in_region: Collection[str]
) -> None:
    """Refuse a type that is unknown in the region or not offered in the zone.

    Raises:
        ConfigRefused: for the first such type.
    """
    for name in types:
        if name not in in_region:
            raise ConfigRefused(f"instance_type is {name!r}, but must be a type that EC2 offers in {region}.")
        if name not in in_zone:
            raise ConfigRefused(f"instance_type is {name!r}, but must be a type that EC2 offers in the zone {zone}.")


def common_architecture(facts: Iterable[InstanceTypeFacts]) -> Architecture:
    """The one architecture that all the types have.

    Raises:
        ConfigRefused: when they have none in common.
    """
    facts = tuple(facts)
    for architecture in Architecture:
        if all(architecture.value in fact.architectures for fact in facts):
            return architecture
    described = ", ".join(f"{fact.name} ({'/'.join(fact.architectures)})" for fact in facts)
    raise ConfigRefused(f"instance_type is {described}, but all types must have one architecture, arm64 or x86_64.")


def all_burstable(facts: Iterable[InstanceTypeFacts]) -> bool:
    """Whether the types earn CPU credits: all of them, or none.

    Raises:
        ConfigRefused: for a mixture, since a launch template has one credit setting and EC2 takes it for burstable
            types alone.
    """
    facts = tuple(facts)
    burstable = [fact.name for fact in facts if fact.burstable]
    if burstable and len(burstable) != len(facts):
        others = [fact.name for fact in facts if not fact.burstable]
        raise ConfigRefused(
            f"instance_type mixes {', '.join(burstable)} with {', '.join(others)}, "
            "but must be burstable types (t...) only, or none of them."
        )
    return bool(burstable)
