from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from lab.engine.engine import Action
from lab.moto.server import EmbeddedAws
from lab.resources.errors import ProgramFailed
from lab.resources.handlers import ec2_network

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks


def _latest_user_data(aws: EmbeddedAws, stack: str) -> tuple[int, str]:
    (version,) = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateName=f"openclaw-lab-{stack}", Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    assert version["VersionDescription"].startswith("release ")
    return version["VersionNumber"], base64.b64decode(version["LaunchTemplateData"]["UserData"]).decode()


def test_a_changed_script_is_a_new_release_and_a_new_template_while_the_old_release_stays(
    aws: EmbeddedAws, stacks: Stacks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lab.engine.program")
    first = stacks.platform("change")
    stacks.instance("change")
    script = stacks.repository / "scripts" / "openclaw-s3-backup.py"
    original = script.read_text()

    try:
        script.write_text(original + "\n# changed\n")
        second = stacks.platform("change")
    finally:
        script.write_text(original)
    assert caplog.messages == []
    steps = stacks.engine.preview(stacks.repository / "ec2_spot", "change", {"availability_zone": "us-east-1a"})
    old, new = (release["release_sha256"][:12] for release in (first, second))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.messages[0].endswith(f", because this changes: release from {old} to {new}.")
    stacks.instance("change")

    assert old != new
    changed = {urn.split("::")[2].split("$")[-1] for action, urn in steps if action is Action.UPDATE}
    assert changed == {"aws:ec2/launchTemplate:LaunchTemplate", "aws:autoscaling/group:Group"}
    assert len(steps) == 2
    version, user_data = _latest_user_data(aws, "change")
    assert version == 2
    assert second["release_sha256"] in user_data
    assert first["release_sha256"] not in user_data
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["openclaw-lab-change"])[
        "AutoScalingGroups"
    ]
    template = group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
    assert template["Version"] == "2"
    for release in (first, second):
        assert aws.client("s3").head_object(Bucket=release["scripts_bucket"], Key=release["release_key"])


MOVE = "move"
ALIVE = {"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down", "stopping", "stopped"]}


def _vpc(aws: EmbeddedAws, stack: str) -> str:
    (vpc,) = aws.client("ec2").describe_vpcs(Filters=[{"Name": "tag:Stack", "Values": [stack]}])["Vpcs"]
    return str(vpc["VpcId"])


def _subnets(aws: EmbeddedAws, stack: str) -> dict[str, tuple[str, str]]:
    found = aws.client("ec2").describe_subnets(Filters=[{"Name": "vpc-id", "Values": [_vpc(aws, stack)]}])["Subnets"]
    return {subnet["AvailabilityZone"]: (subnet["SubnetId"], subnet["CidrBlock"]) for subnet in found}


def _living(aws: EmbeddedAws, stack: str) -> list[tuple[str, str]]:
    named = {"Name": "tag:aws:autoscaling:groupName", "Values": [f"openclaw-lab-{stack}"]}
    found = aws.client("ec2").describe_instances(Filters=[named, ALIVE])["Reservations"]
    return [(each["InstanceId"], each["SubnetId"]) for reservation in found for each in reservation["Instances"]]


def _has_a_way_out(aws: EmbeddedAws, vpc: str, subnet: str) -> bool:
    """Whether the table that the subnet uses, its own or else the main one, leads to the internet and to S3."""
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    tables = aws.client("ec2").describe_route_tables(Filters=of_vpc)["RouteTables"]
    own = [table for table in tables if any(each.get("SubnetId") == subnet for each in table["Associations"])]
    main = [table for table in tables if any(each["Main"] for each in table["Associations"])]
    (used,) = own or main
    (endpoint,) = aws.client("ec2").describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc]}])[
        "VpcEndpoints"
    ]
    leaves = any(route.get("DestinationCidrBlock") == "0.0.0.0/0" for route in used["Routes"])
    return leaves and used["RouteTableId"] in endpoint["RouteTableIds"]


@contextmanager
def _watched(aws: EmbeddedAws, *actions: str) -> Iterator[list[tuple[str, Any]]]:
    """What was sent to EC2 and Auto Scaling of these actions, with what stood there just before."""
    seen: list[tuple[str, Any]] = []

    def look(model: Any, **_: Any) -> None:
        seen.append((model.name, (_subnets(aws, MOVE), _living(aws, MOVE))))

    events = [aws.client(service).meta.events for service in ("ec2", "autoscaling")]
    names = [f"before-call.{service}.{action}" for action in actions for service in ("ec2", "auto-scaling")]
    for event in events:
        for name in names:
            event.register(name, look)
    try:
        yield seen
    finally:
        for event in events:
            for name in names:
                event.unregister(name, look)


