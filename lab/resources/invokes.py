"""The provider functions (`aws.get_…`) that programs call, each answered through boto3; one row for each token."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from lab.resources.errors import InvalidInput, InvokeRefused, UnknownInvoke
from lab.resources.invokes_deployed import DEPLOYED, FILTERS, NAMED, filters_of
from lab.resources.policy_document import policy_document
from lab.resources.region import Region
from lab.resources.shapes import SWITCH, TEXT, TEXTS, Shape, an_object, check_shape, list_of
from lab.resources.values import Inputs


def answer(token: str, arguments: Inputs, cloud: Region) -> Inputs:
    """Answer one call.

    Raises:
        UnknownInvoke: no row serves the token.
        InvalidInput: an argument is not known to the function.
        InvokeRefused: AWS refused or found nothing.
    """
    if token not in INVOKES:
        raise UnknownInvoke(f"The embedded AWS does not answer the function {token}.")
    shape, ask = INVOKES[token]
    given = {key: value for key, value in arguments.items() if value is not None}
    check_shape(shape, given, token)
    try:
        found = ask(cloud, given)
    except (ClientError, BotoCoreError, InvalidInput) as error:
        raise InvokeRefused(str(error)) from error
    return {"id": cloud.region, "region": cloud.region, **given, **found}


def _region(cloud: Region, asked: Inputs) -> Inputs:
    name = asked.get("name") or asked.get("region") or cloud.region
    return {"region": name, "name": name, "id": name, "endpoint": f"ec2.{name}.amazonaws.com", "description": name}


def _caller_identity(cloud: Region, _asked: Inputs) -> Inputs:
    found = cloud.client("sts").get_caller_identity()
    return {"accountId": found["Account"], "arn": found["Arn"], "userId": found["UserId"], "id": found["Account"]}


def _partition(cloud: Region, _asked: Inputs) -> Inputs:
    suffix = "amazonaws.com.cn" if cloud.partition == "aws-cn" else "amazonaws.com"
    reverse = ".".join(reversed(suffix.split(".")))
    return {"partition": cloud.partition, "dnsSuffix": suffix, "reverseDnsPrefix": reverse, "id": cloud.partition}


def _availability_zones(cloud: Region, asked: Inputs) -> Inputs:
    found = cloud.client("ec2").describe_availability_zones(Filters=filters_of(asked))["AvailabilityZones"]
    kept = [
        zone
        for zone in found
        if asked.get("state", zone["State"]) == zone["State"]
        and zone["ZoneName"] not in asked.get("excludeNames", [])
        and zone["ZoneId"] not in asked.get("excludeZoneIds", [])
    ]
    return {
        "names": [zone["ZoneName"] for zone in kept],
        "zoneIds": [zone["ZoneId"] for zone in kept],
        "groupNames": sorted({zone.get("GroupName", cloud.region) for zone in kept}),
    }


def _availability_zone(cloud: Region, asked: Inputs) -> Inputs:
    names = [asked["name"]] if "name" in asked else []
    found = cloud.client("ec2").describe_availability_zones(ZoneNames=names, Filters=filters_of(asked))
    matching = [zone for zone in found["AvailabilityZones"] if asked.get("zoneId", zone["ZoneId"]) == zone["ZoneId"]]
    if len(matching) != 1:
        raise InvokeRefused(f"{len(matching)} availability zones match, one is wanted.")
    zone = matching[0]
    return {
        "name": zone["ZoneName"],
        "nameSuffix": zone["ZoneName"].removeprefix(cloud.region),
        "zoneId": zone["ZoneId"],
        "zoneType": zone.get("ZoneType", "availability-zone"),
        "state": zone["State"],
        "groupName": zone.get("GroupName", cloud.region),
        "id": zone["ZoneName"],
        "groupLongName": cloud.region,
        "networkBorderGroup": cloud.region,
        "optInStatus": zone.get("OptInStatus", "opt-in-not-required"),
        "parentZoneId": "",
        "parentZoneName": "",
    }


def _parameter(cloud: Region, asked: Inputs) -> Inputs:
    decrypt = asked.get("withDecryption", True)
    found = cloud.client("ssm").get_parameter(Name=asked["name"], WithDecryption=decrypt)["Parameter"]
    # The real provider leaves the plain value out for a SecureString, since it is not hidden from the state.
    plain = found["Value"] if found["Type"] != "SecureString" else ""
    return {
        "arn": found["ARN"],
        "id": found["Name"],
        "insecureValue": plain,
        "type": found["Type"],
        "value": found["Value"],
        "version": found["Version"],
        "withDecryption": decrypt,
    }


def _instance_type(cloud: Region, asked: Inputs) -> Inputs:
    found = cloud.instance_type(asked["instanceType"])
    cpu, processor = found.get("VCpuInfo", {}), found.get("ProcessorInfo", {})
    network, ebs = found.get("NetworkInfo", {}), found.get("EbsInfo", {})
    return {
        "id": found["InstanceType"],
        "instanceType": found["InstanceType"],
        "autoRecoverySupported": found.get("AutoRecoverySupported", False),
        "bareMetal": found.get("BareMetal", False),
        "burstablePerformanceSupported": found.get("BurstablePerformanceSupported", False),
        "currentGeneration": found.get("CurrentGeneration", False),
        "dedicatedHostsSupported": found.get("DedicatedHostsSupported", False),
        "defaultCores": cpu.get("DefaultCores", 0),
        "defaultThreadsPerCore": cpu.get("DefaultThreadsPerCore", 0),
        "defaultVcpus": cpu.get("DefaultVCpus", 0),
        "ebsEncryptionSupport": ebs.get("EncryptionSupport", ""),
        "ebsNvmeSupport": ebs.get("NvmeSupport", ""),
        "ebsOptimizedSupport": ebs.get("EbsOptimizedSupport", ""),
        "enaSupport": network.get("EnaSupport", ""),
        "freeTierEligible": found.get("FreeTierEligible", False),
        "hibernationSupported": found.get("HibernationSupported", False),
        "hypervisor": found.get("Hypervisor", ""),
        "instanceStorageSupported": found.get("InstanceStorageSupported", False),
        "ipv6Supported": network.get("Ipv6Supported", False),
        "maximumIpv4AddressesPerInterface": network.get("Ipv4AddressesPerInterface", 0),
        "maximumNetworkInterfaces": network.get("MaximumNetworkInterfaces", 0),
        "memorySize": found.get("MemoryInfo", {}).get("SizeInMiB", 0),
        "networkPerformance": network.get("NetworkPerformance", ""),
        "supportedArchitectures": processor.get("SupportedArchitectures", []),
        "supportedRootDeviceTypes": found.get("SupportedRootDeviceTypes", []),
        "supportedUsagesClasses": found.get("SupportedUsageClasses", []),
        "supportedVirtualizationTypes": found.get("SupportedVirtualizationTypes", []),
        "sustainedClockSpeed": processor.get("SustainedClockSpeedInGhz", 0),
    }


def _instance_types(cloud: Region, asked: Inputs) -> Inputs:
    pages = cloud.client("ec2").get_paginator("describe_instance_types").paginate(Filters=filters_of(asked))
    return {"instanceTypes": sorted(each["InstanceType"] for page in pages for each in page["InstanceTypes"])}


def _offerings(cloud: Region, asked: Inputs) -> Inputs:
    given = {"LocationType": asked["locationType"]} if "locationType" in asked else {}
    pages = cloud.client("ec2").get_paginator("describe_instance_type_offerings")
    found = [
        offer for page in pages.paginate(Filters=filters_of(asked), **given) for offer in page["InstanceTypeOfferings"]
    ]
    return {
        "instanceTypes": [offer["InstanceType"] for offer in found],
        "locations": [offer["Location"] for offer in found],
        "locationTypes": [offer.get("LocationType", asked.get("locationType", "region")) for offer in found],
    }


def _offering(cloud: Region, asked: Inputs) -> Inputs:
    offered = _offerings(cloud, asked)["instanceTypes"]
    preferred = [name for name in asked.get("preferredInstanceTypes", []) if name in offered] or offered
    if not preferred:
        raise InvokeRefused("No instance type matches.")
    return {"instanceType": preferred[0], "location": cloud.region, "locationType": asked.get("locationType", "region")}


def _policy(_cloud: Region, asked: Inputs) -> Inputs:
    return policy_document(asked)


CONDITION = an_object("test variable values", test=TEXT, variable=TEXT, values=TEXTS)
PRINCIPAL = an_object("type identifiers", type=TEXT, identifiers=TEXTS)
STATEMENT = an_object(
    sid=TEXT, effect=TEXT, actions=TEXTS, notActions=TEXTS, resources=TEXTS, notResources=TEXTS,
    principals=list_of(PRINCIPAL), notPrincipals=list_of(PRINCIPAL), conditions=list_of(CONDITION),
)  # fmt: skip

INVOKES: Mapping[str, tuple[Shape, Callable[[Region, Inputs], Inputs]]] = {
    "aws:index/getRegion:getRegion": (an_object(**NAMED, name=TEXT, endpoint=TEXT), _region),
    "aws:index/getCallerIdentity:getCallerIdentity": (an_object(**NAMED), _caller_identity),
    "aws:index/getPartition:getPartition": (an_object(**NAMED), _partition),
    "aws:index/getAvailabilityZone:getAvailabilityZone": (
        an_object(**NAMED, name=TEXT, zoneId=TEXT, state=TEXT, allAvailabilityZones=SWITCH, filters=FILTERS),
        _availability_zone,
    ),
    "aws:index/getAvailabilityZones:getAvailabilityZones": (
        an_object(
            **NAMED, state=TEXT, filters=FILTERS, allAvailabilityZones=SWITCH, excludeNames=TEXTS, excludeZoneIds=TEXTS
        ),
        _availability_zones,
    ),
    "aws:ssm/getParameter:getParameter": (an_object("name", **NAMED, name=TEXT, withDecryption=SWITCH), _parameter),
    "aws:ec2/getInstanceType:getInstanceType": (an_object("instanceType", **NAMED, instanceType=TEXT), _instance_type),
    "aws:ec2/getInstanceTypes:getInstanceTypes": (an_object(**NAMED, filters=FILTERS), _instance_types),
    "aws:ec2/getInstanceTypeOffering:getInstanceTypeOffering": (
        an_object(**NAMED, locationType=TEXT, filters=FILTERS, preferredInstanceTypes=TEXTS),
        _offering,
    ),
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": (
        an_object(**NAMED, locationType=TEXT, filters=FILTERS),
        _offerings,
    ),
    **DEPLOYED,
    "aws:iam/getPolicyDocument:getPolicyDocument": (
        an_object(id=TEXT, policyId=TEXT, version=TEXT, statements=list_of(STATEMENT)),
        _policy,
    ),
}
