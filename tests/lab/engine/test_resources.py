"""Handlers of networks and instances: what stands in moto, what changes in place, and what AWS would refuse."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.engine.engine import Engine
from lab.resources.errors import InvalidInput, RefusedByAws
from lab.resources.handlers import ec2_network

pytestmark = pytest.mark.subprocess

Write = Callable[..., Path]

NETWORK = """
import base64

zone = config.get("zone") or "us-east-1a"
vpc = aws.ec2.Vpc("net", cidr_block=config.get("cidr") or "10.9.0.0/24", enable_dns_hostnames=True, tags={"a": "b"})
aws.ec2.DefaultSecurityGroup("closed", vpc_id=vpc.id, ingress=[], egress=[])
subnet = aws.ec2.Subnet("sub", vpc_id=vpc.id, cidr_block=config.get("subnet") or "10.9.0.0/25",
                        availability_zone=zone, map_public_ip_on_launch=True)
gateway = aws.ec2.InternetGateway("gate", vpc_id=vpc.id)
table = aws.ec2.RouteTable("table", vpc_id=vpc.id)
aws.ec2.Route("out", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id)
aws.ec2.RouteTableAssociation("use", route_table_id=table.id, subnet_id=subnet.id)
endpoint = aws.ec2.VpcEndpoint("s3", vpc_id=vpc.id, service_name="com.amazonaws.us-east-1.s3",
                               vpc_endpoint_type="Gateway", route_table_ids=[table.id])
group = aws.ec2.SecurityGroup("wall", name=f"wall-{stack}", description="d", vpc_id=vpc.id)
aws.vpc.SecurityGroupEgressRule("https", security_group_id=group.id, ip_protocol="tcp", from_port=443,
                                to_port=443, cidr_ipv4="0.0.0.0/0", tags={"port": config.get("port") or "https"})
pulumi.export("vpc", vpc.id)
pulumi.export("subnet", subnet.id)
pulumi.export("group", group.id)
pulumi.export("table", table.id)
"""

INSTANCE = (
    NETWORK
    + """
trust = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
policy = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}]}
role = aws.iam.Role("role", name=f"role-{stack}", assume_role_policy=trust)
aws.iam.RolePolicy("inline", role=role.name, policy=json.dumps(policy))
profile = aws.iam.InstanceProfile("profile", name=f"profile-{stack}", role=role.name)
text = config.get("user_data") or "#cloud-config"
template = aws.ec2.LaunchTemplate(
    "template",
    name=f"template-{stack}",
    image_id=config.get("image") or "ami-12345678",
    instance_type="t4g.small",
    user_data=base64.b64encode(text.encode()).decode(),
    update_default_version=True,
    vpc_security_group_ids=[group.id],
    iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(name=profile.name),
    metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
        http_tokens="required", http_put_response_hop_limit=config.get_int("hops") or 1),
    block_device_mappings=[aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name="/dev/xvda", ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            volume_size=config.get_int("size") or 15, volume_type="gp3", encrypted="true"))],
    tag_specifications=[aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type="instance", tags={"Name": "one"})],
)
mixed = aws.autoscaling.GroupMixedInstancesPolicyArgs(
    instances_distribution=aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
        on_demand_base_capacity=0, on_demand_percentage_above_base_capacity=0,
        spot_allocation_strategy=config.get("strategy") or "price-capacity-optimized"),
    launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
        launch_template_specification=(
            aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                launch_template_id=template.id, version=template.latest_version.apply(str))),
        overrides=[aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(instance_type=name)
                   for name in (config.get("types") or "t4g.small").split(",")]))
