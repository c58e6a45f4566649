"""What a command knows of the stack that it was given, looked up when it is asked for."""

import argparse
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws_errors

from openclaw_platform.names import Scope
from operator_tools.account.account import CLIENT_SETTINGS, Account
from operator_tools.account.errors import AccountError
from operator_tools.power.stack_place import Place, find_place

if TYPE_CHECKING:
    from openclaw_agent.store.bucket import Bucket

REQUEST_ATTEMPTS = 4
STALL_SECONDS = 30.0


class NotThere(AccountError):
    """The stack, or what was asked of it, is not there (yet)."""


@dataclass(frozen=True, slots=True)
class GroupNow:
    """The group as it is: how many instances it wants, and each one's id, zone and state."""

    desired: int
    members: tuple[tuple[str, str, str], ...]

    @property
    def in_service(self) -> str | None:
        """The instance that is in service, or None."""
        return next((name for name, _zone, state in self.members if state == "InService"), None)


class Stack:
    """One stack in one region of the user's account.

    Raises (the constructor and each attribute):
        AccountError: AWS refused or could not be asked; NotThere, where what is asked for does not exist.
    """

    def __init__(self, name: str, region: str | None) -> None:
        self.name = name
        self.place: Place = find_place(name, region)
        self.account = Account(self.place.region)
        self.region = self.account.region

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Stack":
        """The stack that a command line names."""
        return cls(options.stack, options.region)

    @cached_property
    def scope(self) -> Scope:
        """Every name in AWS; asks whose account this is."""
        with self.account.told_in_a_sentence("sts", "GetCallerIdentity"):
            identity = self.client("sts").get_caller_identity()
        return Scope(self.name, self.region, identity["Account"])

    @cached_property
    def store(self) -> "Bucket":
        """The backup bucket, which exists."""
        from openclaw_agent.store.bucket import Bucket

        name = self.scope.backup_bucket
        with self.account.told_in_a_sentence("s3", "HeadBucket"):
            try:
                self.client("s3").head_bucket(Bucket=name)
            except aws_errors.ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
                raise NotThere(
                    f"There is no backup bucket {name}: check --stack and --region, or deploy the stack. "
                    f"Next: {self.words('up')}"
                ) from error
        return Bucket(name, self.region, attempts=REQUEST_ATTEMPTS, stall_seconds=STALL_SECONDS)

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return self.account.session.client(service, config=CLIENT_SETTINGS)  # type: ignore[call-overload]  # any service

    def group(self) -> GroupNow:
        """The group as it is now.

        Raises:
            NotThere: there is none.
        """
        with self.account.told_in_a_sentence("autoscaling", "DescribeAutoScalingGroups"):
            answer = self.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[self.place.group])
        for found in answer["AutoScalingGroups"]:
            members = (
                (each["InstanceId"], each["AvailabilityZone"], each["LifecycleState"]) for each in found["Instances"]
            )
            return GroupNow(found["DesiredCapacity"], tuple(members))
        raise NotThere(
            f"There is no stack {self.name} in {self.region}: check --stack and --region, or deploy it. "
            f"Next: {self.words('up')}"
        )

    def instance(self) -> str:
        """The id of the instance in service.

        Raises:
            NotThere: the stack is paused, or its instance is still on its way.
        """
        group = self.group()
        if group.in_service is not None:
            return group.in_service
        if not group.desired:
            raise NotThere(f"{self.name} is paused: no instance runs. Next: {self.words('resume')}")
        states = ", ".join(f"{name} {state}" for name, _zone, state in group.members) or "no spot capacity yet"
        raise NotThere(f"No instance of {self.name} is in service yet ({states}). Next: {self.words('status')}")

    def words(self, command: str) -> str:
        """A command of the program, with the stack where it is not the default one."""
        stack = "" if self.name == "dev" else f" --stack {self.name}"
        return f"openclaw-lab {command}{stack}"
