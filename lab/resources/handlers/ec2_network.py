"""EC2 networks: VPCs, subnets, internet gateways, and gateway or interface endpoints."""

from __future__ import annotations

import ipaddress
import time
from typing import Any

from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, resource_inputs
from lab.resources.handlers.ec2_tags import first_or_none, retag, tag_specification
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import JSON, SWITCH, TAGS, TEXT, TEXTS, json_text
from lab.resources.values import Inputs, known_text

WIDEST_PREFIX = 16
NARROWEST_PREFIX = 28
EMPTY_SUBNET_SECONDS = 30
"""How long a subnet may still have an instance before its deletion fails; the provider gives it 20 minutes."""
EMPTY_SUBNET_PAUSE_SECONDS = 0.5


def check_block(text: str | None, what: str) -> None:
    """Refuse an address block that AWS would: not IPv4, with host bits, wider than /16 or narrower than /28.

    Raises:
        InvalidInput: names the block and the limits.
    """
    if text is None:
        return
    try:
        block = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise InvalidInput(f"'{text}' is not the address block of a {what}: {error}") from None
    if not WIDEST_PREFIX <= block.prefixlen <= NARROWEST_PREFIX:
        raise InvalidInput(f"the block of a {what} is between /{WIDEST_PREFIX} and /{NARROWEST_PREFIX}, not {text}")


class Vpc(Handler):
    """A VPC."""

    type = "aws:ec2/vpc:Vpc"
    shape = resource_inputs(
        cidrBlock=TEXT, enableDnsHostnames=SWITCH, enableDnsSupport=SWITCH, instanceTenancy=TEXT, tags=TAGS
    )
    replace_on = frozenset({"cidrBlock"})

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """AWS bounds the block; moto does so only in part."""
        check_block(known_text(inputs.get("cidrBlock")), "VPC")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the VPC, then set its DNS attributes."""
        found = cloud.client("ec2").create_vpc(
            CidrBlock=inputs["cidrBlock"],
            InstanceTenancy=inputs.get("instanceTenancy", "default"),
            TagSpecifications=tag_specification("vpc", cloud.tags(inputs)),
        )["Vpc"]
        self._set_dns(cloud, found["VpcId"], inputs)
        return Created(found["VpcId"], {**(self.read(cloud, found["VpcId"]) or {}), "tagsAll": cloud.tags(inputs)})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change DNS attributes and tags."""
        self._set_dns(cloud, current.id, inputs)
        return {"tagsAll": retag(cloud, current, inputs)}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing VPC and what AWS made along with it."""
        ec2, of_vpc = cloud.client("ec2"), [{"Name": "vpc-id", "Values": [identifier]}]
        found = first_or_none(ec2.describe_vpcs, "Vpcs", VpcIds=[identifier])
        if found is None:
            return None
        groups = ec2.describe_security_groups(Filters=[*of_vpc, {"Name": "group-name", "Values": ["default"]}])
        tables = ec2.describe_route_tables(Filters=[*of_vpc, {"Name": "association.main", "Values": ["true"]}])
        lists = ec2.describe_network_acls(Filters=[*of_vpc, {"Name": "default", "Values": ["true"]}])
        return {
            "arn": cloud.arn("ec2", f"vpc/{identifier}"),
            "cidrBlock": found["CidrBlock"],
            "defaultSecurityGroupId": next((each["GroupId"] for each in groups["SecurityGroups"]), ""),
            "defaultRouteTableId": next((each["RouteTableId"] for each in tables["RouteTables"]), ""),
            "mainRouteTableId": next((each["RouteTableId"] for each in tables["RouteTables"]), ""),
            "defaultNetworkAclId": next((each["NetworkAclId"] for each in lists["NetworkAcls"]), ""),
            "dhcpOptionsId": found.get("DhcpOptionsId", ""),
            "ownerId": found.get("OwnerId", cloud.account_id),
            "region": cloud.region,
        }

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the VPC."""
        with ignoring_gone():
            cloud.client("ec2").delete_vpc(VpcId=current.id)

    def _set_dns(self, cloud: Region, vpc: str, inputs: Inputs) -> None:
        wanted = {
            "EnableDnsSupport": inputs.get("enableDnsSupport", True),
            "EnableDnsHostnames": inputs.get("enableDnsHostnames", False),
        }
        for attribute, value in wanted.items():
            cloud.client("ec2").modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": value}})


