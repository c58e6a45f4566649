"""One embedded AWS for each worker, empty for each test, and the fault proxy before it."""

from collections.abc import Iterator
from typing import Any

import pytest

from lab.faults.proxy import FaultProxy
from lab.moto.server import EmbeddedAws
from tests.support.agent_process import BUCKET
from tests.support.bucket_image import BucketKeeper


@pytest.fixture(scope="session")
def aws_server() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture
def aws(aws_server: EmbeddedAws) -> EmbeddedAws:
    aws_server.reset()
    return aws_server


@pytest.fixture
def s3(aws: EmbeddedAws) -> Any:
    return aws.client("s3")


@pytest.fixture(scope="session")
def session_proxy(aws_server: EmbeddedAws) -> Iterator[FaultProxy]:
    with FaultProxy(aws_server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def proxy(session_proxy: FaultProxy) -> FaultProxy:
    session_proxy.begin()
    return session_proxy


@pytest.fixture
def keeper(aws: EmbeddedAws) -> BucketKeeper:
    made = BucketKeeper(aws.endpoint_url, BUCKET)
    made.create()
    return made
