"""One deployed world for all booted tests: it is deployed once, and its machine is shared."""

from collections.abc import Iterator

import pytest

from lab.instance.machine import Machine
from lab.story.deployed_world import World, deployed_world
from lab.story.narration import Narrator


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with deployed_world(Narrator(), tmp_path_factory.mktemp("world")) as deployed:
        yield deployed


@pytest.fixture
def machine(world: World) -> Machine:
    """The group's instance, whatever the tests before did to it: installed, and its gateway ready."""
    return world.ready_machine()
