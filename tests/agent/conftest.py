"""One embedded AWS for the session; a fresh bucket and a fresh disk for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.moto.server import EmbeddedAws
from tests.support.simulated_instance import SimulatedInstance, TestBucket


@pytest.fixture(scope="session")
def agent_aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as server:
        yield server


@pytest.fixture
def world(agent_aws: EmbeddedAws, tmp_path: Path) -> TestBucket:
    return TestBucket(agent_aws, tmp_path)


@pytest.fixture
def machine(world: TestBucket) -> SimulatedInstance:
    """A machine that has booted on the empty bucket and owns it."""
    return world.booted("first")
