"""One deployed world for all booted tests: it is deployed once, and its machine is shared."""

from collections.abc import Iterator

import pytest

from lab.machine.machine import Machine
from lab.world.terminal import Terminal
from lab.world.world import World, deployed_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with deployed_world(Terminal(), tmp_path_factory.mktemp("world")) as deployed:
        yield deployed


@pytest.fixture
def machine(world: World) -> Machine:
    """The group's instance, whatever the tests before did to it: installed, and its gateway ready."""
    return world.ready_machine()
