"""One deployed world for all booted tests: it is deployed once, and its machine is shared."""

from collections.abc import Iterator

import pytest

from lab.aws.server import EmbeddedAws
from lab.instance.hypervisor import Hypervisor
from lab.instance.machine import Machine
from lab.instance.machine_host import MachineHost
from lab.story.deployed_world import World
from lab.story.narration import Narrator
from lab.story.world import deploy, group_name


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    say = Narrator()
    with MachineHost(say.step) as host, EmbeddedAws(host=str(host.host_address)) as aws:
        cloud = deploy(aws, tmp_path_factory.mktemp("engine"), say)
        hypervisor = Hypervisor(aws.client("ec2"), group_name(cloud), host, aws.endpoint_url, say=say.step)
        yield World(host, aws, cloud, hypervisor)


@pytest.fixture
def machine(world: World) -> Machine:
    """The group's instance, whatever the tests before did to it: installed, and its gateway ready."""
    return world.ready_machine()
