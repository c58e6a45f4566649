"""Asks AWS what the placement rules need to know, before any resource is registered."""

from collections.abc import Iterable, Mapping

import pulumi
import pulumi_aws as aws

from openclaw_ec2_spot.config_keys import NEWEST_IMAGE, InstanceSettings
from openclaw_ec2_spot.deployed import deployed_network, deployed_template
from openclaw_ec2_spot.machine_image import (
    REFRESH_VARIABLE,
    ImageChoice,
    MachineImage,
    choose_unpinned,
    refresh_is_asked,
    replaces_the_instance,
    require_image_architecture,
    takes_the_newest,
)
from openclaw_ec2_spot.network_plan import plan_subnet
from openclaw_ec2_spot.placement import (
    Architecture,
    InstanceTypeFacts,
    Placement,
    all_burstable,
    common_architecture,
    require_key_in_region,
    require_types_offered,
    require_zone_exists,
    require_zone_in_region,
)
from openclaw_platform.names import Scope
from openclaw_platform.refusals import ConfigRefused

NO_SUCH_IMAGE = "returned no results"
"""How the AWS provider says that a query found nothing."""


def find_placement(settings: InstanceSettings, scope: Scope, environment: Mapping[str, str]) -> Placement:
    """Confirm zone and types with AWS and find subnet and machine image for them; says what becomes of the image.

    Raises:
        ConfigRefused: when AWS does not have them, or not together, or what is deployed cannot become them.
    """
    zone, types = settings.availability_zone, settings.instance_type
    take_newest = takes_the_newest(settings.ami_id, refresh=refresh_is_asked(environment))
    require_zone_in_region(zone, scope.region)
    require_key_in_region(settings.kms_key_arn, scope.region)
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
    burstable = all_burstable(facts)
    subnet = plan_subnet(settings, deployed_network(scope))
    deployed = deployed_template(scope)
    image = _machine_image(settings.ami_id, architecture, deployed.ami_id if deployed else "", take_newest=take_newest)
    if image.warning:
        pulumi.log.warn(image.warning)
    if image.hint:
        pulumi.log.info(image.hint)
    return Placement(subnet, types, architecture, burstable, image.ami_id, deployed)


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


def _machine_image(configured: str, architecture: Architecture, deployed: str, *, take_newest: bool) -> ImageChoice:
    if configured not in ("", NEWEST_IMAGE):
        try:
            pinned = _image(configured)
        except Exception as error:
            raise ConfigRefused(f"ami_id is {configured!r}, but must be an image that this account can see.") from error
        require_image_architecture(configured, pinned.architecture, architecture)
        return ImageChoice(configured, warning=replaces_the_instance(deployed, configured))
    # The parameter is public; its plain value keeps Pulumi from hiding the image's id as if it were a secret.
    newest = aws.ssm.get_parameter(name=architecture.ami_parameter).insecure_value
    seen = _image_if_seen(deployed) if deployed and not take_newest else None
    return choose_unpinned(newest, deployed, seen, architecture, take_newest=take_newest)


def _image(ami_id: str) -> MachineImage:
    # Amazon deprecates its images 90 days after their release, and a deprecated one still boots.
    found = aws.ec2.get_ami(
        filters=[aws.ec2.GetAmiFilterArgs(name="image-id", values=[ami_id])], include_deprecated=True
    )
    return MachineImage(ami_id, found.architecture)


def _image_if_seen(ami_id: str) -> MachineImage | None:
    try:
        return _image(ami_id)
    except Exception as error:
        if NO_SUCH_IMAGE in str(error):
            return None
        # A look-up that failed for any other reason must not replace the instance.
        raise ConfigRefused(
            f"The deployed machine image {ami_id} could not be looked up ({' '.join(str(error).split())}); try again, "
            f"or take the newest with {REFRESH_VARIABLE}=1."
        ) from error
