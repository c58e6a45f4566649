import pytest

from openclaw_ec2_spot.placement import (
    Architecture,
    InstanceTypeFacts,
    all_burstable,
    common_architecture,
    is_zone_of,
    require_key_in_region,
    require_types_offered,
    require_zone_exists,
    require_zone_in_region,
)
from openclaw_platform.refusals import ConfigRefused

T4G = InstanceTypeFacts("t4g.small", ("arm64",), burstable=True)
C7G = InstanceTypeFacts("c7g.medium", ("arm64",), burstable=False)
T3 = InstanceTypeFacts("t3.small", ("x86_64",), burstable=True)
T2 = InstanceTypeFacts("t2.small", ("i386", "x86_64"), burstable=True)


def test_a_zone_of_another_region_is_refused() -> None:
    require_zone_in_region("us-east-1a", "us-east-1")

    with pytest.raises(
        ConfigRefused, match=r"^availability_zone is 'us-east-1a', but must be a zone .* us-east-2, such"
    ):
        require_zone_in_region("us-east-1a", "us-east-2")


def test_a_zone_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigRefused) as refused:
        require_zone_exists("us-east-1z", "us-east-1", ["us-east-1b", "us-east-1a"])

    assert str(refused.value) == (
        "availability_zone is 'us-east-1z', but in us-east-1 must be one of us-east-1a, us-east-1b."
    )


@pytest.mark.parametrize(
    ("in_zone", "in_region", "sentence"),
    [
        ([], [], "instance_type is 't4g.small', but must be a type that EC2 offers in us-east-1."),
        ([], ["t4g.small"], "instance_type is 't4g.small', but must be a type that EC2 offers in the zone us-east-1e."),
    ],
    ids=["unknown", "elsewhere"],
)
def test_a_type_that_is_not_offered_is_refused(in_zone: list[str], in_region: list[str], sentence: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        require_types_offered(["t4g.small"], "us-east-1e", "us-east-1", in_zone=in_zone, in_region=in_region)

    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("facts", "architecture"),
    [([T4G, C7G], Architecture.ARM64), ([T3, T2], Architecture.X86_64)],
    ids=["arm64", "x86_64"],
)
def test_types_of_one_architecture_agree(facts: list[InstanceTypeFacts], architecture: Architecture) -> None:
    assert common_architecture(facts) is architecture


def test_mixed_architectures_are_refused_with_each_types_own() -> None:
    with pytest.raises(ConfigRefused) as refused:
        common_architecture([T4G, T3])

    assert str(refused.value) == (
        "instance_type is t4g.small (arm64), t3.small (x86_64), "
        "but all types must have one architecture, arm64 or x86_64."
    )


def test_credits_are_for_burstable_types_alone() -> None:
    assert all_burstable([T4G])
    assert not all_burstable([C7G])

    with pytest.raises(ConfigRefused, match=r"^instance_type mixes t4g\.small with c7g\.medium, but must be "):
        all_burstable([T4G, C7G])


@pytest.mark.parametrize(
    ("zone", "is_one"),
    [
        ("us-west-2a", True),
        ("us-west-2h", True),
        ("us-west-2i", False),
        ("us-west-2", False),
        ("us-west-2-lax-1a", False),
        ("us-west-2-wl1-las-wlz-1", False),
        ("us-west-1a", False),
        ("", False),
    ],
)
def test_a_zone_of_the_region_is_told_from_local_and_wavelength_zones(zone: str, is_one: bool) -> None:
    assert is_zone_of(zone, "us-west-2") is is_one


def test_a_key_of_another_region_is_refused() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/mrk-1"
    require_key_in_region("", "us-east-1")
    require_key_in_region(key, "eu-west-1")

    with pytest.raises(ConfigRefused, match=rf"^kms_key_arn is '{key}', but must be a key of the stack's region us-"):
        require_key_in_region(key, "us-east-1")
