"""A stack as the operator's program meets it: its group, its bucket with snapshots, and a way onto its instance."""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab.host.commands import Outcome
from lab.machine.ssm_agent import SsmAgents
from lab.moto.server import ACCOUNT_ID, EmbeddedAws
from openclaw_platform.names import Scope
from tests.support.simulated_instance import FreshBucket, SimulatedInstance

REGION = "us-east-1"


@dataclass(slots=True)
class OperatedStack:
    """One stack of its own in the worker's embedded AWS; `scripts` are what was run on its instance."""

    aws: EmbeddedAws
    folder: Path
    name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:12]}")
    scripts: list[str] = field(default_factory=list)

    @property
    def scope(self) -> Scope:
        return Scope(self.name, REGION, ACCOUNT_ID)

    def bucket(self) -> FreshBucket:
        """The backup bucket, which keeps versions."""
        world = FreshBucket(self.aws, self.folder, bucket=self.scope.backup_bucket)
        world.s3.create_bucket(Bucket=world.bucket)
        world.s3.put_bucket_versioning(Bucket=world.bucket, VersioningConfiguration={"Status": "Enabled"})
        return world

    def group(self, desired: int = 1) -> str:
        """The group; the id of its instance, "" for a paused one."""
        client = self.aws.client("autoscaling", REGION)
        images = self.aws.client("ec2", REGION).describe_images(Owners=["amazon"])["Images"]
        client.create_launch_configuration(
            LaunchConfigurationName=self.scope.name, ImageId=images[0]["ImageId"], InstanceType="t4g.small"
        )
        client.create_auto_scaling_group(
            AutoScalingGroupName=self.scope.name,
            LaunchConfigurationName=self.scope.name,
            MinSize=0,
            MaxSize=1,
            DesiredCapacity=desired,
            AvailabilityZones=[f"{REGION}a"],
        )
        (found,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[self.scope.name])["AutoScalingGroups"]
        return "".join(each["InstanceId"] for each in found["Instances"])

    @contextmanager
    def reached(self, instance_id: str, answer: str = "") -> Iterator[None]:
        """Let Run Command reach the instance: each script is run by bash here, or answered by what `answer` prints."""

        def run(_instance_id: str, script: str) -> Outcome:
            self.scripts.append(script)
            done = subprocess.run(["/bin/bash", "-c", answer or script], capture_output=True, text=True, check=False)
            return Outcome(done.returncode, done.stdout, done.stderr)

        with SsmAgents(self.aws.endpoint_url, lambda: [instance_id], run):
            yield


def with_history(world: FreshBucket) -> SimulatedInstance:
    """A machine with three snapshots: a note that grows, a photo that comes, and a plan that goes."""
    machine = world.booted("i-a")
    machine.write("workspace/notes.md", "one\n")
    machine.write("workspace/plan.md", "a plan\n")
    assert machine.backup().code == 0
    machine.write("workspace/notes.md", "one and two\n")
    machine.write("workspace/photo.jpg", "x" * 2048)
    assert machine.backup().code == 0
    (machine.state / "workspace/plan.md").unlink()
    machine.write("workspace/notes.md", "one, two and three\n")
    assert machine.backup().code == 0
    return machine
