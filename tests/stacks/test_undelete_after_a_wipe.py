"""A stolen role wipes and overwrites all that it may, with IAM enforced; one command of the operator brings it back."""

from __future__ import annotations

import contextlib
import os
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import botocore.exceptions
import pytest

from lab.host.deadline import scaled
from lab.moto.server import EmbeddedAws
from operator_tools.undelete import command
from tests.support.simulated_instance import FreshBucket, contents

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks

STACK = "wiped"


@pytest.fixture(scope="module")
def wiped(stacks: Stacks) -> dict[str, Any]:
    return {**stacks.platform(STACK), **stacks.instance(STACK)}


@pytest.fixture
def operator(aws: EmbeddedAws, wiped: dict[str, Any]) -> dict[str, str]:
    """An administrator's keys, which enforced policies allow everything."""
    iam = aws.client("iam")
    iam.create_user(UserName="operator")
    iam.attach_user_policy(UserName="operator", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


@pytest.fixture
def role(aws: EmbeddedAws, wiped: dict[str, Any]) -> dict[str, str]:
    """The instance role's keys, as the metadata service hands them out."""
    arn = aws.client("iam").get_role(RoleName=f"openclaw-lab-{STACK}-instance")["Role"]["Arn"]
    held = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="i-stolen")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": held["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": held["SecretAccessKey"],
        "AWS_SESSION_TOKEN": held["SessionToken"],
    }


@pytest.fixture
def enforced(aws: EmbeddedAws, wiped: dict[str, Any], operator: dict[str, str], role: dict[str, str]) -> Iterator[None]:
    """IAM judges each request. moto takes the Deny of the TLS-only policy without its condition, so it is taken off."""
    aws.client("s3").delete_bucket_policy(Bucket=wiped["backup_bucket"])
    switch(aws, "0")
    yield
    switch(aws, "inf")


def switch(aws: EmbeddedAws, requests_before_enforcing: str) -> None:
    asked = urllib.request.Request(
        f"{aws.endpoint_url}/moto-api/reset-auth",
        requests_before_enforcing.encode(),
        {"Content-Type": "text/plain"},
    )
    with urllib.request.urlopen(asked, timeout=scaled(30)):
        pass


def pause(aws: EmbeddedAws, operator: dict[str, str], group: str) -> None:
    client = session(aws, operator).client("autoscaling", endpoint_url=aws.endpoint_url)
    client.set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=0)


def session(aws: EmbeddedAws, keys: dict[str, str]) -> boto3.Session:
    return boto3.Session(
        keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"], keys.get("AWS_SESSION_TOKEN"), region_name=aws.region
    )


def undelete(world: FreshBucket, operator: dict[str, str], *words: str) -> int:
    environment = {**world.environment, "AWS_REGION": world.aws.region, **operator}
    environment.pop("AWS_SESSION_TOKEN", None)
    with mock.patch.dict(os.environ, environment):
        os.environ.pop("AWS_SESSION_TOKEN", None)
        return command.main([STACK, *words])


def test_one_command_brings_back_what_a_stolen_role_wiped(
    aws: EmbeddedAws,
    wiped: dict[str, Any],
    operator: dict[str, str],
    role: dict[str, str],
    enforced: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    s3 = session(aws, role).client("s3", endpoint_url=aws.endpoint_url)
    world = FreshBucket(aws, tmp_path, wiped["backup_bucket"], role)
    world.s3 = session(aws, operator).client("s3", endpoint_url=aws.endpoint_url)
    machine = world.booted("i-good")
    for n in range(30):
        machine.write(f"workspace/{n}.md", f"page {n}\n")
    assert machine.backup().code == 0
    before = {key: etag for key, (etag, *_) in world.picture().items()}
    time.sleep(1.1)

    for key in before:
        with contextlib.suppress(botocore.exceptions.ClientError):
            s3.delete_object(Bucket=world.bucket, Key=key)
        with contextlib.suppress(botocore.exceptions.ClientError):
            s3.put_object(Bucket=world.bucket, Key=key, Body=b"ransom")
    assert {key: etag for key, (etag, *_) in world.picture().items()} != before

    assert undelete(world, operator, "--yes") == 1
    assert "may still write to the bucket; pause it first: make pause STACK=wiped" in capsys.readouterr().err
    pause(aws, operator, wiped["group_name"])

    assert undelete(world, operator, "--yes") == 0, capsys.readouterr()
    assert {key: etag for key, (etag, *_) in world.picture().items()} == before
    assert contents(world.booted("i-new").state) == contents(machine.state)
