import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from lab.moto.server import EmbeddedAws

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks


@pytest.fixture(scope="module")
def vpc(aws: EmbeddedAws, dev: dict[str, Any]) -> dict[str, Any]:
    (found,) = aws.client("ec2").describe_vpcs(Filters=_named(dev))["Vpcs"]
    return dict(found)


@pytest.fixture(scope="module")
def template(aws: EmbeddedAws, dev: dict[str, Any]) -> dict[str, Any]:
    (version,) = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateName=dev["group_name"], Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    return dict(version["LaunchTemplateData"])


@pytest.fixture(scope="module")
def group(aws: EmbeddedAws, dev: dict[str, Any]) -> dict[str, Any]:
    (found,) = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[dev["group_name"]])[
        "AutoScalingGroups"
    ]
    return dict(found)


def _named(dev: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Name": "tag:Name", "Values": [dev["group_name"]]}]


def _of(vpc: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]


def test_outputs_say_where_it_is_and_how_to_reach_it(dev: dict[str, Any]) -> None:
    assert (dev["region"], dev["availability_zone"], dev["group_name"]) == (
        "us-east-1",
        "us-east-1a",
        "openclaw-lab-dev",
    )
    assert dev["shell_command"].startswith("aws ssm start-session --region us-east-1 --target ")
    assert "18789" in dev["gateway_command"]
    assert dev["dashboard_link"].endswith("/openclaw-lab-dev-us-east-1")


def test_the_network_is_one_public_subnet_in_the_configured_zone(aws: EmbeddedAws, vpc: dict[str, Any]) -> None:
    (subnet,) = aws.client("ec2").describe_subnets(Filters=_of(vpc))["Subnets"]

    assert vpc["CidrBlock"] == "10.77.0.0/24"
    assert subnet["CidrBlock"] == "10.77.0.0/27"
    assert subnet["AvailabilityZone"] == "us-east-1a"
    assert subnet["MapPublicIpOnLaunch"] is True


def test_the_way_out_is_an_internet_gateway_and_s3_has_its_own(aws: EmbeddedAws, vpc: dict[str, Any]) -> None:
    ec2 = aws.client("ec2")
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]

    (gateway,) = ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]
    tables = ec2.describe_route_tables(Filters=_of(vpc))["RouteTables"]
    # The main one, so that no subnet is ever without it.
    (table,) = [table for table in tables if any(found["Main"] for found in table["Associations"])]
    (endpoint,) = ec2.describe_vpc_endpoints(Filters=_of(vpc))["VpcEndpoints"]

    routes = {route.get("DestinationCidrBlock"): route.get("GatewayId") for route in table["Routes"]}
    assert routes["0.0.0.0/0"] == gateway["InternetGatewayId"]
    assert endpoint["ServiceName"] == "com.amazonaws.us-east-1.s3"
    assert endpoint["VpcEndpointType"] == "Gateway"
    assert "aws:ResourceAccount" in endpoint["PolicyDocument"]
    assert endpoint["RouteTableIds"] == [table["RouteTableId"]]


def test_nothing_comes_in_and_only_the_web_is_reached(aws: EmbeddedAws, vpc: dict[str, Any]) -> None:
    groups = aws.client("ec2").describe_security_groups(Filters=_of(vpc))["SecurityGroups"]

    rules = {group["GroupName"]: group for group in groups}
    assert set(rules) == {"default", "openclaw-lab-dev"}
    assert all(group["IpPermissions"] == [] for group in groups)
    assert rules["default"]["IpPermissionsEgress"] == []
    egress = rules["openclaw-lab-dev"]["IpPermissionsEgress"]
    assert {(rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) for rule in egress} == {
        ("tcp", 80, 80),
        ("tcp", 443, 443),
    }


