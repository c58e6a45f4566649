"""Which part of the network's addresses a zone has, and what of a deployed network cannot change. Pure.

Each zone has a part of its own, so that a change of zone can make the new subnet while the instance still lives in the
old one. Version 0.1.0 gave its one subnet the whole network: such a stack stays as it is, in its zone.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network

from openclaw_ec2_spot.config_keys import NARROWEST_NETWORK, InstanceSettings
from openclaw_platform.refusals import ConfigRefused

ZONE_LETTERS = "abcdefgh"
"""The letters that zones end in, one part of the network each; eight parts of a /25 are subnets of the least size."""

_START_ANEW = "or run `pulumi destroy --exclude-protected` and then `pulumi up`: the state comes back from the bucket"


@dataclass(frozen=True, slots=True)
class ZoneSubnet:
    """A subnet, there already or yet to be made; `name` is what Pulumi knows it by, beside the component's own."""

    zone: str
    cidr: IPv4Network
    name: str


@dataclass(frozen=True, slots=True)
class DeployedNetwork:
    """The network that a stack has in AWS: its addresses, and those of each subnet with the subnet's zone."""

    vpc_id: str
    cidr: IPv4Network
    subnets: tuple[tuple[str, IPv4Network], ...]


def plan_subnet(settings: InstanceSettings, deployed: DeployedNetwork | None) -> ZoneSubnet:
    """The subnet that the instance is to run in.

    Raises:
        ConfigRefused: when the network is too small or has no part for the zone, or when what is deployed cannot become
            what is configured.
    """
    zone, cidr = settings.availability_zone, settings.cidr
    if deployed is not None:
        if deployed.cidr != cidr:
            raise ConfigRefused(
                f"cidr is '{cidr}', but the network of this stack was made with {deployed.cidr} and keeps it while it "
                f"is deployed: set cidr back, {_START_ANEW}."
            )
        for old_zone, old_cidr in deployed.subnets:
            if old_cidr == cidr:
                return _undivided(zone, old_zone, cidr)
    if cidr.prefixlen > NARROWEST_NETWORK:
        raise InstanceSettings.cidr.refusal(str(cidr))
    return ZoneSubnet(zone, zone_range(zone, cidr), f"-{zone[-1]}")


def zone_range(zone: str, cidr: IPv4Network) -> IPv4Network:
    """The zone's part of a network.

    Raises:
        ConfigRefused: when the zone's name ends in a letter that no part belongs to.
    """
    position = ZONE_LETTERS.find(zone[-1])
    if position < 0:
        raise ConfigRefused(
            f"availability_zone is {zone!r}, but must end in a letter from {ZONE_LETTERS[0]} to {ZONE_LETTERS[-1]}, "
            f"because the network has {len(ZONE_LETTERS)} parts, one for each zone."
        )
    return list(cidr.subnets(new_prefix=cidr.prefixlen + len(ZONE_LETTERS).bit_length() - 1))[position]


def _undivided(zone: str, old_zone: str, cidr: IPv4Network) -> ZoneSubnet:
    if zone != old_zone:
        raise ConfigRefused(
            f"availability_zone is {zone!r}, but this stack was deployed by version 0.1.0, whose one subnet takes the "
            f"whole network in {old_zone}, so that no other zone has room: set availability_zone back, {_START_ANEW}."
        )
    return ZoneSubnet(zone, cidr, "")
