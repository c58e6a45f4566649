from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from lab.engine.engine import Action
from lab.moto.server import EmbeddedAws
from lab.resources.errors import DestroyRefused

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks


NAME_INPUTS = {"bucket", "name", "dashboardName"}


@pytest.fixture(scope="module")
def prod(stacks: Stacks, dev: dict[str, Any]) -> dict[str, Any]:
    """A second stack in the same account, deployed while dev is there, with another choice everywhere."""
    platform = stacks.platform("prod", alarm_email="me@example.org", log_retention_days="7", undelete_days="14")
    instance = stacks.instance(
        "prod",
        availability_zone="us-east-1b",
        instance_type="c7g.medium,c7g.large",
        root_volume_size_gib="20",
        swap_size_mib="0",
        cidr="192.168.4.0/25",
        extra_egress_ports="22",
        backup_interval_minutes="60",
    )
    return {**platform, **instance}


def test_no_name_of_one_stack_is_a_name_of_the_other(stacks: Stacks, prod: dict[str, Any]) -> None:
    names = {
        stack: {
            str(value)
            for project in ("openclaw-platform", "openclaw-ec2-spot")
            for resource in stacks.engine.resources(project, stack)
            for key, value in resource.inputs.items()
            if resource.type.startswith("aws:") and key in NAME_INPUTS
        }
        for stack in ("dev", "prod")
    }

    for stack, found in names.items():
        assert len(found) > 12
        assert [name for name in found if not re.search(rf"\b{stack}\b", name)] == []
    assert names["dev"] & names["prod"] == set()


def test_every_taggable_resource_carries_the_stack(stacks: Stacks, prod: dict[str, Any]) -> None:
    tagged = [
        resource
        for project in ("openclaw-platform", "openclaw-ec2-spot")
        for resource in stacks.engine.resources(project, "prod")
        if isinstance(resource.inputs.get("tags"), Mapping)
    ]

    assert len(tagged) > 15
    assert {resource.inputs["tags"]["Stack"] for resource in tagged} == {"prod"}


def test_what_was_configured_is_what_was_made(aws: EmbeddedAws, prod: dict[str, Any]) -> None:
    ec2 = aws.client("ec2")
    (version,) = ec2.describe_launch_template_versions(LaunchTemplateName="openclaw-lab-prod", Versions=["$Latest"])[
        "LaunchTemplateVersions"
    ]
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["openclaw-lab-prod"])[
        "AutoScalingGroups"
    ]
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Stack", "Values": ["prod"]}])["Vpcs"]
    (security_group,) = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["openclaw-lab-prod"]}])[
        "SecurityGroups"
    ]
    (backup_alarm,) = aws.client("cloudwatch").describe_alarms(AlarmNames=["openclaw-lab-prod-no-good-backup"])[
        "MetricAlarms"
    ]

    template = version["LaunchTemplateData"]
    assert template["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 20
    assert "CreditSpecification" not in template
    overrides = group["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
    assert [override["InstanceType"] for override in overrides] == ["c7g.medium", "c7g.large"]
    assert [member["InstanceType"] for member in group["Instances"]] == ["c7g.medium"]
    assert vpc["CidrBlock"] == "192.168.4.0/25"
    assert {rule["FromPort"] for rule in security_group["IpPermissionsEgress"]} == {22, 80, 443}
    assert backup_alarm["EvaluationPeriods"] * backup_alarm["Period"] == 3 * 3_600


def test_an_alarm_address_is_subscribed(aws: EmbeddedAws, prod: dict[str, Any]) -> None:
    (subscription,) = aws.client("sns").list_subscriptions_by_topic(TopicArn=prod["alarm_topic_arn"])["Subscriptions"]

    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "me@example.org")


def test_a_second_deployment_changes_nothing(stacks: Stacks, dev: dict[str, Any]) -> None:
    assert stacks.engine.preview(stacks.repository / "ec2_spot", "dev", {"availability_zone": "us-east-1a"}) == []


def test_the_root_project_deploys_both_halves_and_the_instance_goes_alone(aws: EmbeddedAws, stacks: Stacks) -> None:
    outputs = stacks.root("lab")

    assert outputs["backup_bucket"] == "openclaw-lab-backup-lab-123456789012"
    assert outputs["group_name"] == "openclaw-lab-lab"
    assert aws.client("s3").head_object(Bucket=outputs["scripts_bucket"], Key=outputs["release_key"])
    with pytest.raises(DestroyRefused, match="is protected"):
        stacks.engine.destroy(stacks.repository, "lab")


@pytest.fixture
def doomed(stacks: Stacks) -> dict[str, Any]:
    return {**stacks.platform("doomed"), **stacks.instance("doomed")}


def test_destroy_takes_the_instance_and_never_the_backups(
    aws: EmbeddedAws, stacks: Stacks, doomed: dict[str, Any]
) -> None:
    s3, ec2 = aws.client("s3"), aws.client("ec2")
    s3.put_object(Bucket=doomed["backup_bucket"], Key="latest/manifest.json", Body=b"{}")

    stacks.engine.destroy(stacks.repository / "ec2_spot", "doomed")

    stack_tag = [{"Name": "tag:Stack", "Values": ["doomed"]}]
    assert ec2.describe_vpcs(Filters=stack_tag)["Vpcs"] == []
    assert ec2.describe_launch_templates(Filters=stack_tag)["LaunchTemplates"] == []
    alive = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    assert ec2.describe_instances(Filters=[*stack_tag, *alive])["Reservations"] == []
    roles = [role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]]
    assert not [name for name in roles if "doomed" in name]
    assert aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="openclaw-lab-doomed")["MetricAlarms"] == []

    before = len(stacks.engine.resources("openclaw-platform", "doomed"))
    with pytest.raises(DestroyRefused) as refused:
        stacks.engine.destroy(stacks.repository / "platform", "doomed")
    assert doomed["backup_bucket"] in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(DestroyRefused, match=re.escape(doomed["backup_bucket"])):
        stacks.engine.destroy(stacks.repository / "platform", "doomed", unprotect=True)
    assert len(stacks.engine.resources("openclaw-platform", "doomed")) == before
    assert s3.head_object(Bucket=doomed["backup_bucket"], Key="latest/manifest.json")

    (version,) = s3.list_object_versions(Bucket=doomed["backup_bucket"])["Versions"]
    s3.delete_object(Bucket=doomed["backup_bucket"], Key=version["Key"], VersionId=version["VersionId"])
    actions = stacks.engine.destroy(stacks.repository / "platform", "doomed", unprotect=True)

    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert not [name for name in buckets if "doomed" in name]
    assert [action for action, urn in actions if urn.endswith("::release")] == [Action.FORGET]
