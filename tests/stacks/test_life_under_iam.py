"""The whole life of an instance with nothing but its role's keys, while IAM judges each request."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lab.moto.server import EmbeddedAws
from openclaw_agent.cli import fetch_secrets
from openclaw_agent.host.lifecycle_hook import holding
from openclaw_agent.lease.liveness import ec2_liveness
from openclaw_agent.lease.record import Liveness
from openclaw_agent.settings import Settings
from tests.support.enforced_iam import Keys, administrators_keys, client, enforced, roles_keys
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents

STACK = "dev"


@pytest.fixture
def operator(aws: EmbeddedAws, dev: dict[str, Any]) -> Keys:
    return administrators_keys(aws, "operator-of-a-life")


@pytest.fixture
def world(aws: EmbeddedAws, dev: dict[str, Any], operator: Keys, tmp_path: Path) -> Iterator[FreshBucket]:
    """Machines with the role's keys alone; what the test itself looks up, it looks up as the operator."""
    ssm = aws.client("ssm")
    ssm.put_parameter(
        Name=f"/openclaw-lab/{STACK}/env/OPENCLAW_GATEWAY_TOKEN", Value="t", Type="SecureString", Overwrite=True
    )
    made = FreshBucket(aws, tmp_path, dev["backup_bucket"], roles_keys(aws, STACK))
    made.s3 = client(aws, operator, "s3")
    with enforced(aws):
        yield made


def settled(machine: SimulatedInstance, dev: dict[str, Any]) -> SimulatedInstance:
    """A machine with the settings that its installer would have written."""
    (machine.disk / "instance.json").write_text(
        json.dumps(
            {
                "stack": STACK,
                "region": dev["region"],
                "backup_bucket": dev["backup_bucket"],
                "metric_namespace": f"OpenClawLab/{STACK}",
                "secrets_path": f"/openclaw-lab/{STACK}/env/",
                "scaling_group": dev["group_name"],
                "lifecycle_hook": f"openclaw-lab-{STACK}-final-backup",
            }
        )
    )
    machine.environment["OPENCLAW_FREEZER"] = "none"
    return machine


def resize(aws: EmbeddedAws, operator: Keys, group: str, desired: int) -> None:
    client(aws, operator, "autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=desired)


def test_the_role_is_allowed_all_that_a_life_needs(
    aws: EmbeddedAws, dev: dict[str, Any], operator: Keys, world: FreshBucket, tmp_path: Path
) -> None:
    asked = client(aws, operator, "autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[dev["group_name"]])
    (member,) = asked["AutoScalingGroups"][0]["Instances"]
    first = settled(world.machine(member["InstanceId"]), dev)

    assert first.boot().code == 0
    with mock.patch.dict(os.environ, first.variables()):
        assert fetch_secrets.main(["--to", str(tmp_path / "secrets" / ".env")]) == 0
    for n in range(2):
        first.write("workspace/page.md", f"version {n}\n")
        first.write(f"workspace/{n}.md")
        run = first.backup()
        assert run.code == 0, run.err
        assert "could not be sent" not in run.err
    (first.state / "workspace/0.md").unlink()
    world.clock.now += timedelta(days=40)
    assert first.backup().code == 0
    assert "latest/.openclaw/workspace/0.md" not in world.keys("latest/")

    # The machines' days are of the past: by the true clock all but the last that there is are too old.
    before = world.snapshots()
    pruned = first.lifecycle()
    assert pruned.code == 0, pruned.err
    assert len(world.snapshots()) < len(before)

    final = first.backup("--final")
    assert final.code == 0, final.err
    assert world.owner()["released"]
    resize(aws, operator, dev["group_name"], 0)
    with mock.patch.dict(os.environ, first.variables()):
        settings = Settings(
            world.bucket, aws.region, tmp_path, tmp_path, tmp_path,
            scaling_group=dev["group_name"], lifecycle_hook=f"openclaw-lab-{STACK}-final-backup",
        )  # fmt: skip
        with holding(settings):
            pass
    resize(aws, operator, dev["group_name"], 1)

    second = settled(world.machine("i-second"), dev)
    booted = second.boot()
    assert booted.code == 0, booted.err
    assert contents(second.state) == contents(first.state)
    rows = client(aws, operator, "cloudwatch").list_metrics(Namespace=f"OpenClawLab/{STACK}")["Metrics"]
    assert "BackupSucceeded" in {row["MetricName"] for row in rows}

    # Denied, it would be unknown.
    with mock.patch.dict(os.environ, second.variables()):
        assert ec2_liveness(aws.region)("i-0123456789abcdef0") is Liveness.GONE