class Subnet(Handler):
    """A subnet of a VPC, in one zone."""

    type = "aws:ec2/subnet:Subnet"
    shape = resource_inputs(
        "vpcId", vpcId=TEXT, availabilityZone=TEXT, cidrBlock=TEXT, mapPublicIpOnLaunch=SWITCH, tags=TAGS
    )
    replace_on = frozenset({"vpcId", "availabilityZone", "cidrBlock"})

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """The zone must be the region's; moto lists all regions' zones in its refusal, and takes some wrong ones."""
        check_block(known_text(inputs.get("cidrBlock")), "subnet")
        zone = known_text(inputs.get("availabilityZone"))
        if zone is not None:
            cloud.check_zone(zone)

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the subnet."""
        zone = {"AvailabilityZone": inputs["availabilityZone"]} if "availabilityZone" in inputs else {}
        found = cloud.client("ec2").create_subnet(
            VpcId=inputs["vpcId"],
            CidrBlock=inputs["cidrBlock"],
            TagSpecifications=tag_specification("subnet", cloud.tags(inputs)),
            **zone,
        )["Subnet"]["SubnetId"]
        self._set_public(cloud, found, inputs)
        return Created(found, {**(self.read(cloud, found) or {}), "tagsAll": cloud.tags(inputs)})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change the public address rule and tags."""
        self._set_public(cloud, current.id, inputs)
        return {"tagsAll": retag(cloud, current, inputs)}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing subnet."""
        found = first_or_none(cloud.client("ec2").describe_subnets, "Subnets", SubnetIds=[identifier])
        if found is None:
            return None
        return {
            "arn": found["SubnetArn"],
            "availabilityZone": found["AvailabilityZone"],
            "availabilityZoneId": found.get("AvailabilityZoneId", ""),
            "cidrBlock": found["CidrBlock"],
            "mapPublicIpOnLaunch": found["MapPublicIpOnLaunch"],
            "ownerId": found["OwnerId"],
            "vpcId": found["VpcId"],
            "region": cloud.region,
        }

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the subnet once no instance is in it; AWS refuses before, and the provider asks again for a while."""
        until = time.monotonic() + EMPTY_SUBNET_SECONDS
        while instances := _instances_in(cloud, current.id):
            if time.monotonic() > until:
                raise InvalidInput(
                    f"The subnet '{current.id}' has dependencies and cannot be deleted (DependencyViolation): "
                    f"{', '.join(instances)}"
                )
            time.sleep(EMPTY_SUBNET_PAUSE_SECONDS)
        with ignoring_gone():
            cloud.client("ec2").delete_subnet(SubnetId=current.id)

    def _set_public(self, cloud: Region, subnet: str, inputs: Inputs) -> None:
        cloud.client("ec2").modify_subnet_attribute(
            SubnetId=subnet, MapPublicIpOnLaunch={"Value": bool(inputs.get("mapPublicIpOnLaunch"))}
        )


def _instances_in(cloud: Region, subnet: str) -> list[str]:
    """The instances whose network interfaces are in a subnet; one that is terminated has none any more."""
    pages = (
        cloud.client("ec2")
        .get_paginator("describe_instances")
        .paginate(
            Filters=[
                {"Name": "subnet-id", "Values": [subnet]},
                {
                    "Name": "instance-state-name",
                    "Values": ["pending", "running", "shutting-down", "stopping", "stopped"],
                },
            ]
        )
    )
    return [
        instance["InstanceId"]
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]


