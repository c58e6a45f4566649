"""A stolen role wipes and overwrites all that it may, with IAM enforced; one command of the operator brings it back."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import botocore.exceptions
import pytest

from lab.moto.server import EmbeddedAws
from operator_tools.undelete import command
from tests.support.enforced_iam import Keys, administrators_keys, client, enforced, roles_keys
from tests.support.simulated_instance import FreshBucket, contents

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks

STACK = "wiped"


@pytest.fixture(scope="module")
def wiped(stacks: Stacks) -> dict[str, Any]:
    return {**stacks.platform(STACK), **stacks.instance(STACK)}


@pytest.fixture
def operator(aws: EmbeddedAws, wiped: dict[str, Any]) -> Keys:
    return administrators_keys(aws, "operator")


@pytest.fixture
def role(aws: EmbeddedAws, wiped: dict[str, Any]) -> Keys:
    return roles_keys(aws, STACK)


@pytest.fixture
def under_iam(aws: EmbeddedAws, operator: Keys, role: Keys) -> Iterator[None]:
    with enforced(aws):
        yield


def pause(aws: EmbeddedAws, operator: Keys, group: str) -> None:
    client(aws, operator, "autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=0)


def undelete(world: FreshBucket, operator: Keys, *words: str) -> int:
    environment = {**world.environment, "AWS_REGION": world.aws.region, **operator}
    environment.pop("AWS_SESSION_TOKEN", None)
    with mock.patch.dict(os.environ, environment):
        os.environ.pop("AWS_SESSION_TOKEN", None)
        return command.main([STACK, *words])


@pytest.mark.usefixtures("under_iam")
def test_one_command_brings_back_what_a_stolen_role_wiped(
    aws: EmbeddedAws,
    wiped: dict[str, Any],
    operator: Keys,
    role: Keys,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    s3 = client(aws, role, "s3")
    world = FreshBucket(aws, tmp_path, wiped["backup_bucket"], role)
    world.s3 = client(aws, operator, "s3")
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
