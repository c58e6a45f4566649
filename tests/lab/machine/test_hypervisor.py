import base64
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lab.machine.fleet import MachinePlan
from lab.machine.hypervisor import Hypervisor

USER_DATA = "#cloud-config\nruncmd: [[echo, hello]]\n"
REGION = "us-east-1"


class FakeMachine:
    def __init__(self, instance_id: str, journal: list[str]) -> None:
        self.instance_id = instance_id
        self.journal = journal

    def start(self) -> None:
        self.journal.append(f"start {self.instance_id}")

    def shutdown(self) -> None:
        self.journal.append(f"shutdown {self.instance_id}")

    def power_cut(self) -> None:
        self.journal.append(f"power cut {self.instance_id}")


class FakeHost:
    def __init__(self) -> None:
        self.machines: dict[str, FakeMachine] = {}
        self.plans: list[MachinePlan] = []
        self.journal: list[str] = []

    def add_machine(self, plan: MachinePlan, endpoint_url: str) -> FakeMachine:
        self.plans.append(plan)
        self.machines[plan.instance_id] = FakeMachine(plan.instance_id, self.journal)
        return self.machines[plan.instance_id]

    def remove_machine(self, instance_id: str) -> None:
        del self.machines[instance_id]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


@pytest.fixture
def ec2(cloud: None) -> Any:
    return boto3.client("ec2", region_name=REGION)


@pytest.fixture
def autoscaling(cloud: None) -> Any:
    return boto3.client("autoscaling", region_name=REGION)


@pytest.fixture
def group(ec2: Any, autoscaling: Any) -> str:
    subnet = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": [f"{REGION}a"]}])["Subnets"][0]
    ec2.create_launch_template(
        LaunchTemplateName="openclaw-lab-dev",
        LaunchTemplateData={
            "ImageId": ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"],
            "InstanceType": "t4g.small",
            "UserData": base64.b64encode(USER_DATA.encode()).decode(),
        },
    )
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="openclaw-lab-dev",
        LaunchTemplate={"LaunchTemplateName": "openclaw-lab-dev", "Version": "$Latest"},
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=1,
        VPCZoneIdentifier=subnet["SubnetId"],
    )
    return "openclaw-lab-dev"


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def hypervisor(ec2: Any, group: str, host: FakeHost) -> Hypervisor:
    return Hypervisor(ec2, group, host, "http://10.77.0.1:5000", role="openclaw-lab-dev-instance")


def test_an_instance_of_the_group_is_booted_once_from_the_user_data_that_ec2_holds(
    hypervisor: Hypervisor, host: FakeHost
) -> None:
    booted = hypervisor.reconcile().booted
    assert len(booted) == 1
    assert hypervisor.reconcile().booted == ()
    plan = host.plans[0]
    assert (plan.user_data, plan.region, plan.availability_zone) == (USER_DATA, REGION, f"{REGION}a")
    assert (plan.instance_type, plan.role) == ("t4g.small", "openclaw-lab-dev-instance")
    assert host.journal == [f"start {booted[0]}"]


def test_after_a_power_cut_the_groups_replacement_is_booted(hypervisor: Hypervisor, host: FakeHost) -> None:
    first = hypervisor.reconcile().booted[0]
    hypervisor.power_cut(first)
    assert host.machines == {}
    second = hypervisor.reconcile().booted[0]
    assert second != first
    assert host.journal == [f"start {first}", f"power cut {first}", f"start {second}"]


def test_a_terminated_instance_is_powered_off_cleanly(
    hypervisor: Hypervisor, host: FakeHost, autoscaling: Any, group: str
) -> None:
    first = hypervisor.reconcile().booted[0]
    autoscaling.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=0)
    assert hypervisor.reconcile().ended == (first,)
    assert host.journal == [f"start {first}", f"shutdown {first}"]
    assert host.machines == {}


def test_instances_of_other_groups_are_left_alone(ec2: Any, group: str, host: FakeHost) -> None:
    stranger = Hypervisor(ec2, "openclaw-lab-prod", host, "http://10.77.0.1:5000")
    assert stranger.reconcile().booted == ()
