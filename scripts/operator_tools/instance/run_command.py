"""Run a line of shell as root on the instance through SSM's Run Command, and wait for its end."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import botocore.exceptions as aws_errors

from operator_tools.account.errors import AccountError
from operator_tools.stack.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

DOCUMENT = "AWS-RunShellScript"
LOOK_EVERY_SECONDS = 0.5
LOOK_AT_MOST_EVERY_SECONDS = 3.0
REACHED_WITHIN_SECONDS = 60
"""How long a command may wait until the instance's agent takes it (SendCommand allows no less than 30)."""
MOST_OUTPUT = 24_000
"""Characters that GetCommandInvocation returns of each stream (its API reference)."""

_UNDER_WAY = {"Pending", "InProgress", "Delayed", "Cancelling"}


class NotReached(AccountError):
    """The instance's SSM agent did not take the command, or did not end it in time."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has run: its exit status, and what it printed, cut at `MOST_OUTPUT` each."""

    code: int
    out: str
    err: str


def run_on_instance(stack: Stack, instance_id: str, words: Sequence[str], *, seconds: int = 300) -> Finished:
    """Run one command as root, and return how it ended.

    Raises:
        NotReached: it was not taken, or not ended within `seconds`; it may still run then.
        AccountError: AWS refused.
    """
    client: SSMClient = stack.client("ssm")
    with stack.account.told_in_a_sentence("ssm", "SendCommand"):
        try:
            sent = client.send_command(
                InstanceIds=[instance_id],
                DocumentName=DOCUMENT,
                Comment=f"openclaw-lab {words[1] if len(words) > 1 else ''}".strip(),
                TimeoutSeconds=REACHED_WITHIN_SECONDS,
                Parameters={"commands": [shlex.join(words)], "executionTimeout": [str(seconds)]},
            )
        except aws_errors.ClientError as error:
            if error.response["Error"]["Code"] != "InvalidInstanceId":
                raise
            raise NotReached(
                f"{instance_id} has not reported to Systems Manager (yet); it does within some minutes of its boot. "
                f"Next: {stack.words('status')}"
            ) from error
    return _wait(stack, client, sent["Command"]["CommandId"], instance_id, seconds + REACHED_WITHIN_SECONDS)


def _wait(stack: Stack, client: "SSMClient", command_id: str, instance_id: str, seconds: float) -> Finished:
    began, pause = time.monotonic(), LOOK_EVERY_SECONDS
    while time.monotonic() - began < seconds:
        with stack.account.told_in_a_sentence("ssm", "GetCommandInvocation"):
            try:
                seen = client.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
            except aws_errors.ClientError as error:
                # Right after it was sent.
                if error.response["Error"]["Code"] != "InvocationDoesNotExist":
                    raise
                seen = None
        if seen is not None and seen["Status"] not in _UNDER_WAY:
            if seen["Status"] in ("Success", "Failed"):
                return Finished(seen["ResponseCode"], seen["StandardOutputContent"], seen["StandardErrorContent"])
            raise NotReached(
                f"The command on {instance_id} ended as {seen['StatusDetails']}. Next: {stack.words('status')}"
            )
        time.sleep(pause)
        pause = min(LOOK_AT_MOST_EVERY_SECONDS, pause * 1.2)
    raise NotReached(
        f"The command on {instance_id} did not end within {seconds:.0f} s; it may still run there. "
        f"Next: {stack.words('status')}"
    )
