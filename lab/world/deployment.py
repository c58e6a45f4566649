"""Both stacks deployed into the embedded AWS, and destroyed again."""

import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.moto.server import EmbeddedAws
from lab.world.pulumi import DestroyRefused, PulumiEngine
from lab.world.terminal import CheckFailed, Terminal

REPOSITORY = Path(__file__).resolve().parents[2]
STACK = "dev"
ZONE_SUFFIX = "a"
KEY_NAME = "LAB_PRIVATE_KEY"


@dataclass(slots=True)
class DeployedStacks:
    """Both stacks, deployed into one embedded AWS."""

    aws: EmbeddedAws
    engine: PulumiEngine
    platform: dict[str, Any]
    instance: dict[str, Any]
    gateway_token: str
    private_key: str

    @property
    def bucket(self) -> str:
        """The backup bucket."""
        return str(self.platform["backup_bucket"])


def deploy(aws: EmbeddedAws, engine: PulumiEngine, terminal: Terminal) -> DeployedStacks:
    """Run both Pulumi programs against the embedded AWS, and store the gateway's token and a key as a user would."""
    os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing")  # noqa: S106 - moto takes any
    terminal.step("pulumi up in platform/")
    platform = engine.up(REPOSITORY / "platform", STACK, {})
    token = secrets.token_hex(32)
    lines = [secrets.token_hex(32) for _ in range(4)]
    key = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])
    # The token as `--value file://token` sends it, with the line break that an editor leaves.
    for name, value in (("OPENCLAW_GATEWAY_TOKEN", f"{token}\n"), (KEY_NAME, key)):
        aws.client("ssm").put_parameter(Name=f"/openclaw-lab/{STACK}/env/{name}", Type="SecureString", Value=value)
    terminal.step("pulumi up in ec2_spot/")
    instance = engine.up(REPOSITORY / "ec2_spot", STACK, {"availability_zone": aws.region + ZONE_SUFFIX})
    return DeployedStacks(aws, engine, platform, instance, token, key)


def group_name(cloud: DeployedStacks) -> str:
    """The Auto Scaling group that the stack made."""
    groups = cloud.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    names = [str(group["AutoScalingGroupName"]) for group in groups if STACK in group["AutoScalingGroupName"]]
    if len(names) != 1:
        raise CheckFailed(f"one Auto Scaling group was expected, found {names}")
    return names[0]


def destroy(cloud: DeployedStacks, terminal: Terminal) -> None:
    """Destroy the disposable half, and show that the half with the backups refuses."""
    cloud.engine.destroy(REPOSITORY / "ec2_spot", STACK)
    left = cloud.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    terminal.check("pulumi destroy in ec2_spot/ removes the group", not left, str(left))
    try:
        cloud.engine.destroy(REPOSITORY / "platform", STACK)
    except DestroyRefused:
        cloud.aws.client("s3").head_bucket(Bucket=cloud.bucket)
        terminal.check("pulumi destroy in platform/ refuses, because the bucket with the backups is protected", True)
    else:
        raise CheckFailed("pulumi destroy in platform/ removed a backup bucket that holds data")


def temporary_state_dir() -> Path:
    """A folder for the engine's state that nobody needs afterwards."""
    return Path(tempfile.mkdtemp(prefix="openclaw-lab-state-"))
