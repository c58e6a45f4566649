from ipaddress import IPv4Network
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.network_plan import ZONE_LETTERS, DeployedNetwork, ZoneSubnet, plan_subnet, zone_range
from openclaw_platform.refusals import ConfigRefused

ANEW = "or run `pulumi destroy --exclude-protected` and then `pulumi up`: the state comes back from the bucket."


def settings(zone: str = "eu-central-1a", cidr: str = "10.77.0.0/24") -> InstanceSettings:
    return InstanceSettings({"availability_zone": zone, "cidr": cidr}.get)


def deployed(cidr: str, *subnets: tuple[str, str]) -> DeployedNetwork:
    return DeployedNetwork("vpc-1", IPv4Network(cidr), tuple((zone, IPv4Network(part)) for zone, part in subnets))


@given(st.integers(16, 25), st.integers(0, 2**24 - 1))
def test_every_zone_has_a_range_of_its_own_that_aws_takes(prefix: int, host: int) -> None:
    cidr = IPv4Network(((10 << 24) + host, prefix), strict=False)
    ranges = [zone_range(f"eu-central-1{letter}", cidr) for letter in ZONE_LETTERS]

    assert all(part.subnet_of(cidr) and part.prefixlen <= 28 for part in ranges)
    assert not any(one.overlaps(other) for one, other in combinations(ranges, 2))


def test_the_subnets_name_is_the_zones_letter_so_that_another_zone_is_another_subnet() -> None:
    assert plan_subnet(settings(), None) == ZoneSubnet("eu-central-1a", IPv4Network("10.77.0.0/27"), "-a")
    there = deployed("10.77.0.0/24", ("eu-central-1a", "10.77.0.0/27"))
    moved = plan_subnet(settings("eu-central-1c"), there)
    assert moved == ZoneSubnet("eu-central-1c", IPv4Network("10.77.0.64/27"), "-c")


def test_a_zone_beyond_the_eighth_letter_is_refused() -> None:
    with pytest.raises(ConfigRefused) as refused:
        plan_subnet(settings("eu-central-1i"), None)
    assert str(refused.value) == (
        "availability_zone is 'eu-central-1i', but must end in a letter from a to h, because the network has 8 parts, "
        "one for each zone."
    )


@pytest.mark.parametrize("prefix", [26, 27, 28])
def test_a_network_too_small_to_be_cut_is_refused(prefix: int) -> None:
    with pytest.raises(ConfigRefused, match=rf"^cidr is '10\.77\.0\.0/{prefix}', but must be .* from /16 to /25\.$"):
        plan_subnet(settings(cidr=f"10.77.0.0/{prefix}"), None)


@pytest.mark.parametrize("cidr", ["10.78.0.0/24", "10.77.0.0/25", "10.76.0.0/23", "10.77.0.0/16"])
def test_a_changed_network_is_refused_with_both_and_the_way_out(cidr: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        plan_subnet(settings(cidr=cidr), deployed("10.77.0.0/24", ("eu-central-1a", "10.77.0.0/27")))
    assert str(refused.value) == (
        f"cidr is '{cidr}', but the network of this stack was made with 10.77.0.0/24 and keeps it while it is "
        f"deployed: set cidr back, {ANEW}"
    )


@pytest.mark.parametrize("cidr", ["10.77.0.0/24", "10.77.0.0/28"])
def test_a_stack_of_version_0_1_0_stays_as_it_is_in_its_zone(cidr: str) -> None:
    there = deployed(cidr, ("eu-central-1b", cidr))
    assert plan_subnet(settings("eu-central-1b", cidr), there) == ZoneSubnet("eu-central-1b", IPv4Network(cidr), "")


def test_a_stack_of_version_0_1_0_is_told_what_to_do_for_another_zone() -> None:
    with pytest.raises(ConfigRefused) as refused:
        plan_subnet(settings("eu-central-1a"), deployed("10.77.0.0/24", ("eu-central-1b", "10.77.0.0/24")))
    assert str(refused.value) == (
        "availability_zone is 'eu-central-1a', but this stack was deployed by version 0.1.0, whose one subnet takes "
        f"the whole network in eu-central-1b, so that no other zone has room: set availability_zone back, {ANEW}"
    )


def test_a_move_that_failed_in_the_middle_goes_on_or_back() -> None:
    both = deployed("10.77.0.0/24", ("eu-central-1a", "10.77.0.0/27"), ("eu-central-1b", "10.77.0.32/27"))
    for zone in ("eu-central-1a", "eu-central-1b"):
        assert plan_subnet(settings(zone), both) == plan_subnet(settings(zone), None)
