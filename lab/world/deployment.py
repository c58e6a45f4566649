"""The embedded AWS with both stacks in it, and the machines that run what it describes."""

import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.engine.engine import Engine
from lab.engine.errors import DestroyRefused
from lab.machine.fleet import MachineFleet
from lab.machine.hypervisor import Hypervisor
from lab.machine.machine import Machine
from lab.moto.server import EmbeddedAws
from lab.world.narration import CheckFailed, Terminal

REPOSITORY = Path(__file__).resolve().parents[2]
STACK = "dev"
ZONE_SUFFIX = "a"
GATEWAY_SECONDS = 120.0


@dataclass(slots=True)
class DeployedStacks:
    """Both stacks, deployed into one embedded AWS."""

    aws: EmbeddedAws
    engine: Engine
    platform: dict[str, Any]
    instance: dict[str, Any]
    gateway_token: str

    @property
    def bucket(self) -> str:
        """The backup bucket."""
        return str(self.platform["backup_bucket"])


def deploy(aws: EmbeddedAws, state_dir: Path, say: Terminal) -> DeployedStacks:
    """Run both Pulumi programs against the embedded AWS, and store the gateway's token as a user would."""
    os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing")  # noqa: S106 - moto takes any
    engine = Engine(aws, state_dir)
    say.step("pulumi up in platform/")
    platform = engine.up(REPOSITORY / "platform", STACK, {})
    token = secrets.token_hex(32)
    aws.client("ssm").put_parameter(
        Name=f"/openclaw-lab/{STACK}/env/OPENCLAW_GATEWAY_TOKEN", Type="SecureString", Value=token
    )
    say.step("pulumi up in ec2_spot/")
    instance = engine.up(REPOSITORY / "ec2_spot", STACK, {"availability_zone": aws.region + ZONE_SUFFIX})
    return DeployedStacks(aws, engine, platform, instance, token)


def group_name(cloud: DeployedStacks) -> str:
    """The Auto Scaling group that the stack made."""
    groups = cloud.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    names = [str(group["AutoScalingGroupName"]) for group in groups if STACK in group["AutoScalingGroupName"]]
    if len(names) != 1:
        raise CheckFailed(f"one Auto Scaling group was expected, found {names}")
    return names[0]


@dataclass(slots=True)
class Fleet:
    """The machines of the group."""

    host: MachineFleet
    hypervisor: Hypervisor
    say: Terminal

    def boot(self) -> Machine:
        """Boot what the group describes, and wait until cloud-init is through."""
        self.hypervisor.reconcile()
        return self.host.only_machine()

    def wait_for_install(self, machine: Machine) -> None:
        """Wait for cloud-init, which runs the installer; raise ProofFailed with its last words if it failed."""
        result = machine.wait_for_cloud_init()
        if not result.succeeded:
            raise CheckFailed(f"cloud-init failed on {machine.instance_id}: {result}\n{machine.console_end()}")

    def wait_for_gateway(self, machine: Machine) -> float:
        """Wait until the gateway's /readyz says ready; return the seconds it took."""
        seconds = machine.wait_for_gateway(GATEWAY_SECONDS)
        self.say.step(f"the gateway on {machine.instance_id} is ready {seconds:.1f} s after power-on")
        return seconds


def wait_for(what: str, check: Any, seconds: float, every: float = 0.1) -> None:
    """Poll until `check()` is true.

    Raises:
        ProofFailed: when it is not within `seconds`.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if check():
            return
        time.sleep(every)
    raise CheckFailed(f"{what} did not happen within {seconds:.0f} s")


def destroy(cloud: DeployedStacks, say: Terminal) -> None:
    """Destroy the disposable half, and show that the half with the backups refuses."""
    cloud.engine.destroy(REPOSITORY / "ec2_spot", STACK)
    left = cloud.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    say.prove("pulumi destroy in ec2_spot/ removes the group", not left, str(left))
    try:
        cloud.engine.destroy(REPOSITORY / "platform", STACK)
    except DestroyRefused as refusal:
        say.prove(f"pulumi destroy in platform/ refuses while the bucket holds backups: {refusal}", True)
    else:
        raise CheckFailed("pulumi destroy in platform/ removed a backup bucket that holds data")


def temporary_state_dir() -> Path:
    """A folder for the engine's state that nobody needs afterwards."""
    return Path(tempfile.mkdtemp(prefix="openclaw-lab-state-"))
