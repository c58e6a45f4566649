from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.engine.errors import MissingStack
from lab.moto.server import EmbeddedAws
from lab.resources.errors import ProgramFailed

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks


ZONE = {"availability_zone": "us-east-1a"}


def _everything(aws: EmbeddedAws) -> dict[str, set[str]]:
    ec2 = aws.client("ec2")
    return {
        "vpcs": {vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]},
        "templates": {found["LaunchTemplateId"] for found in ec2.describe_launch_templates()["LaunchTemplates"]},
        "buckets": {bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]},
        "roles": {role["RoleName"] for role in aws.client("iam").list_roles()["Roles"]},
        "topics": {topic["TopicArn"] for topic in aws.client("sns").list_topics()["Topics"]},
        "alarms": {alarm["AlarmName"] for alarm in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]},
    }


@pytest.fixture(scope="module")
def with_platform(stacks: Stacks) -> str:
    """A stack whose platform is there, so that only the instance's own configuration can be at fault."""
    stacks.platform("refused")
    return "refused"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {},
            "availability_zone is not set, but must be an availability zone of the stack's region, such as us-east-1a; "
            "set it with `pulumi config set availability_zone VALUE`.",
        ),
        (
            {"availability_zone": "us-east-1"},
            "availability_zone is 'us-east-1', but must be an availability zone of the stack's region, "
            "such as us-east-1a.",
        ),
        (
            {"availability_zone": "eu-west-1a"},
            "availability_zone is 'eu-west-1a', but must be a zone of the stack's region us-east-1, "
            "such as us-east-1a; the region is set with `pulumi config set aws:region REGION`.",
        ),
        (
            {"availability_zone": "us-east-1z"},
            "availability_zone is 'us-east-1z', but in us-east-1 must be one of us-east-1a, us-east-1b, us-east-1c, "
            "us-east-1d, us-east-1e, us-east-1f.",
        ),
        (
            {**ZONE, "instance_type": "t4g.enormous"},
            "instance_type is 't4g.enormous', but must be a type that EC2 offers in us-east-1.",
        ),
        (
            {"availability_zone": "us-east-1e", "instance_type": "t4g.small"},
            "instance_type is 't4g.small', but must be a type that EC2 offers in the zone us-east-1e.",
        ),
        (
            {**ZONE, "instance_type": "t4g.small,t3.small"},
            "instance_type is t4g.small (arm64), t3.small (x86_64), "
            "but all types must have one architecture, arm64 or x86_64.",
        ),
        (
            {**ZONE, "instance_type": "t4g.small,c7g.medium"},
            "instance_type mixes t4g.small with c7g.medium, but must be burstable types (t...) only, or none of them.",
        ),
        (
            {**ZONE, "root_volume_size_gib": "7"},
            "root_volume_size_gib is '7', but must be a whole number from 8 to 1024.",
        ),
        (
            {**ZONE, "cidr": "10.77.0.0/29"},
            "cidr is '10.77.0.0/29', but must be a private IPv4 network (in 10.0.0.0/8, 172.16.0.0/12 or "
            "192.168.0.0/16) from /16 to /25.",
        ),
        (
            {**ZONE, "cidr": "10.77.0.0/26"},
            "cidr is '10.77.0.0/26', but must be a private IPv4 network (in 10.0.0.0/8, 172.16.0.0/12 or "
            "192.168.0.0/16) from /16 to /25.",
        ),
        (
            {**ZONE, "cidr": "nonsense"},
            "cidr is 'nonsense', but must be a private IPv4 network (in 10.0.0.0/8, 172.16.0.0/12 or "
            "192.168.0.0/16) from /16 to /25.",
        ),
        (
            {**ZONE, "ami_id": "ami-0123456789abcdef0"},
            "ami_id is 'ami-0123456789abcdef0', but must be an image that this account can see.",
        ),
    ],
    ids=[
        "zone missing",
        "zone malformed",
        "zone of another region",
        "zone that is not there",
        "type unknown",
        "type not in the zone",
        "architectures mixed",
        "credits mixed",
        "volume too small",
        "no network",
        "network too small to be cut",
        "network malformed",
        "image unknown",
    ],
)
def test_a_bad_value_is_one_sentence_and_nothing_is_created(
    aws: EmbeddedAws, stacks: Stacks, with_platform: str, config: dict[str, str], sentence: str
) -> None:
    before = _everything(aws)

    with pytest.raises(ProgramFailed) as refused:
        stacks.engine.up(stacks.repository / "ec2_spot", with_platform, config)

    assert str(refused.value) == sentence
    assert _everything(aws) == before
    with pytest.raises(MissingStack):
        stacks.engine.outputs("openclaw-ec2-spot", with_platform)


