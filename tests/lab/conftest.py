"""A second embedded AWS for each worker, emptied for each test of the lab."""

from collections.abc import Iterator
from typing import Any

import pytest

from lab.moto.server import EmbeddedAws


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