class InternetGateway(Handler):
    """An internet gateway, attached to its VPC."""

    type = "aws:ec2/internetGateway:InternetGateway"
    shape = resource_inputs(vpcId=TEXT, tags=TAGS)

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create and attach the gateway."""
        gateway = cloud.client("ec2").create_internet_gateway(
            TagSpecifications=tag_specification("internet-gateway", cloud.tags(inputs))
        )["InternetGateway"]["InternetGatewayId"]
        self._attach(cloud, gateway, None, inputs.get("vpcId"))
        outputs = {
            "arn": cloud.arn("ec2", f"internet-gateway/{gateway}"),
            "ownerId": cloud.account_id,
            "region": cloud.region,
            "tagsAll": cloud.tags(inputs),
        }
        return Created(gateway, outputs)

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Attach it elsewhere, change tags."""
        self._attach(cloud, current.id, current.inputs.get("vpcId"), inputs.get("vpcId"))
        return {"tagsAll": retag(cloud, current, inputs)}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Detach and delete the gateway."""
        with ignoring_gone():
            self._attach(cloud, current.id, current.inputs.get("vpcId"), None)
        with ignoring_gone():
            cloud.client("ec2").delete_internet_gateway(InternetGatewayId=current.id)

    def _attach(self, cloud: Region, gateway: str, old: str | None, new: str | None) -> None:
        ec2 = cloud.client("ec2")
        if old and old != new:
            ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=old)
        if new and old != new:
            ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=new)


class VpcEndpoint(Handler):
    """A private way from a VPC to a service of AWS."""

    type = "aws:ec2/vpcEndpoint:VpcEndpoint"
    shape = resource_inputs(
        "vpcId serviceName",
        vpcId=TEXT, serviceName=TEXT, vpcEndpointType=TEXT, policy=JSON, privateDnsEnabled=SWITCH, routeTableIds=TEXTS,
        securityGroupIds=TEXTS, subnetIds=TEXTS, tags=TAGS,
    )  # fmt: skip
    replace_on = frozenset({"vpcId", "serviceName", "vpcEndpointType"})

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """The service's name carries its region."""
        service = known_text(inputs.get("serviceName"))
        if service is not None and service.startswith("com.amazonaws.") and f".{cloud.region}." not in service:
            raise InvalidInput(f"the service '{service}' is not in {cloud.region}")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the endpoint."""
        optional: dict[str, Any] = {
            "RouteTableIds": inputs.get("routeTableIds"),
            "SecurityGroupIds": inputs.get("securityGroupIds"),
            "SubnetIds": inputs.get("subnetIds"),
            "PolicyDocument": json_text(inputs["policy"]) if "policy" in inputs else None,
        }
        kind = inputs.get("vpcEndpointType", "Gateway")
        endpoint = cloud.client("ec2").create_vpc_endpoint(
            VpcId=inputs["vpcId"],
            ServiceName=inputs["serviceName"],
            VpcEndpointType=kind,
            PrivateDnsEnabled=bool(inputs.get("privateDnsEnabled")),
            TagSpecifications=tag_specification("vpc-endpoint", cloud.tags(inputs)),
            **{key: value for key, value in optional.items() if value is not None},
        )["VpcEndpoint"]
        lists = cloud.client("ec2").describe_prefix_lists()["PrefixLists"]
        found = [each["PrefixListId"] for each in lists if each["PrefixListName"] == inputs["serviceName"]]
        outputs = {
            "arn": cloud.arn("ec2", f"vpc-endpoint/{endpoint['VpcEndpointId']}"),
            "state": endpoint["State"],
            "ownerId": cloud.account_id,
            "vpcEndpointType": kind,
            "prefixListId": found[0] if found and kind == "Gateway" else "",
            "region": cloud.region,
            "tagsAll": cloud.tags(inputs),
        }
        return Created(endpoint["VpcEndpointId"], outputs)

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change policy, tables, groups, subnets and tags."""
        request: dict[str, Any] = {}
        for key, parameter in (("routeTableIds", "RouteTableIds"), ("securityGroupIds", "SecurityGroupIds"),
                               ("subnetIds", "SubnetIds")):  # fmt: skip
            old, new = set(current.inputs.get(key) or []), set(inputs.get(key) or [])
            request[f"Add{parameter}"], request[f"Remove{parameter}"] = sorted(new - old), sorted(old - new)
        if "policy" in inputs:
            request["PolicyDocument"] = json_text(inputs["policy"])
        request = {key: value for key, value in request.items() if value}
        if request:
            cloud.client("ec2").modify_vpc_endpoint(VpcEndpointId=current.id, **request)
        return {"tagsAll": retag(cloud, current, inputs)}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the endpoint."""
        with ignoring_gone():
            cloud.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[current.id])


HANDLERS = (Vpc(), Subnet(), InternetGateway(), VpcEndpoint())