def test_metadata_needs_a_token_and_stops_after_one_hop(template: dict[str, Any]) -> None:
    options = template["MetadataOptions"]

    assert options["HttpTokens"] == "required"
    assert options["HttpPutResponseHopLimit"] == 1
    assert options["HttpEndpoint"] == "enabled"


def test_the_root_volume_is_encrypted_and_goes_with_the_instance(template: dict[str, Any]) -> None:
    (mapping,) = template["BlockDeviceMappings"]

    assert mapping["DeviceName"] == "/dev/xvda"
    volume = mapping["Ebs"]
    assert (volume["VolumeType"], volume["VolumeSize"]) == ("gp3", 15)
    assert volume["Encrypted"] is True
    assert volume["DeleteOnTermination"] is True


def test_the_template_names_type_image_profile_group_and_credits(
    aws: EmbeddedAws, template: dict[str, Any], vpc: dict[str, Any]
) -> None:
    parameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"

    assert template["InstanceType"] == "t4g.small"
    assert template["ImageId"] == aws.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    assert template["IamInstanceProfile"]["Name"] == "openclaw-lab-dev-instance"
    assert template["CreditSpecification"] == {"CpuCredits": "standard"}
    assert template["InstanceInitiatedShutdownBehavior"] == "terminate"
    (security_group,) = template["SecurityGroupIds"]
    (found,) = aws.client("ec2").describe_security_groups(GroupIds=[security_group])["SecurityGroups"]
    assert (found["VpcId"], found["GroupName"]) == (vpc["VpcId"], "openclaw-lab-dev")


def test_instance_and_volume_carry_the_stack(template: dict[str, Any]) -> None:
    tags = {
        specification["ResourceType"]: {tag["Key"]: tag["Value"] for tag in specification["Tags"]}
        for specification in template["TagSpecifications"]
    }

    assert {"instance", "volume"} <= set(tags)
    for kind in ("instance", "volume"):
        assert (tags[kind]["Stack"], tags[kind]["Name"]) == ("dev", "openclaw-lab-dev")


def test_user_data_is_small_names_the_release_and_holds_no_secret(
    aws: EmbeddedAws, template: dict[str, Any], dev: dict[str, Any]
) -> None:
    user_data = base64.b64decode(template["UserData"]).decode()
    written = {entry["path"]: entry for entry in yaml.safe_load(user_data)["write_files"]}
    instance_json = base64.b64decode(written["/etc/openclaw/instance.json"]["content"]).decode()

    assert len(user_data.encode()) < 4_096
    assert user_data.startswith("#cloud-config\n")
    assert dev["release_sha256"] in user_data
    assert json.loads(instance_json)["secrets_path"] == "/openclaw-lab/dev/env/"
    for word in ("TOKEN", "PASSWORD", "API_KEY", "AKIA", "PRIVATE KEY"):
        assert word not in (user_data + instance_json).upper()


def test_the_group_is_one_spot_instance_in_one_subnet(aws: EmbeddedAws, group: dict[str, Any]) -> None:
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (0, 1, 1)
    (subnet,) = aws.client("ec2").describe_subnets(SubnetIds=group["VPCZoneIdentifier"].split(","))["Subnets"]
    assert subnet["AvailabilityZone"] == "us-east-1a"
    assert not group.get("CapacityRebalance")
    assert group["HealthCheckType"] == "EC2"

    policy = group["MixedInstancesPolicy"]
    distribution = policy["InstancesDistribution"]
    assert distribution["OnDemandBaseCapacity"] == 0
    assert distribution["OnDemandPercentageAboveBaseCapacity"] == 0
    assert distribution["SpotAllocationStrategy"] == "capacity-optimized-prioritized"
    assert [override["InstanceType"] for override in policy["LaunchTemplate"]["Overrides"]] == ["t4g.small"]
    assert policy["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"] == "1"


