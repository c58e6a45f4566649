"""An embedded AWS behind a lying network, a fork server for the agent, and a process that stands for the gateway."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.faults.proxy import FaultProxy
from tests.support.agent_process import AgentLauncher, AgentProcess
from tests.support.bucket_image import BucketKeeper
from tests.support.fault_scenario import FaultScenario
from tests.support.gateways import GatewayProcess


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AgentLauncher]:
    started = AgentLauncher(tmp_path_factory.mktemp("launcher"))
    yield started
    started.stop()


@pytest.fixture
def machine(tmp_path: Path) -> AgentProcess:
    return AgentProcess(tmp_path / "machine", "lab-a")


@pytest.fixture
def gateway() -> Iterator[GatewayProcess]:
    with subprocess.Popen(["sleep", "600"]) as child:
        yield GatewayProcess(child.pid)
        child.kill()


@pytest.fixture
def stage(
    launcher: AgentLauncher, proxy: FaultProxy, keeper: BucketKeeper, machine: AgentProcess, tmp_path: Path
) -> Iterator[FaultScenario]:
    made = FaultScenario(launcher, proxy, keeper, machine, tmp_path / "scratch")
    made.prepare()
    yield made
    proxy.begin()
