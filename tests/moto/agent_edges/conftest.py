"""The agent's edges: the lifecycle command, the metadata service, SSM, EC2 and CloudWatch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.aws.server import EmbeddedAws
from tests.moto.agent_world import World


@pytest.fixture(scope="session")
def edges_aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as server:
        yield server


@pytest.fixture
def world(edges_aws: EmbeddedAws, tmp_path: Path) -> World:
    return World(edges_aws, tmp_path)