def test_the_launched_instance_has_the_user_data_of_the_template(
    aws: EmbeddedAws, group: dict[str, Any], template: dict[str, Any]
) -> None:
    (member,) = group["Instances"]

    answer = aws.client("ec2").describe_instance_attribute(InstanceId=member["InstanceId"], Attribute="userData")

    assert answer["UserData"]["Value"] == template["UserData"]


def test_the_role_has_one_policy_for_this_stack_alone(aws: EmbeddedAws, dev: dict[str, Any]) -> None:
    iam = aws.client("iam")
    name = "openclaw-lab-dev-instance"

    (role,) = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]
    (policy_name,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document = iam.get_role_policy(RoleName=name, PolicyName=policy_name)["PolicyDocument"]

    assert role["RoleName"] == name
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    statements = {statement["Sid"]: statement for statement in document["Statement"]}
    assert statements["Releases"]["Resource"] == f"arn:aws:s3:::{dev['scripts_bucket']}/releases/*"
    assert statements["PullImages"]["Resource"] == dev["repository_arn"]
    assert "prod" not in json.dumps(document)


def test_alarms_reach_the_topic_and_missing_backups_are_alarming(aws: EmbeddedAws, dev: dict[str, Any]) -> None:
    found = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="openclaw-lab-dev-")["MetricAlarms"]
    alarms = {alarm["AlarmName"].removeprefix("openclaw-lab-dev-"): alarm for alarm in found}

    by_s3 = {name for name, alarm in alarms.items() if alarm["Namespace"] == "AWS/SNS"}
    assert by_s3 == {"no-snapshot-in-s3", "backups-deleted"}
    assert set(alarms) - by_s3 == {
        "no-good-backup",
        "backup-refused",
        "restore-failed",
        "database-damaged",
        "disk-full",
        "memory-full",
    }
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [dev["alarm_topic_arn"]]
        assert alarm["ActionsEnabled"] is True
    for name in set(alarms) - by_s3:
        alarm = alarms[name]
        assert alarm["Namespace"] == "OpenClawLab/dev"
        assert alarm["Dimensions"] == [{"Name": "Stack", "Value": "dev"}]
    backup = alarms["no-good-backup"]
    assert (backup["MetricName"], backup["TreatMissingData"]) == ("BackupSucceeded", "breaching")
    assert backup["Period"] * backup["EvaluationPeriods"] == 3_600
    assert alarms["disk-full"]["Threshold"] == 85
    assert alarms["memory-full"]["Threshold"] == 95


def test_the_dashboard_is_named_for_stack_and_region(aws: EmbeddedAws, dev: dict[str, Any]) -> None:
    body = aws.client("cloudwatch").get_dashboard(DashboardName="openclaw-lab-dev-us-east-1")["DashboardBody"]

    alarms = json.loads(body)["widgets"][0]["properties"]["alarms"]
    assert len(alarms) == 8
    assert all(arn.startswith("arn:aws:cloudwatch:") for arn in alarms)
    assert dev["agent_log_group"] in body


def test_a_planned_end_waits_for_the_final_backup_and_goes_on_without_one(
    aws: EmbeddedAws, dev: dict[str, Any], template: dict[str, Any]
) -> None:
    (hook,) = aws.client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=dev["group_name"])[
        "LifecycleHooks"
    ]
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    # Pulumi waits for ten minutes for the end of a group.
    assert (hook["HeartbeatTimeout"], hook["DefaultResult"]) == (300, "CONTINUE")
    assert len(base64.b64decode(template["UserData"])) < 16_384


def test_the_hook_is_still_there_when_a_destroy_ends_the_instance(stacks: "Stacks", dev: dict[str, Any]) -> None:
    resources = {row.type: row for row in stacks.engine.resources("openclaw-ec2-spot", "dev")}
    hook, group = (resources[f"aws:autoscaling/{kind}"] for kind in ("lifecycleHook:LifecycleHook", "group:Group"))
    assert hook.deleted_with == group.urn
    assert hook.inputs["name"] == f"{dev['group_name']}-final-backup"
