"""The agent's tests on another server than the embedded AWS: which of them must fail there, and why."""

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

# The URL of the server, set by run.py.
OTHER_SERVER = "OPENCLAW_TEST_S3"
EXPECTED = Path(__file__).with_name("expected.toml")
KEY = "testing"


class OtherServer:
    """What tests use of `lab.moto.server.EmbeddedAws`, for a server that speaks S3 alone."""

    region = "us-east-1"

    def __init__(self, url: str) -> None:
        self.endpoint_url = url
        self._clients: dict[str, Any] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point an AWS SDK at it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, service: str) -> Any:
        """A client, made once."""
        if service not in self._clients:
            session = boto3.Session(KEY, KEY, region_name=self.region)
            config = Config(retries={"total_max_attempts": 3}, s3={"addressing_style": "path"})
            self._clients[service] = session.client(  # type: ignore[call-overload]
                service, endpoint_url=self.endpoint_url, config=config
            )
        return self._clients[service]


def expect_differences(items: Iterable[pytest.Item]) -> None:
    """Mark what must fail: a test that fails without being listed fails, and one that is listed and passes does too."""
    reasons = dict(_expected())
    for item in items:
        reason = reasons.get(item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


def _expected() -> Iterator[tuple[str, str]]:
    for row in tomllib.loads(EXPECTED.read_text())["difference"]:
        for test in row["tests"]:
            yield f"tests/agent/{test}", row["server"]
