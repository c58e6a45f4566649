"""EC2 launch templates: every change is a new version."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, physical_name, resource_inputs
from lab.resources.handlers.ec2_tags import first_or_none, retag, tag_specification
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import INTEGER, SWITCH, TAGS, TEXT, TEXTS, an_object, list_of, to_aws
from lab.resources.values import Inputs, known_objects, known_text

USER_DATA_LIMIT = 16_384
"""Bytes before base64 (EC2 user guide, "Run commands at launch")."""
HIGHEST_HOP_LIMIT = 64
VOLUME_SIZES = range(1, 16_385)
AMI = re.compile(r"ami-([0-9a-f]{8}|[0-9a-f]{17})")
EBS = an_object(
    deleteOnTermination=SWITCH, encrypted=SWITCH, iops=INTEGER, kmsKeyId=TEXT, snapshotId=TEXT, throughput=INTEGER,
    volumeSize=INTEGER, volumeType=TEXT,
)  # fmt: skip
INTERFACE = an_object(
    associatePublicIpAddress=SWITCH, deleteOnTermination=SWITCH, description=TEXT, deviceIndex=INTEGER,
    interfaceType=TEXT, ipv6AddressCount=INTEGER, networkCardIndex=INTEGER, networkInterfaceId=TEXT,
    privateIpAddress=TEXT, securityGroups=TEXTS.named("Groups"), subnetId=TEXT,
)  # fmt: skip
METADATA_OPTIONS = an_object(
    httpEndpoint=TEXT, httpProtocolIpv6=TEXT, httpPutResponseHopLimit=INTEGER, httpTokens=TEXT,
    instanceMetadataTags=TEXT,
)  # fmt: skip
MARKET = an_object(
    marketType=TEXT,
    spotOptions=an_object(
        blockDurationMinutes=INTEGER, instanceInterruptionBehavior=TEXT, maxPrice=TEXT, spotInstanceType=TEXT,
        validUntil=TEXT,
    ),
)  # fmt: skip
TEMPLATE_KEYS = {
    "blockDeviceMappings": list_of(an_object(deviceName=TEXT, ebs=EBS, noDevice=TEXT, virtualName=TEXT)),
    "cpuOptions": an_object(amdSevSnp=TEXT, coreCount=INTEGER, threadsPerCore=INTEGER),
    "creditSpecification": an_object(cpuCredits=TEXT),
    "disableApiStop": SWITCH,
    "disableApiTermination": SWITCH,
    "ebsOptimized": SWITCH,
    "iamInstanceProfile": an_object(arn=TEXT, name=TEXT),
    "imageId": TEXT,
    "instanceInitiatedShutdownBehavior": TEXT,
    "instanceMarketOptions": MARKET,
    "instanceType": TEXT,
    "keyName": TEXT,
    "maintenanceOptions": an_object(autoRecovery=TEXT),
    "metadataOptions": METADATA_OPTIONS,
    "monitoring": an_object(enabled=SWITCH),
    "networkInterfaces": list_of(INTERFACE),
    "placement": an_object(availabilityZone=TEXT, groupName=TEXT, tenancy=TEXT),
    "privateDnsNameOptions": an_object(
        enableResourceNameDnsARecord=SWITCH, enableResourceNameDnsAaaaRecord=SWITCH, hostnameType=TEXT
    ),
    "securityGroupNames": TEXTS.named("SecurityGroups"),
    "tagSpecifications": list_of(an_object(resourceType=TEXT, tags=TAGS)),
    "userData": TEXT,
    "vpcSecurityGroupIds": TEXTS.named("SecurityGroupIds"),
}
TEMPLATE = an_object(**TEMPLATE_KEYS)


class LaunchTemplate(Handler):
    """A launch template."""

    type = "aws:ec2/launchTemplate:LaunchTemplate"
    shape = resource_inputs(
        name=TEXT, namePrefix=TEXT, description=TEXT, defaultVersion=INTEGER, updateDefaultVersion=SWITCH, tags=TAGS,
        **TEMPLATE_KEYS,
    )  # fmt: skip
    replace_on = frozenset({"name", "namePrefix"})
    name_key = "name"
    volatile = frozenset({"latestVersion", "defaultVersion"})

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """Refuse what moto launches and AWS does not: long user-data, unknown types, impossible disks and options."""
        _check_user_data(known_text(inputs.get("userData")))
        instance_type, image = known_text(inputs.get("instanceType")), known_text(inputs.get("imageId"))
        if instance_type is not None:
            cloud.instance_type(instance_type)
        if image is not None and not image.startswith("resolve:ssm:") and not AMI.fullmatch(image):
            raise InvalidInput(f"'{image}' is not the id of a machine image")
        for device in known_objects(inputs.get("blockDeviceMappings")):
            size = (device.get("ebs") or {}).get("volumeSize")
            if isinstance(size, int) and size not in VOLUME_SIZES:
                raise InvalidInput(f"a volume has 1 to {VOLUME_SIZES[-1]} GiB, not {size}")
        _check_metadata_options(inputs.get("metadataOptions") or {})
        if "vpcSecurityGroupIds" in inputs and known_objects(inputs.get("networkInterfaces")):
            raise InvalidInput("security groups belong either to the template or to its network interfaces")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the template with its first version."""
        template = cloud.client("ec2").create_launch_template(
            LaunchTemplateName=physical_name(name, inputs),
            VersionDescription=inputs.get("description", ""),
            LaunchTemplateData=_written(inputs),
            TagSpecifications=tag_specification("launch-template", cloud.tags(inputs)),
        )["LaunchTemplate"]["LaunchTemplateId"]
        return Created(template, {**(self.read(cloud, template) or {}), "tagsAll": cloud.tags(inputs)})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Add a version where anything but tags and the default changed, and move the default if asked to."""
        ec2 = cloud.client("ec2")
        keys = ("description", *TEMPLATE_KEYS)
        if any(current.inputs.get(key) != inputs.get(key) for key in keys):
            version = ec2.create_launch_template_version(
                LaunchTemplateId=current.id,
                VersionDescription=inputs.get("description", ""),
                LaunchTemplateData=_written(inputs),
            )["LaunchTemplateVersion"]["VersionNumber"]
            if inputs.get("updateDefaultVersion"):
                ec2.modify_launch_template(LaunchTemplateId=current.id, DefaultVersion=str(version))
        if "defaultVersion" in inputs:
            ec2.modify_launch_template(LaunchTemplateId=current.id, DefaultVersion=str(inputs["defaultVersion"]))
        return {**(self.read(cloud, current.id) or {}), "tagsAll": retag(cloud, current, inputs)}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing template's name and version numbers."""
        describe = cloud.client("ec2").describe_launch_templates
        found = first_or_none(describe, "LaunchTemplates", LaunchTemplateIds=[identifier])
        if found is None:
            return None
        return {
            "arn": cloud.arn("ec2", f"launch-template/{identifier}"),
            "name": found["LaunchTemplateName"],
            "latestVersion": found["LatestVersionNumber"],
            "defaultVersion": found["DefaultVersionNumber"],
            "region": cloud.region,
        }

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the template with all its versions."""
        with ignoring_gone():
            cloud.client("ec2").delete_launch_template(LaunchTemplateId=current.id)


def _written(inputs: Inputs) -> dict[str, Any]:
    written: dict[str, Any] = to_aws(TEMPLATE, {key: inputs[key] for key in TEMPLATE_KEYS if key in inputs})
    return written


def _check_user_data(encoded: str | None) -> None:
    if encoded is None:
        return
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except binascii.Error:
        raise InvalidInput("a launch template's user-data must be base64") from None
    if size > USER_DATA_LIMIT:
        raise InvalidInput(f"user-data has at most {USER_DATA_LIMIT} bytes, this has {size}")


def _check_metadata_options(options: Any) -> None:
    if not isinstance(options, dict):
        return
    for key, allowed in (("httpTokens", ("optional", "required")), ("httpEndpoint", ("enabled", "disabled"))):
        value = known_text(options.get(key))
        if value is not None and value not in allowed:
            raise InvalidInput(f"{key} is {' or '.join(allowed)}, not '{value}'")
    hops = options.get("httpPutResponseHopLimit")
    if isinstance(hops, int) and not 1 <= hops <= HIGHEST_HOP_LIMIT:
        raise InvalidInput(f"the hop limit is 1 to {HIGHEST_HOP_LIMIT}, not {hops}")


HANDLERS = (LaunchTemplate(),)