def test_a_missing_platform_says_what_to_run(aws: EmbeddedAws, stacks: Stacks) -> None:
    before = _everything(aws)

    with pytest.raises(ProgramFailed) as refused:
        stacks.engine.up(stacks.repository / "ec2_spot", "lonely", ZONE)

    assert str(refused.value).startswith("The platform stack organization/openclaw-platform/lonely cannot be read (")
    assert "run `pulumi up` in platform/ for the stack lonely first" in str(refused.value)
    assert _everything(aws) == before


def test_a_region_that_is_not_the_platforms_is_refused_with_both(
    aws: EmbeddedAws, stacks: Stacks, with_platform: str
) -> None:
    before = _everything(aws)
    elsewhere = {"aws:region": "us-west-2", "availability_zone": "us-west-2a"}

    with pytest.raises(ProgramFailed) as refused:
        stacks.engine.up(stacks.repository / "ec2_spot", with_platform, elsewhere)

    assert str(refused.value) == (
        "aws:region is 'us-west-2', but must be 'us-east-1', where the platform stack "
        "organization/openclaw-platform/refused was deployed: set it with `pulumi config set aws:region us-east-1`; to "
        "live in another region, deploy a new stack there and copy the backups."
    )
    assert _everything(aws) == before


def test_the_platform_of_another_organization_is_looked_for_there(stacks: Stacks) -> None:
    config = {**ZONE, "platform_organization": "acme"}

    with pytest.raises(ProgramFailed, match=r"^The platform stack acme/openclaw-platform/lonely cannot be read \("):
        stacks.engine.up(stacks.repository / "ec2_spot", "lonely", config)


@pytest.mark.parametrize("program", ["platform", "."])
def test_a_stack_name_that_no_bucket_can_have_is_refused(aws: EmbeddedAws, stacks: Stacks, program: str) -> None:
    before = _everything(aws)

    with pytest.raises(ProgramFailed, match=r"^The stack's name is 'My_Stack', but must be at most 29 lower-case "):
        stacks.engine.up(stacks.repository / program, "My_Stack", {**ZONE, **stacks.wheels})

    assert _everything(aws) == before


@pytest.mark.subprocess
def test_a_wheel_that_was_tampered_with_is_refused(
    aws: EmbeddedAws, stacks: Stacks, other_wheel: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _everything(aws)
    # No index, so that nothing is fetched in place of the wheel.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    (Path(other_wheel["wheels_folder"]) / "one-1.0-py3-none-any.whl").write_bytes(b"tampered with")

    with pytest.raises(ProgramFailed, match=r"^The agent's wheels could not be fetched: "):
        stacks.engine.up(stacks.repository / "platform", "tampered", other_wheel)

    assert _everything(aws) == before


def test_the_root_project_refuses_before_it_builds_the_platform(aws: EmbeddedAws, stacks: Stacks) -> None:
    before = _everything(aws)

    with pytest.raises(ProgramFailed, match=r"^availability_zone is 'eu-west-1a', but must be a zone of the stack's "):
        stacks.engine.up(stacks.repository, "lab2", {**stacks.wheels, "availability_zone": "eu-west-1a"})

    assert _everything(aws) == before


@pytest.mark.parametrize(
    ("project", "config", "nearest"),
    [
        ("platform", {"log_retention_day": "30"}, "log_retention_days"),
        ("ec2_spot", {**ZONE, "instence_type": "t4g.small"}, "instance_type"),
        (".", {**ZONE, "instence_type": "t4g.small"}, "instance_type"),
        (".", {**ZONE, "alarm_mail": "me@example.org"}, "alarm_email"),
    ],
)
def test_a_key_with_a_typo_is_told_before_anything_is_created(
    aws: EmbeddedAws, stacks: Stacks, with_platform: str, project: str, config: dict[str, str], nearest: str
) -> None:
    before = _everything(aws)

    with pytest.raises(ProgramFailed, match=rf"^\w+ is set, but is no configuration key .*: the nearest is {nearest} "):
        stacks.engine.up(stacks.repository / project, with_platform, config)

    assert _everything(aws) == before