asg = aws.autoscaling.Group(
    "asg",
    name=f"group-{stack}",
    min_size=0, max_size=1, desired_capacity=config.get_int("desired") if config.get("desired") else 1,
    vpc_zone_identifiers=[subnet.id],
    mixed_instances_policy=mixed,
    instance_refresh=aws.autoscaling.GroupInstanceRefreshArgs(strategy="Rolling"),
    tags=[aws.autoscaling.GroupTagArgs(key="Owner", value="lab", propagate_at_launch=True)],
)
pulumi.export("version", template.latest_version)
"""
)


def instances(ec2: Any, state: str = "running") -> list[dict[str, Any]]:
    found = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": [state]}])["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"]]


def test_network_stands(engine: Engine, program: Write, ec2: Any) -> None:
    outputs = engine.up(program(NETWORK), "dev")
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [outputs["vpc"]]}])["SecurityGroups"]
    rules = {each["GroupName"]: (each["IpPermissions"], each["IpPermissionsEgress"]) for each in groups}
    assert rules["default"] == ([], [])
    assert rules["wall-dev"][0] == []
    assert [(each["FromPort"], each["ToPort"]) for each in rules["wall-dev"][1]] == [(443, 443)]
    table = ec2.describe_route_tables(RouteTableIds=[outputs["table"]])["RouteTables"][0]
    assert [each["SubnetId"] for each in table["Associations"]] == [outputs["subnet"]]
    assert "0.0.0.0/0" in [route.get("DestinationCidrBlock") for route in table["Routes"]]
    endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert [(each["ServiceName"], each["RouteTableIds"]) for each in endpoints] == [
        ("com.amazonaws.us-east-1.s3", [outputs["table"]])
    ]
    assert ec2.describe_subnets(SubnetIds=[outputs["subnet"]])["Subnets"][0]["MapPublicIpOnLaunch"]
    assert ec2.describe_vpc_attribute(VpcId=outputs["vpc"], Attribute="enableDnsHostnames")["EnableDnsHostnames"][
        "Value"
    ]


def test_network_is_moved_and_destroyed_without_a_trace(engine: Engine, program: Write, ec2: Any) -> None:
    folder = program(NETWORK)
    vpcs = len(ec2.describe_vpcs()["Vpcs"])
    first = engine.up(folder, "dev")
    second = engine.up(folder, "dev", {"zone": "us-east-1b", "port": "web", "subnet": "10.9.0.128/25"})
    assert (first["vpc"], first["group"]) == (second["vpc"], second["group"])
    assert first["subnet"] != second["subnet"]
    found = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [second["vpc"]]}])["Subnets"]
    assert [each["AvailabilityZone"] for each in found] == ["us-east-1b"]
    engine.up(folder, "dev", {"cidr": "10.8.0.0/24", "subnet": "10.8.0.0/25"})
    assert engine.preview(folder, "dev", {"cidr": "10.8.0.0/24", "subnet": "10.8.0.0/25"}) == []
    assert len(ec2.describe_vpcs()["Vpcs"]) == vpcs + 1
    engine.destroy(folder, "dev")
    assert len(ec2.describe_vpcs()["Vpcs"]) == vpcs
    assert (
        ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-endpoint-state", "Values": ["available"]}])["VpcEndpoints"]
        == []
    )


def test_a_subnet_whose_addresses_another_one_has_is_refused_as_by_aws(
    engine: Engine, program: Write, ec2: Any
) -> None:
    folder = program(NETWORK)
    first = engine.up(folder, "dev")
    with pytest.raises(RefusedByAws, match=r"InvalidSubnet\.Conflict"):
        engine.up(folder, "dev", {"zone": "us-east-1b"})
    assert ec2.describe_subnets(SubnetIds=[first["subnet"]])["Subnets"]


ELSEWHERE = {"zone": "us-east-1b", "subnet": "10.9.0.128/25"}


def test_an_instance_keeps_its_old_subnet_from_being_deleted_unless_the_refresh_is_triggered(
    engine: Engine, program: Write, ec2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ec2_network, "EMPTY_SUBNET_SECONDS", 0)
    first = engine.up(program(INSTANCE), "dev")
    (old,) = instances(ec2)
    with pytest.raises(InvalidInput, match=rf"DependencyViolation\): {old['InstanceId']}"):
        engine.up(program(INSTANCE), "dev", ELSEWHERE)
    assert ec2.describe_subnets(SubnetIds=[first["subnet"]])["Subnets"]


def test_a_refresh_triggered_by_the_subnet_moves_the_instance_and_then_the_old_subnet_goes(
    engine: Engine, program: Write, ec2: Any
) -> None:
    refreshed = INSTANCE.replace('strategy="Rolling"', 'strategy="Rolling", triggers=["vpc_zone_identifier"]')
    engine.up(program(refreshed), "dev")
    (old,) = instances(ec2)
    second = engine.up(program(refreshed), "dev", ELSEWHERE)
    (new,) = instances(ec2)
    assert (new["InstanceId"] == old["InstanceId"], new["SubnetId"]) == (False, second["subnet"])
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [second["vpc"]]}])["Subnets"]
    assert [each["SubnetId"] for each in subnets] == [second["subnet"]]


def test_a_trigger_that_the_provider_does_not_know_is_refused(engine: Engine, program: Write) -> None:
    refreshed = INSTANCE.replace('strategy="Rolling"', 'strategy="Rolling", triggers=["vpcZoneIdentifiers"]')
    with pytest.raises(InvalidInput, match="an instance refresh has no trigger 'vpcZoneIdentifiers', only tag, vpc_z"):
        engine.up(program(refreshed), "dev")


def test_the_main_route_table_of_a_vpc_is_exchanged_and_comes_back(engine: Engine, program: Write, ec2: Any) -> None:
    def main_table(vpc: str) -> str:
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
        (table,) = ec2.describe_route_tables(Filters=filters)["RouteTables"]
        return str(table["RouteTableId"])

    with_main = NETWORK + "aws.ec2.MainRouteTableAssociation('main', vpc_id=vpc.id, route_table_id=table.id)\n"
    outputs = engine.up(program(NETWORK), "dev")
    original = main_table(outputs["vpc"])
    engine.up(program(with_main), "dev")
    assert main_table(outputs["vpc"]) == outputs["table"]
    engine.up(program(NETWORK), "dev")
    assert main_table(outputs["vpc"]) == original


def test_instance_is_what_its_template_says(engine: Engine, program: Write, ec2: Any) -> None:
    outputs = engine.up(program(INSTANCE), "dev")
    (one,) = instances(ec2)
    assert (one["InstanceType"], one["SubnetId"]) == ("t4g.small", outputs["subnet"])
    assert one["InstanceLifecycle"] == "spot"
    assert (one["MetadataOptions"]["HttpTokens"], one["MetadataOptions"]["HttpPutResponseHopLimit"]) == ("required", 1)
    assert [each["GroupId"] for each in one["SecurityGroups"]] == [outputs["group"]]
    assert one["IamInstanceProfile"]["Arn"].endswith("/profile-dev")
    seen = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
    assert (seen["Name"], seen["Owner"], seen["aws:autoscaling:groupName"]) == ("one", "lab", "group-dev")
    found = ec2.describe_instance_attribute(InstanceId=one["InstanceId"], Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(found) == b"#cloud-config"


def test_new_user_data_is_a_new_version_and_rolls_the_instance(engine: Engine, program: Write, ec2: Any) -> None:
    folder = program(INSTANCE)
    assert engine.up(folder, "dev")["version"] == 1
    (old,) = instances(ec2)
    assert [urn.rpartition("::")[2] for _, urn in engine.preview(folder, "dev", {"user_data": "#two"})] == [
        "template",
        "asg",
    ]
    assert engine.up(folder, "dev", {"user_data": "#two"})["version"] == 2
    (new,) = instances(ec2)
    assert new["InstanceId"] != old["InstanceId"]
    assert [each["InstanceId"] for each in instances(ec2, "terminated")] == [old["InstanceId"]]
    found = ec2.describe_instance_attribute(InstanceId=new["InstanceId"], Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(found) == b"#two"
    (template,) = ec2.describe_launch_templates()["LaunchTemplates"]
    assert (template["LatestVersionNumber"], template["DefaultVersionNumber"]) == (2, 2)


def test_desired_zero_pauses_and_a_terminated_instance_is_replaced(engine: Engine, program: Write, ec2: Any) -> None:
    folder = program(INSTANCE)
    engine.up(folder, "dev")
    (first,) = instances(ec2)
    ec2.terminate_instances(InstanceIds=[first["InstanceId"]])
    (second,) = instances(ec2)
    assert (second["InstanceLifecycle"], second["MetadataOptions"]["HttpTokens"]) == ("spot", "required")
    engine.up(folder, "dev", {"desired": 0})
    assert instances(ec2) == []
    engine.up(folder, "dev", {"desired": 1})
    assert len(instances(ec2)) == 1
    engine.destroy(folder, "dev")
    assert instances(ec2) == []
    assert ec2.describe_launch_templates()["LaunchTemplates"] == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"user_data": "x" * 17_000}, "user-data has at most 16384 bytes, this has 17000"),
        ({"types": "t4g.smal"}, r"The instance type 't4g\.smal' does not exist"),
        ({"types": "t4g.small,t3.small"}, "no architecture in common"),
        ({"zone": "us-east-1z"}, "The zone 'us-east-1z' is not in us-east-1, which has us-east-1a"),
        ({"zone": "eu-west-1a"}, "The zone 'eu-west-1a' is not in us-east-1"),
        ({"cidr": "10.9.0.0/30"}, "between /16 and /28"),
        ({"cidr": "10.9.0.1/24"}, "has host bits set"),
        ({"desired": 2}, "sizes must rise from 0: min 0, desired 2, max 1"),
        ({"hops": 65}, "the hop limit is 1 to 64, not 65"),
        ({"size": 20_000}, "a volume has 1 to 16384 GiB, not 20000"),
        ({"image": "al2023"}, "'al2023' is not the id of a machine image"),
        ({"strategy": "cheapest"}, "not 'cheapest'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_aws_would_refuse_is_refused_before_anything_is_created(
    engine: Engine, program: Write, ec2: Any, config: dict[str, Any], sentence: str
) -> None:
    before = len(ec2.describe_vpcs()["Vpcs"])
    with pytest.raises(InvalidInput, match=sentence):
        engine.up(program(INSTANCE), "dev", config)
    assert len(ec2.describe_vpcs()["Vpcs"]) == before


def test_subnet_outside_its_vpc_is_refused(engine: Engine, program: Write) -> None:
    with pytest.raises(RefusedByAws, match=r"'sub' was refused: The CIDR '10\.7\.0\.0/25' is invalid"):
        engine.up(program(NETWORK), "dev", {"subnet": "10.7.0.0/25"})


def test_zone_that_does_not_offer_the_type(
    engine: Engine, program: Write, ec2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.resources.region.Region.zones_with_type", lambda _cloud, _name: ["us-east-1b"])
    with pytest.raises(InvalidInput, match=r"the zone us-east-1a offers none of t4g\.small"):
        engine.up(program(INSTANCE), "dev")
    assert instances(ec2) == []
