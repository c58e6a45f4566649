"""Asks AWS what the placement rules need to know, before any resource is registered."""

from collections.abc import Iterable

import pulumi_aws as aws

from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.placement import (
    Architecture,
    InstanceTypeFacts,
    Placement,
    all_burstable,
    common_architecture,
    require_image_architecture,
    require_types_offered,
    require_zone_exists,
    require_zone_in_region,
)
from openclaw_platform.names import Scope
from openclaw_platform.refusals import ConfigRefused


def find_placement(settings: InstanceSettings, scope: Scope) -> Placement:
    """Confirm zone and types with AWS and find the machine image for them.

    Raises:
        ConfigRefused: when AWS does not have them, or not together.
    """
    zone, types = settings.availability_zone, settings.instance_type
    require_zone_in_region(zone, scope.region)
    require_zone_exists(zone, scope.region, aws.get_availability_zones(state="available").names)
    require_types_offered(
        types,
        zone,
        scope.region,
        in_zone=_offered(types, "availability-zone", zone),
        in_region=_offered(types, "region", scope.region),
    )
    facts = tuple(_facts_of(name) for name in types)
    architecture = common_architecture(facts)
    return Placement(zone, types, architecture, all_burstable(facts), _machine_image(settings.ami_id, architecture))


def _offered(types: Iterable[str], location_type: str, location: str) -> frozenset[str]:
    wanted = aws.ec2.GetInstanceTypeOfferingsFilterArgs
    offerings = aws.ec2.get_instance_type_offerings(
        location_type=location_type,
        filters=[wanted(name="instance-type", values=list(types)), wanted(name="location", values=[location])],
    )
    return frozenset(offerings.instance_types)


def _facts_of(name: str) -> InstanceTypeFacts:
    found = aws.ec2.get_instance_type(instance_type=name)
    return InstanceTypeFacts(name, tuple(found.supported_architectures), found.burstable_performance_supported)


def _machine_image(pinned: str, architecture: Architecture) -> str:
    if not pinned:
        # The parameter is public; its plain value keeps Pulumi from hiding the image's id as if it were a secret.
        return aws.ssm.get_parameter(name=architecture.ami_parameter).insecure_value
    try:
        image = aws.ec2.get_ami(filters=[aws.ec2.GetAmiFilterArgs(name="image-id", values=[pinned])])
    except Exception as error:
        raise ConfigRefused(f"ami_id is {pinned!r}, but must be an image that this account can see.") from error
    require_image_architecture(pinned, image.architecture, architecture)
    return pinned