@pytest.fixture(scope="module")
def moving(stacks: Stacks) -> dict[str, Any]:
    return {**stacks.platform(MOVE), **stacks.instance(MOVE)}


def test_another_zone_is_a_new_subnet_then_a_new_instance_and_then_the_old_subnet_goes(
    aws: EmbeddedAws, stacks: Stacks, moving: dict[str, Any]
) -> None:
    stacks.instance(MOVE)
    vpc, (old, old_range) = _vpc(aws, MOVE), _subnets(aws, MOVE)["us-east-1a"]
    ((first, _),) = _living(aws, MOVE)
    tables_at_the_end = []
    look_at_tables = lambda **_: tables_at_the_end.append(_has_a_way_out(aws, vpc, old))  # noqa: E731
    aws.client("ec2").meta.events.register("before-call.ec2.DeleteSubnet", look_at_tables)

    with _watched(aws, "CreateSubnet", "UpdateAutoScalingGroup", "TerminateInstances", "DeleteSubnet") as seen:
        outputs = stacks.instance(MOVE, availability_zone="us-east-1c")
    aws.client("ec2").meta.events.unregister("before-call.ec2.DeleteSubnet", look_at_tables)

    assert [name for name, _ in seen] == [
        "CreateSubnet", "UpdateAutoScalingGroup", "TerminateInstances", "DeleteSubnet",
    ]  # fmt: skip
    both, at_the_end = seen[2][1][0], seen[3][1]
    assert (set(both), _living(aws, MOVE)) == ({"us-east-1a", "us-east-1c"}, at_the_end[1])
    # The old instance may still be at its final backup: until its subnet goes, it has its way out.
    assert tables_at_the_end == [True]
    new, new_range = _subnets(aws, MOVE)["us-east-1c"]
    ((second, its_subnet),) = _living(aws, MOVE)
    assert (second == first, its_subnet, outputs["availability_zone"]) == (False, new, "us-east-1c")
    assert (old_range, new_range) == ("10.77.0.0/27", "10.77.0.64/27")
    assert set(_subnets(aws, MOVE)) == {"us-east-1c"}
    assert _has_a_way_out(aws, vpc, new)
    unchanged = {"availability_zone": "us-east-1c"}
    assert stacks.engine.preview(stacks.repository / "ec2_spot", MOVE, unchanged) == []


def test_a_paused_stack_moves_without_an_instance(aws: EmbeddedAws, stacks: Stacks, moving: dict[str, Any]) -> None:
    group = {"AutoScalingGroupName": moving["group_name"]}
    aws.client("autoscaling").update_auto_scaling_group(**group, DesiredCapacity=0)
    assert _living(aws, MOVE) == []
    stacks.instance(MOVE, availability_zone="us-east-1b")
    assert (set(_subnets(aws, MOVE)), _living(aws, MOVE)) == ({"us-east-1b"}, [])
    aws.client("autoscaling").update_auto_scaling_group(**group, DesiredCapacity=1)
    ((_, subnet),) = _living(aws, MOVE)
    assert subnet == _subnets(aws, MOVE)["us-east-1b"][0]


@pytest.mark.parametrize("then", ["us-east-1d", "us-east-1a"], ids=["on", "back"])
def test_a_move_that_fails_in_the_middle_goes_on_or_back_with_the_next_up(
    aws: EmbeddedAws, stacks: Stacks, moving: dict[str, Any], monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    ec2 = aws.client("ec2")
    stacks.instance(MOVE)
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    old = _subnets(aws, MOVE)["us-east-1a"][0]
    (foreign,) = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=old)["Instances"]
    monkeypatch.setattr(ec2_network, "EMPTY_SUBNET_SECONDS", 0)

    with pytest.raises(ProgramFailed, match=rf"DependencyViolation\): {foreign['InstanceId']}$"):
        stacks.instance(MOVE, availability_zone="us-east-1d")
    assert set(_subnets(aws, MOVE)) == {"us-east-1a", "us-east-1d"}
    ec2.terminate_instances(InstanceIds=[foreign["InstanceId"]])
    stacks.instance(MOVE, availability_zone=then)

    assert set(_subnets(aws, MOVE)) == {then}
    ((_, subnet),) = _living(aws, MOVE)
    assert subnet == _subnets(aws, MOVE)[then][0]
    assert stacks.engine.preview(stacks.repository / "ec2_spot", MOVE, {"availability_zone": then}) == []


