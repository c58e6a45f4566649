"""Every name that openclaw-lab gives to something in AWS; each carries the stack's name."""

import re
from dataclasses import dataclass

from openclaw_platform.refusals import ConfigRefused

PREFIX = "openclaw-lab"
"""What every name starts with."""

LONGEST_STACK_NAME = 29
"""Bucket names end at 63 characters, of which the prefix, the account and the hyphens take 34."""

PARTITION = "aws"
"""The part of AWS that is served; endpoints, services and images of China and GovCloud differ, and were never tried."""

_STACK_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where one stack lives: its own name, and the AWS region, account and partition.

    Raises:
        ConfigRefused: when the stack's name cannot be part of AWS names, or the region is in another partition.
    """

    stack: str
    region: str
    account_id: str
    partition: str = PARTITION

    def __post_init__(self) -> None:
        if len(self.stack) > LONGEST_STACK_NAME or not _STACK_NAME.fullmatch(self.stack):
            raise ConfigRefused(
                f"The stack's name is {self.stack!r}, but must be at most {LONGEST_STACK_NAME} lower-case letters, "
                "digits and single hyphens, starting with a letter, because it becomes part of bucket names."
            )
        if self.partition != PARTITION:
            raise ConfigRefused(
                f"The region is {self.region}, in AWS's partition {self.partition!r}, but must be in {PARTITION!r}: "
                "nothing here is made for the endpoints and services of China and GovCloud; set another region with "
                "`pulumi config set aws:region REGION`."
            )

    @property
    def name(self) -> str:
        """The name of things of which a stack has one of their kind: group, template, repository, network."""
        return f"{PREFIX}-{self.stack}"

    @property
    def backup_bucket(self) -> str:
        """The bucket that holds the state's backups."""
        return f"{PREFIX}-backup-{self.stack}-{self.account_id}"

    @property
    def scripts_bucket(self) -> str:
        """The bucket that holds the releases an instance installs itself from."""
        return f"{PREFIX}-scripts-{self.stack}-{self.account_id}"

    @property
    def alarm_topic(self) -> str:
        """The SNS topic that every alarm of the stack is sent to."""
        return f"{PREFIX}-alarms-{self.stack}"

    def bucket_topic(self, event: str) -> str:
        """The SNS topic to which S3 reports one kind of event of the backup bucket (`bucket_events`)."""
        return f"{PREFIX}-{event}-{self.stack}"

    @property
    def instance_role(self) -> str:
        """The IAM role and instance profile of the instance."""
        return f"{PREFIX}-{self.stack}-instance"

    @property
    def final_backup_hook(self) -> str:
        """The group's lifecycle hook, which waits for the final backup of an instance that ends."""
        return f"{PREFIX}-{self.stack}-final-backup"

    @property
    def dashboard(self) -> str:
        """The dashboard; its name carries the region because dashboards are global to an account."""
        return f"{PREFIX}-{self.stack}-{self.region}"

    @property
    def metric_namespace(self) -> str:
        """The CloudWatch namespace of all that the instance measures.

        It is the stack's own, because it is all that a policy can bind PutMetricData to: one stack's role must not
        count good backups for another.
        """
        return f"OpenClawLab/{self.stack}"

    @property
    def agent_log_group(self) -> str:
        """The log group of the agent's JSON lines."""
        return f"/{PREFIX}/{self.stack}/agent"

    @property
    def gateway_log_group(self) -> str:
        """The log group of what OpenClaw prints."""
        return f"/{PREFIX}/{self.stack}/gateway"

    @property
    def bootstrap_log_group(self) -> str:
        """The log group of cloud-init's output."""
        return f"/{PREFIX}/{self.stack}/bootstrap"

    @property
    def secrets_path(self) -> str:
        """The SSM path under which each SecureString is one environment variable of the gateway; ends in a slash."""
        return f"/{PREFIX}/{self.stack}/env/"

    def tags(self, name: str | None = None) -> dict[str, str]:
        """The tags of one resource; `name` is shown by the AWS console where given, else the stack's."""
        return {"Name": name or self.name, "Project": PREFIX, "Stack": self.stack}
