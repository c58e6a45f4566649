"""The hook that holds an ending instance: kept alive while the final backup runs, and completed however that went."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.machine.imds import ImdsServer, listen_on_loopback
from lab.machine.imds_answers import InstanceIdentity
from lab.moto.lifecycle_actions import TERMINATING
from lab.moto.server import EmbeddedAws
from openclaw_agent.host.lifecycle_hook import LAST_HEARTBEAT_SECONDS, holding
from openclaw_agent.host.spot_watch import EventKind, Step, watch
from openclaw_agent.run_record import RunRecord
from openclaw_agent.settings import Settings

HOOK = "final-backup"
HEARTBEAT_TIMEOUT_SECONDS = 300
PULUMI_WAITS_SECONDS = 600


class Group:
    """A group of one instance with a terminating hook."""

    def __init__(self, aws: EmbeddedAws, name: str) -> None:
        self.name = name
        self._ec2, self._autoscaling = aws.client("ec2"), aws.client("autoscaling")
        image = self._ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        self._ec2.create_launch_template(
            LaunchTemplateName=name, LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"}
        )
        self._autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=0,
            MaxSize=1,
            DesiredCapacity=1,
            AvailabilityZones=["us-east-1a"],
            LaunchTemplate={"LaunchTemplateName": name, "Version": "1"},
        )
        self._autoscaling.put_lifecycle_hook(
            LifecycleHookName=HOOK,
            AutoScalingGroupName=name,
            LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        )
        found = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        self.instance_id: str = found["AutoScalingGroups"][0]["Instances"][0]["InstanceId"]

    def end(self) -> None:
        self._autoscaling.set_desired_capacity(AutoScalingGroupName=self.name, DesiredCapacity=0)

    def told(self) -> str:
        filters = [{"Name": "resource-id", "Values": [self.instance_id]}, {"Name": "key", "Values": [TERMINATING]}]
        return "".join(row["Value"] for row in self._ec2.describe_tags(Filters=filters)["Tags"])


@pytest.fixture
def group(embedded_aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Group:
    made = Group(embedded_aws, f"hook-{abs(hash(request.node.name))}")
    for name, value in {**embedded_aws.environment, "OPENCLAW_INSTANCE_ID": made.instance_id}.items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def settings(group: Group, tmp_path: Path) -> Settings:
    return Settings("bucket", "us-east-1", tmp_path, tmp_path, tmp_path, scaling_group=group.name, lifecycle_hook=HOOK)


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    with caplog.at_level(logging.INFO, "openclaw_agent"):
        yield lambda: [row.getMessage() for row in caplog.records if row.levelno >= logging.WARNING]


def test_the_watch_lets_the_group_go_on_after_the_final_backup_and_not_before(
    group: Group, settings: Settings, tmp_path: Path
) -> None:
    told: list[str] = []
    identity = InstanceIdentity(group.instance_id, "t3.micro", "us-east-1", "us-east-1a", "10.0.0.4", "role")
    with ImdsServer(identity, listen_on_loopback()) as imds:
        group.end()
        imds.set_target_lifecycle_state("Terminated")

        def run(_step: Step) -> int:
            told.append(group.told())
            # A final backup that fails does not let the machine wait for nothing.
            return 1

        event = watch(RunRecord("watch", settings), imds.endpoint_url, run, 0.01)
    assert event.kind is EventKind.TERMINATION
    assert told == ["", ""]
    assert group.told() == "CONTINUE"


def test_a_final_backup_that_takes_its_time_is_waited_for(group: Group, settings: Settings) -> None:
    group.end()
    seen = ""
    with holding(settings, every=0.05, at_most=60):
        deadline = time.monotonic() + 20
        while seen != "heartbeat" and time.monotonic() < deadline:
            time.sleep(0.02)
            seen = group.told()
    assert (seen, group.told()) == ("heartbeat", "CONTINUE")


def test_a_group_that_is_deleted_never_waits_longer_than_pulumi_does() -> None:
    assert LAST_HEARTBEAT_SECONDS + HEARTBEAT_TIMEOUT_SECONDS < PULUMI_WAITS_SECONDS


def test_the_group_goes_on_though_the_watch_breaks_down(group: Group, settings: Settings) -> None:
    group.end()
    with pytest.raises(KeyboardInterrupt), holding(settings):
        raise KeyboardInterrupt
    assert group.told() == "CONTINUE"


def test_an_instance_that_is_not_held_is_told_nothing_about_it(group: Group, settings: Settings, warnings: Any) -> None:
    with holding(settings):
        pass
    assert (group.told(), warnings()) == ("", [])


def test_a_group_that_cannot_be_told_is_named_and_stops_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, warnings: Any
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with holding(settings):
        pass
    (said,) = warnings()
    assert settings.scaling_group in said
    assert "goes on by itself" in said


def test_where_no_hook_is_configured_nobody_is_asked(settings: Settings, group: Group) -> None:
    group.end()
    for name in ("scaling_group", "lifecycle_hook"):
        with holding(replace(settings, **{name: ""})):  # type: ignore[arg-type]
            pass
    assert group.told() == ""