def test_a_changed_network_is_refused_before_anything_is_touched(
    aws: EmbeddedAws, stacks: Stacks, moving: dict[str, Any]
) -> None:
    before = (_vpc(aws, MOVE), _subnets(aws, MOVE), _living(aws, MOVE))
    with pytest.raises(ProgramFailed, match=r"^cidr is '10\.78\.0\.0/24', but the network of this stack was made w"):
        stacks.instance(MOVE, availability_zone="us-east-1b", cidr="10.78.0.0/24")
    assert (_vpc(aws, MOVE), _subnets(aws, MOVE), _living(aws, MOVE)) == before


@pytest.fixture
def of_0_1_0(stacks: Stacks) -> str:
    """A stack as version 0.1.0 deployed it: one subnet over the whole network, with a route table of its own."""
    stacks.platform("elder")
    program = stacks.repository / "ec2_spot" / "openclaw_ec2_spot" / "network.py"
    text = program.read_text()
    elder = text
    for now, then in (
        ("name + args.subnet.name", "name"),
        ("str(args.subnet.cidr)", "str(settings.cidr)"),
        (
            "MainRouteTableAssociation(name, vpc_id=vpc.id, route_table_id=routes.id,",
            "RouteTableAssociation(name, route_table_id=routes.id, subnet_id=subnet.id,",
        ),
    ):
        assert now in elder
        elder = elder.replace(now, then)
    # What another test has imported of the real program would be taken in its place.
    with mock.patch.dict(sys.modules):
        for name in [name for name in sys.modules if name.partition(".")[0] == "openclaw_ec2_spot"]:
            del sys.modules[name]
        try:
            program.write_text(elder)
            stacks.instance("elder")
        finally:
            program.write_text(text)
    return "elder"


def test_a_stack_of_0_1_0_goes_on_in_its_zone_and_is_told_what_to_do_for_another(
    aws: EmbeddedAws, stacks: Stacks, of_0_1_0: str
) -> None:
    before = (_vpc(aws, of_0_1_0), _subnets(aws, of_0_1_0), _living(aws, of_0_1_0))
    ((_, (subnet, cidr)),) = before[1].items()
    assert cidr == "10.77.0.0/24"

    with pytest.raises(ProgramFailed, match=r"^availability_zone is 'us-east-1b', but this stack was deployed by v"):
        stacks.instance(of_0_1_0, availability_zone="us-east-1b")
    assert (_vpc(aws, of_0_1_0), _subnets(aws, of_0_1_0), _living(aws, of_0_1_0)) == before

    stacks.instance(of_0_1_0, backup_interval_minutes="30")
    assert (_vpc(aws, of_0_1_0), _subnets(aws, of_0_1_0)) == before[:2]
    assert _has_a_way_out(aws, before[0], subnet)


IMAGE_OF_MAY = "al2023-of-may"


def test_a_pinned_image_that_amazon_has_deprecated_is_found_and_stays_until_the_newest_is_asked_for(
    aws: EmbeddedAws, stacks: Stacks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ec2, program = aws.client("ec2"), stacks.repository / "ec2_spot"
    zone = {"availability_zone": "us-east-1a"}
    parameter = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    newest = aws.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    old = ec2.copy_image(Name=IMAGE_OF_MAY, SourceImageId=newest, SourceRegion="us-east-1")["ImageId"]
    ec2.enable_image_deprecation(ImageId=old, DeprecateAt="2026-08-01T00:00:00Z")
    assert ec2.describe_images(Filters=[{"Name": "image-id", "Values": [old]}])["Images"] == []
    stacks.platform("image")
    stacks.instance("image", ami_id=old)
    caplog.set_level("INFO", "lab.engine.program")

    assert stacks.engine.preview(program, "image", zone) == []
    assert caplog.messages[-1].startswith(f"The machine image stays {old}; there is a newer one, {newest}: `make up ")

    monkeypatch.setenv("REFRESH_AMI", "1")
    steps = stacks.engine.preview(program, "image", zone)
    assert caplog.messages[-1].startswith(f"The instance is replaced, because its machine image changes from {old} to")
    assert caplog.records[-1].levelname == "WARNING"
    changed = {(action, urn.split("::")[2].split("$")[-1]) for action, urn in steps}
    assert changed == {
        (Action.UPDATE, "aws:ec2/launchTemplate:LaunchTemplate"),
        (Action.UPDATE, "aws:autoscaling/group:Group"),
    }
    monkeypatch.delenv("REFRESH_AMI")
    assert len(stacks.engine.preview(program, "image", {**zone, "ami_id": "newest"})) == 2

    ec2.deregister_image(ImageId=old)
    assert len(stacks.engine.preview(program, "image", zone)) == 2
    assert caplog.messages[-1].startswith(f"The deployed machine image {old} is not there any more, so that the newest")
