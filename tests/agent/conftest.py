"""One embedded AWS for the session; a fresh bucket and a fresh disk for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.moto.server import EmbeddedAws
from tests.support.mounts import Mounts
from tests.support.simulated_instance import FreshBucket, SimulatedInstance


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    """Mounts that are undone after the test."""
    made = Mounts()
    yield made
    made.undo()


@pytest.fixture
def world(embedded_aws: EmbeddedAws, tmp_path: Path) -> FreshBucket:
    return FreshBucket(embedded_aws, tmp_path)


@pytest.fixture
def machine(world: FreshBucket) -> SimulatedInstance:
    """A machine that has booted on the empty bucket and owns it."""
    return world.booted("first")
