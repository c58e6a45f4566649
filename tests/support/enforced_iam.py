"""IAM enforced by the embedded AWS, and sessions that hold nothing but a role's keys or an administrator's."""

from __future__ import annotations

import contextlib
import functools
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config

from lab.host.deadline import scaled
from lab.moto.server import EmbeddedAws

Keys = Mapping[str, str]
"""Keys as a process gets them: in environment variables."""


def administrators_keys(aws: EmbeddedAws, name: str) -> Keys:
    """The keys of a new user whom enforced policies allow everything."""
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def roles_keys(aws: EmbeddedAws, stack: str) -> Keys:
    """The keys of a stack's instance role, as the metadata service hands them out."""
    arn = aws.client("iam").get_role(RoleName=f"openclaw-lab-{stack}-instance")["Role"]["Arn"]
    held = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="i-stolen")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": held["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": held["SecretAccessKey"],
        "AWS_SESSION_TOKEN": held["SessionToken"],
    }


@functools.cache
def _session(region: str, identity: str | None, secret: str | None, token: str | None) -> boto3.Session:
    # The clients of one session share what takes the longest, botocore's list of endpoints.
    return boto3.Session(identity, secret, token, region)


def client(aws: EmbeddedAws, keys: Keys, service: str) -> Any:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    identity, secret, token = (keys.get(name) for name in names)
    return _session(aws.region, identity, secret, token).client(
        service,  # type: ignore[call-overload]  # any service's name
        endpoint_url=aws.endpoint_url,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


@contextlib.contextmanager
def enforced(aws: EmbeddedAws) -> Iterator[None]:
    """Let IAM judge each request."""
    _begin_after(aws, "0")
    try:
        yield
    finally:
        _begin_after(aws, "inf")


def _begin_after(aws: EmbeddedAws, requests: str) -> None:
    asked = urllib.request.Request(
        f"{aws.endpoint_url}/moto-api/reset-auth", requests.encode(), {"Content-Type": "text/plain"}
    )
    with urllib.request.urlopen(asked, timeout=scaled(30)):
        pass
