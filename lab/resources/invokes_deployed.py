"""The provider functions that look at what is deployed already, and at images: networks, groups, templates, AMIs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.resources.errors import InvokeRefused
from lab.resources.region import Region
from lab.resources.shapes import SWITCH, TAGS, TEXT, TEXTS, Shape, an_object, list_of
from lab.resources.values import Inputs

FILTERS = list_of(an_object("name values", name=TEXT, values=TEXTS))
NAMED = {"region": TEXT, "id": TEXT}


def filters_of(asked: Inputs) -> list[dict[str, Any]]:
    """The filters of a query as EC2 wants them, those of its tags among them."""
    tags = [{"Name": f"tag:{key}", "Values": [value]} for key, value in (asked.get("tags") or {}).items()]
    return [{"Name": each["name"], "Values": each["values"]} for each in asked.get("filters", [])] + tags


def _image(cloud: Region, asked: Inputs) -> Inputs:
    owners = {"Owners": asked["owners"]} if asked.get("owners") else {}
    images = cloud.client("ec2").describe_images(
        Filters=filters_of(asked), IncludeDeprecated=asked.get("includeDeprecated", False), **owners
    )["Images"]
    if "nameRegex" in asked:
        images = [image for image in images if re.search(asked["nameRegex"], image.get("Name", ""))]
    if not images:
        raise InvokeRefused("Your query returned no results. Please change your search criteria and try again.")
    if len(images) > 1 and not asked.get("mostRecent"):
        raise InvokeRefused("Your query returned more than one result; set mostRecent to take the newest.")
    image = max(images, key=lambda each: str(each.get("CreationDate", "")))
    return {
        "id": image["ImageId"],
        "imageId": image["ImageId"],
        "arn": cloud.arn("ec2", f"image/{image['ImageId']}", account=False),
        "architecture": image.get("Architecture", ""),
        "creationDate": str(image.get("CreationDate", "")),
        "description": image.get("Description", ""),
        "name": image.get("Name", ""),
        "ownerId": image.get("OwnerId", ""),
        "rootDeviceName": image.get("RootDeviceName", ""),
        "rootDeviceType": image.get("RootDeviceType", ""),
        "state": image.get("State", ""),
        "virtualizationType": image.get("VirtualizationType", ""),
        "hypervisor": image.get("Hypervisor", ""),
        "tags": {tag["Key"]: tag["Value"] for tag in image.get("Tags", [])},
    }


def _vpcs(cloud: Region, asked: Inputs) -> Inputs:
    found = cloud.client("ec2").describe_vpcs(Filters=filters_of(asked))["Vpcs"]
    return {"ids": [vpc["VpcId"] for vpc in found]}


def _vpc(cloud: Region, asked: Inputs) -> Inputs:
    chosen = {"VpcIds": [asked["id"]]} if "id" in asked else {}
    found = _only(cloud.client("ec2").describe_vpcs(Filters=filters_of(asked), **chosen)["Vpcs"], "EC2 VPC")
    return {
        "id": found["VpcId"],
        "arn": cloud.arn("ec2", f"vpc/{found['VpcId']}"),
        "cidrBlock": found["CidrBlock"],
        "default": found.get("IsDefault", False),
        "state": found["State"],
        "ownerId": found.get("OwnerId", cloud.account_id),
        "tags": _tags(found),
    }


def _subnets(cloud: Region, asked: Inputs) -> Inputs:
    found = cloud.client("ec2").describe_subnets(Filters=filters_of(asked))["Subnets"]
    return {"ids": [subnet["SubnetId"] for subnet in found]}


def _subnet(cloud: Region, asked: Inputs) -> Inputs:
    chosen = {"SubnetIds": [asked["id"]]} if "id" in asked else {}
    found = _only(cloud.client("ec2").describe_subnets(Filters=filters_of(asked), **chosen)["Subnets"], "EC2 Subnet")
    return {
        "id": found["SubnetId"],
        "arn": found["SubnetArn"],
        "availabilityZone": found["AvailabilityZone"],
        "cidrBlock": found["CidrBlock"],
        "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
        "state": found["State"],
        "vpcId": found["VpcId"],
        "ownerId": found["OwnerId"],
        "tags": _tags(found),
    }


def _groups(cloud: Region, asked: Inputs) -> Inputs:
    pages = cloud.client("autoscaling").get_paginator("describe_auto_scaling_groups")
    chosen = {"AutoScalingGroupNames": asked["names"]} if asked.get("names") else {}
    found = [group for page in pages.paginate(**chosen) for group in page["AutoScalingGroups"]]
    return {
        "names": sorted(group["AutoScalingGroupName"] for group in found),
        "arns": sorted(group["AutoScalingGroupARN"] for group in found),
    }


def _launch_template(cloud: Region, asked: Inputs) -> Inputs:
    ec2 = cloud.client("ec2")
    chosen = {"LaunchTemplateIds": [asked["id"]]} if "id" in asked else {"LaunchTemplateNames": [asked["name"]]}
    found = _only(ec2.describe_launch_templates(**chosen)["LaunchTemplates"], "EC2 Launch Template")
    (version,) = ec2.describe_launch_template_versions(
        LaunchTemplateId=found["LaunchTemplateId"], Versions=[str(found["LatestVersionNumber"])]
    )["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    return {
        "id": found["LaunchTemplateId"],
        "arn": cloud.arn("ec2", f"launch-template/{found['LaunchTemplateId']}"),
        "name": found["LaunchTemplateName"],
        "latestVersion": found["LatestVersionNumber"],
        "defaultVersion": found["DefaultVersionNumber"],
        "description": version.get("VersionDescription", ""),
        "imageId": data.get("ImageId", ""),
        "instanceType": data.get("InstanceType", ""),
        "userData": data.get("UserData", ""),
    }


def _only(found: list[dict[str, Any]], what: str) -> dict[str, Any]:
    if len(found) != 1:
        raise InvokeRefused(f"{len(found) or 'no'} matching {what} found")
    return found[0]


def _tags(found: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}


AMI_QUERY = an_object(
    **NAMED, owners=TEXTS, filters=FILTERS, mostRecent=SWITCH, nameRegex=TEXT, includeDeprecated=SWITCH,
    allowUnsafeFilter=SWITCH,
)  # fmt: skip
LISTED = an_object(**NAMED, filters=FILTERS, tags=TAGS)

DEPLOYED: Mapping[str, tuple[Shape, Callable[[Region, Inputs], Inputs]]] = {
    "aws:ec2/getAmi:getAmi": (AMI_QUERY, _image),
    "aws:ec2/getVpcs:getVpcs": (LISTED, _vpcs),
    "aws:ec2/getVpc:getVpc": (LISTED, _vpc),
    "aws:ec2/getSubnets:getSubnets": (LISTED, _subnets),
    "aws:ec2/getSubnet:getSubnet": (LISTED, _subnet),
    # The provider's name for the list of Auto Scaling groups.
    "aws:autoscaling/getAmiIds:getAmiIds": (an_object(**NAMED, filters=FILTERS, names=TEXTS), _groups),
    "aws:ec2/getLaunchTemplate:getLaunchTemplate": (an_object(**NAMED, name=TEXT), _launch_template),
}
