from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from lab.engine.engine import Action
from lab.host.deadline import scaled
from lab.moto.server import EmbeddedAws
from operator_tools.power.command import main
from tests.support.simulated_instance import BOTOCORE_DESCRIPTIONS
from tests.support.slow_aws import SlowAws

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks

SCRIPT = Path(__file__).parents[2] / "scripts" / "ec2-spot-power.py"
ALARM = "openclaw-lab-rest-no-good-backup"
FED_BY_S3 = "openclaw-lab-rest-no-snapshot-in-s3"

pytestmark = pytest.mark.subprocess


@pytest.fixture(scope="module")
def rest(stacks: Stacks) -> dict[str, Any]:
    """A stack of its own for pausing; its outputs."""
    return {**stacks.platform("rest"), **stacks.instance("rest")}


@pytest.fixture
def running(aws: EmbeddedAws, rest: dict[str, Any]) -> Iterator[None]:
    aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=rest["group_name"], DesiredCapacity=1)
    aws.client("cloudwatch").enable_alarm_actions(AlarmNames=[ALARM])
    yield
    aws.client("autoscaling").resume_processes(AutoScalingGroupName=rest["group_name"])


def power(
    endpoint: EmbeddedAws | SlowAws, *arguments: str, path: str = "/nonexistent", **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command in this process; only what `path` holds is installed besides."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment_of(endpoint, path) | environment),
        mock.patch("botocore.session.create_loader", return_value=BOTOCORE_DESCRIPTIONS),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(arguments)
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def power_program(endpoint: EmbeddedAws, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as `make pause` and `make resume` start it."""
    given = os.environ | environment_of(endpoint, "/nonexistent") | environment
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=scaled(120), check=False)


def environment_of(endpoint: EmbeddedAws | SlowAws, path: str) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": endpoint.endpoint_url, "AWS_REGION": "us-east-1", "PATH": path}


def group_of(aws: EmbeddedAws) -> dict[str, Any]:
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["openclaw-lab-rest"])[
        "AutoScalingGroups"
    ]
    return dict(group)


def alarms_that_tell(aws: EmbeddedAws) -> set[str]:
    found = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="openclaw-lab-rest-")["MetricAlarms"]
    assert len(found) == 8
    return {alarm["AlarmName"] for alarm in found if alarm["ActionsEnabled"]}


def updated_types(steps: list[tuple[Action, str]]) -> list[str]:
    assert {action for action, _ in steps} <= {Action.UPDATE}
    return [urn.split("::")[2].split("$")[-1] for _, urn in steps]


@pytest.mark.usefixtures("running")
def test_pause_ends_the_instance_and_resume_brings_another(aws: EmbeddedAws) -> None:
    (before,) = group_of(aws)["Instances"]

    paused = power_program(aws, "pause", "rest")

    assert (paused.returncode, paused.stderr) == (0, "")
    assert paused.stdout.startswith(
        "Pausing rest (group openclaw-lab-rest in us-east-1): desired instances 1 -> 0; the instance stops the "
        "gateway, makes a final backup, gives up ownership and ends.\n"
    )
    assert "make resume STACK=rest brings it back." in paused.stdout
    assert (group_of(aws)["DesiredCapacity"], group_of(aws)["Instances"]) == (0, [])
    answer = aws.client("ec2").describe_instances(InstanceIds=[before["InstanceId"]])
    assert answer["Reservations"][0]["Instances"][0]["State"]["Name"] == "terminated"

    resumed = power_program(aws, "resume", "rest")

    assert (resumed.returncode, resumed.stderr) == (0, "")
    (after,) = group_of(aws)["Instances"]
    assert after["InstanceId"] != before["InstanceId"]
    assert "rest has an instance in service." in resumed.stdout
    assert "make outputs STACK=rest says how to connect" in resumed.stdout


@pytest.mark.usefixtures("running")
def test_a_pause_silences_the_alarms_of_missing_backups_alone_until_resume(aws: EmbeddedAws) -> None:
    everything = alarms_that_tell(aws)

    paused = power(aws, "pause", "rest")
    silent = everything - alarms_that_tell(aws)
    resumed = power(aws, "resume", "rest")

    assert silent == {ALARM, FED_BY_S3}
    assert f"Silent until make resume: {ALARM} and {FED_BY_S3}; all other alarms stay on." in paused.stdout
    assert alarms_that_tell(aws) == everything
    assert f"Alarms that tell again: {ALARM} and {FED_BY_S3}." in resumed.stdout


@pytest.mark.usefixtures("running")
def test_a_deployment_never_resumes_a_paused_stack(aws: EmbeddedAws, stacks: Stacks) -> None:
    assert power(aws, "pause", "rest").returncode == 0
    script = stacks.repository / "scripts" / "openclaw-s3-backup.py"
    original = script.read_text()
    old_version = group_of(aws)["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"]

    try:
        script.write_text(original + "\n# changed while paused\n")
        stacks.platform("rest")
        steps = stacks.engine.preview(stacks.repository / "ec2_spot", "rest", {"availability_zone": "us-east-1a"})
        stacks.instance("rest")
    finally:
        script.write_text(original)

    assert updated_types(steps) == ["aws:ec2/launchTemplate:LaunchTemplate", "aws:autoscaling/group:Group"]
    group = group_of(aws)
    assert (group["DesiredCapacity"], group["Instances"]) == (0, [])
    new_version = group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"]
    assert int(new_version) == int(old_version) + 1
    assert ALARM not in alarms_that_tell(aws)
    assert power(aws, "resume", "rest").returncode == 0
    (instance,) = group_of(aws)["Instances"]
    assert instance["LaunchTemplate"]["Version"] == new_version


@pytest.mark.usefixtures("running")
def test_the_program_ignores_a_size_that_a_refresh_has_learnt(aws: EmbeddedAws, stacks: Stacks) -> None:
    # `pulumi refresh` writes what AWS has into the state's inputs; without ignore_changes the next `up` would undo it.
    assert power(aws, "pause", "rest").returncode == 0
    path = next(path for path in (stacks.repository.parent / "state").rglob("rest.json") if "ec2-spot" in str(path))
    state = json.loads(path.read_text())
    (group,) = [row for row in state["resources"] if row["type"] == "aws:autoscaling/group:Group"]
    refreshed = {**group, "inputs": {**group["inputs"], "desiredCapacity": 0}}
    rows = [refreshed if row is group else row for row in state["resources"]]
    path.write_text(json.dumps({**state, "resources": rows}))

    stacks.instance("rest")

    assert group_of(aws)["DesiredCapacity"] == 0


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("verb", "desired", "sentence"),
    [
        ("pause", 0, "rest is already paused (group openclaw-lab-rest in us-east-1)."),
        ("resume", 1, "rest is already running (group openclaw-lab-rest in us-east-1)."),
    ],
)
def test_a_second_time_changes_nothing(aws: EmbeddedAws, verb: str, desired: int, sentence: str) -> None:
    assert power(aws, verb, "rest").returncode == 0
    before = group_of(aws)["Instances"]

    with SlowAws(aws.endpoint_url) as door:
        again = power(door, verb, "rest")

    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith(sentence)
    assert group_of(aws)["Instances"] == before
    assert group_of(aws)["DesiredCapacity"] == desired
    assert all(call.startswith("Describe") for call in door.calls)


@pytest.mark.usefixtures("running")
def test_it_waits_and_says_for_what(aws: EmbeddedAws) -> None:
    (member,) = group_of(aws)["Instances"]
    with SlowAws(aws.endpoint_url, late_answers=3) as door:
        paused = power(door, "pause", "rest", "--every", "0.1")

    assert paused.returncode == 0
    assert f" s  {member['InstanceId']} InService\n" in paused.stdout
    assert paused.stdout.count("InService") == 1
    assert "rest is paused" in paused.stdout
    assert door.calls.count("DescribeAutoScalingGroups") == 5


@pytest.mark.usefixtures("running")
def test_waiting_ends_with_what_aws_complains_of(aws: EmbeddedAws) -> None:
    assert power(aws, "pause", "rest").returncode == 0
    complaint = "Could not launch Spot Instances. UnfulfillableCapacity"
    with SlowAws(aws.endpoint_url, late_answers=1_000, complaint=complaint) as door:
        resumed = power(door, "resume", "rest", "--every", "0.1", "--timeout", "0.01")

    assert resumed.returncode == 1
    assert resumed.stderr.startswith("rest is not running after 1 s (no instance); the group goes on by itself")
    assert resumed.stderr.endswith(f"AWS says: {complaint}\n")
    assert resumed.stderr.count("\n") == 1


@pytest.mark.usefixtures("running")
def test_no_wait_returns_at_once_and_says_how_to_wait(aws: EmbeddedAws) -> None:
    with SlowAws(aws.endpoint_url, late_answers=1_000) as door:
        paused = power(door, "pause", "rest", "--no-wait")

    assert (paused.returncode, paused.stderr) == (0, "")
    assert "AWS has accepted it and is at work" in paused.stdout
    assert "make pause STACK=rest waits until it is done." in paused.stdout
    assert group_of(aws)["DesiredCapacity"] == 0


@pytest.mark.usefixtures("running")
def test_json_is_a_document_alone(aws: EmbeddedAws) -> None:
    paused = power_program(aws, "pause", "rest", "--json")

    document = json.loads(paused.stdout)
    assert document.pop("waited_seconds") < 60
    assert document == {
        "stack": "rest",
        "region": "us-east-1",
        "group": "openclaw-lab-rest",
        "action": "pause",
        "changed": True,
        "desired": 0,
        "instances": [],
        "settled": True,
        "alarms": [{"name": name, "actions_enabled": False} for name in (ALARM, FED_BY_S3)],
    }


REFUSALS = {
    "no such stack": (
        ["pause", "never"],
        {},
        1,
        "There is no Auto Scaling group openclaw-lab-never in us-east-1: check STACK and REGION, or deploy the stack "
        "with: make up STACK=never\n",
    ),
    "another region": (
        ["pause", "rest", "--region", "eu-west-1"],
        {},
        1,
        "There is no Auto Scaling group openclaw-lab-rest in eu-west-1: check STACK and REGION, or deploy the stack "
        "with: make up STACK=rest\n",
    ),
    "no such region": (["pause", "rest", "--region", "us-esat-1"], {}, 2, "There is no region 'us-esat-1'; did you"),
    "no region": (["pause", "rest"], {"AWS_REGION": ""}, 2, "No region was given; name one with REGION=… or --region"),
    "no stack's name": (["pause", "Rest Room"], {}, 2, "The stack's name is 'Rest Room', but must be at most 29"),
    "no credentials": (
        ["pause", "rest"],
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        1,
        "There are no AWS credentials; run aws configure",
    ),
    "nobody answers": (
        ["pause", "rest"],
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        1,
        "EC2 Auto Scaling cannot be reached: ",
    ),
    "no endpoint": (["pause", "rest"], {"AWS_ENDPOINT_URL": "nowhere"}, 1, "EC2 Auto Scaling cannot be asked: "),
}


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(("arguments", "environment", "code", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_sentence_and_changes_nothing(
    aws: EmbeddedAws, arguments: list[str], environment: dict[str, str], code: int, sentence: str
) -> None:
    refused = power(aws, *arguments, **environment)

    assert (refused.returncode, refused.stdout) == (code, "")
    assert refused.stderr.startswith(sentence)
    assert refused.stderr.count("\n") == 1
    assert group_of(aws)["DesiredCapacity"] == 1
    assert ALARM in alarms_that_tell(aws)


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("action", "desired", "sentence"),
    [
        ("SetDesiredCapacity", 1, "These AWS credentials may not call autoscaling:SetDesiredCapacity in us-east-1"),
        ("DescribeAutoScalingGroups", 1, "These AWS credentials may not call autoscaling:DescribeAutoScalingGroups in"),
        (
            "DisableAlarmActions",
            0,
            f"rest is being paused, but {ALARM} and {FED_BY_S3} could not be silenced and will tell of missing "
            "backups: "
            "These AWS credentials may not call cloudwatch:DisableAlarmActions in us-east-1",
        ),
    ],
    ids=["may not scale", "may not look", "may not silence"],
)
def test_a_denied_pause_says_what_is_denied_and_how_far_it_came(
    aws: EmbeddedAws, action: str, desired: int, sentence: str
) -> None:
    with SlowAws(aws.endpoint_url, denied=frozenset({action})) as door:
        denied = power(door, "pause", "rest")

    assert denied.returncode == 1
    assert denied.stderr.startswith(sentence)
    assert denied.stderr.count("\n") == 1
    assert group_of(aws)["DesiredCapacity"] == desired
    assert ALARM in alarms_that_tell(aws)


@pytest.mark.usefixtures("running")
def test_a_resume_that_may_not_unsilence_starts_nothing_unwatched(aws: EmbeddedAws) -> None:
    assert power(aws, "pause", "rest").returncode == 0
    with SlowAws(aws.endpoint_url, denied=frozenset({"EnableAlarmActions"})) as door:
        denied = power(door, "resume", "rest")

    assert denied.returncode == 1
    assert "may not call cloudwatch:EnableAlarmActions" in denied.stderr
    assert group_of(aws)["DesiredCapacity"] == 0


@pytest.mark.usefixtures("running")
def test_the_stack_s_own_outputs_name_group_and_region_where_the_pulumi_cli_is(
    aws: EmbeddedAws, rest: dict[str, Any], tmp_path: Path
) -> None:
    # The CLI is not installed in the lab; this answers `pulumi stack output --json` with the outputs of the stack.
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"group_name": rest["group_name"], "region": "us-east-1"}))
    cli = tmp_path / "pulumi"
    asked = "stack output --json --non-interactive --stack rest"
    cli.write_text(f'#!/bin/sh\n[ "$*" = "{asked}" ] || exit 1\ncat {outputs}\n')
    cli.chmod(0o755)

    found = power(aws, "pause", "rest", path=f"{tmp_path}:/bin:/usr/bin", AWS_REGION="eu-west-1")
    other = power(aws, "pause", "other", path=f"{tmp_path}:/bin:/usr/bin", AWS_REGION="eu-west-1")

    assert found.stdout.startswith("Pausing rest (group openclaw-lab-rest in us-east-1)")
    assert found.returncode == 0
    assert other.stderr.startswith("There is no Auto Scaling group openclaw-lab-other in eu-west-1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["stop"], "invalid choice: 'stop'"), (["pause", "rest", "--timeout", "0"], "'0' is no number of minutes")],
    ids=["verb", "timeout"],
)
def test_a_wrong_command_line_is_refused(aws: EmbeddedAws, arguments: list[str], words: str) -> None:
    refused = power_program(aws, *arguments)

    assert refused.returncode == 2
    assert words in refused.stderr
