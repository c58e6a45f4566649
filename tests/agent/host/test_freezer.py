import contextlib
import fcntl
import os
import re
import shlex
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lab.host.deadline import scaled
from openclaw_agent.errors import AgentError
from openclaw_agent.host import freezer as freezer_module
from openclaw_agent.host.freeze_watchdog import FreezeUnavailable, frozen
from openclaw_agent.host.freezer import (
    ComposeFreezer,
    GatewayUnknown,
    NothingToFreeze,
    UnitFreezer,
    freezer_for,
    thaw,
)
from tests.support.gateways import GatewayOfFiles

pytestmark = pytest.mark.subprocess


@pytest.fixture
def gateway(tmp_path: Path) -> GatewayOfFiles:
    return GatewayOfFiles(tmp_path)


def wait_until_it_runs(gateway: GatewayOfFiles, seconds: float) -> float:
    """How long it took until the gateway ran again."""
    began = time.monotonic()
    while gateway.stands_still():
        assert time.monotonic() - began < scaled(seconds), "the gateway still stands still"
        time.sleep(0.02)
    return time.monotonic() - began


def test_the_gateway_stands_still_during_the_block_and_runs_after_it(gateway: GatewayOfFiles) -> None:
    with frozen(gateway.gateway, 2) as freeze:
        assert gateway.stands_still()
        assert not freeze.spent()
        time.sleep(0.05)
    assert not gateway.stands_still()
    assert 50 <= freeze.milliseconds < 2000
    assert gateway.calls() == ["freeze", "thaw"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_the_gateway_runs_again_whatever_is_raised(gateway: GatewayOfFiles, error: type[BaseException]) -> None:
    with pytest.raises(error), frozen(gateway.gateway, 2):
        raise error
    assert not gateway.stands_still()


def test_a_freeze_that_fails_is_thawed_and_said(tmp_path: Path) -> None:
    gateway = GatewayOfFiles(tmp_path, freeze_ends="echo 'cgroup is gone' >&2; exit 1")
    with pytest.raises(FreezeUnavailable, match="cgroup is gone"), frozen(gateway.gateway, 2):
        pytest.fail("the block must not run")
    assert not gateway.stands_still()


def test_the_watcher_thaws_when_the_agent_is_killed(gateway: GatewayOfFiles) -> None:
    agent = os.fork()
    if agent == 0:
        with contextlib.suppress(BaseException), frozen(gateway.gateway, 60):
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(agent, 0)[1]) == -signal.SIGKILL
    assert gateway.calls()[0] == "freeze"
    wait_until_it_runs(gateway, 5)
    assert gateway.calls()[-1] == "thaw"


def test_the_watcher_survives_a_kill_of_the_agents_whole_process_group(gateway: GatewayOfFiles) -> None:
    agent = os.fork()
    if agent == 0:
        with contextlib.suppress(BaseException):
            os.setsid()
            with frozen(gateway.gateway, 60):
                time.sleep(0.2)
                os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)
    os.waitpid(agent, 0)
    wait_until_it_runs(gateway, 5)


def test_a_freeze_that_overruns_its_budget_is_thawed_under_the_agent_and_is_no_error(gateway: GatewayOfFiles) -> None:
    with frozen(gateway.gateway, 0.2) as freeze:
        assert wait_until_it_runs(gateway, 5) > 0.2
        assert freeze.spent()
        # The watcher is gone by now.
        time.sleep(0.2)
    assert not gateway.stands_still()


def test_the_time_that_freezing_takes_is_not_taken_from_the_budget(tmp_path: Path) -> None:
    gateway = GatewayOfFiles(tmp_path, freeze_seconds=2.5)
    with frozen(gateway.gateway, 1.2) as freeze:
        while not freeze.spent():
            assert gateway.stands_still(), "thawed while the agent trusted in the freeze"
            time.sleep(0.02)
    assert not gateway.stands_still()


def test_a_slow_freeze_of_a_killed_agent_is_thawed_too(tmp_path: Path) -> None:
    gateway = GatewayOfFiles(tmp_path, freeze_seconds=2.0)
    agent = os.fork()
    if agent == 0:
        with contextlib.suppress(BaseException), frozen(gateway.gateway, 0.3):
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    os.waitpid(agent, 0)
    wait_until_it_runs(gateway, 5)


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_an_agent_that_ends_or_hangs_while_the_freeze_is_on_its_way_leaves_nothing_frozen(
    tmp_path: Path, blow: signal.Signals
) -> None:
    gateway = GatewayOfFiles(tmp_path, freeze_seconds=1.0)
    agent = os.fork()
    if agent == 0:
        with contextlib.suppress(BaseException), frozen(gateway.gateway, 0.5):
            time.sleep(60)
        os._exit(1)
    time.sleep(0.5)
    os.kill(agent, blow)
    time.sleep(1.0)
    assert gateway.calls()[0] == "freeze"
    wait_until_it_runs(gateway, 5)
    os.kill(agent, signal.SIGKILL)
    os.waitpid(agent, 0)


def test_a_watcher_that_is_killed_with_the_freeze_on_its_way_is_told_and_nothing_stays_frozen(tmp_path: Path) -> None:
    gateway = GatewayOfFiles(tmp_path, freeze_seconds=1.0)
    before = children()

    def kill_the_watcher() -> None:
        time.sleep(0.5)
        os.kill(int(next(iter(children() - before))), signal.SIGKILL)

    killer = threading.Thread(target=kill_the_watcher)
    killer.start()
    with pytest.raises(FreezeUnavailable, match="has died"), frozen(gateway.gateway, 2):
        pytest.fail("the block must not run")
    killer.join()
    assert gateway.calls() == ["thaw", "freeze", "thaw"]
    assert not gateway.stands_still()


def test_no_process_is_left_behind(gateway: GatewayOfFiles) -> None:
    before = children()
    for budget in (2, 0):
        with contextlib.suppress(ValueError), frozen(gateway.gateway, budget):
            raise ValueError
    assert children() == before


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is on the PATH; its `docker` and `systemctl` note how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "systemctl"):
        program = folder / name
        program.write_text(
            f'#!/bin/sh\necho "{name} $@" >> "{tmp_path}/log"\ncat "{tmp_path}/answer" 2>/dev/null || true\n'
        )
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return tmp_path


def test_the_containers_of_the_project_are_paused_and_unpaused(programs: Path) -> None:
    (programs / "answer").write_text("aaa\nbbb\n")
    freezer = freezer_for("compose:openclaw")
    gateway = freezer.running_gateway()
    assert gateway is not None
    with frozen(gateway, 2):
        pass
    asked, *rest = (programs / "log").read_text().splitlines()
    assert asked == (
        "docker ps --quiet --no-trunc --filter label=com.docker.compose.project=openclaw "
        "--filter status=running --filter status=paused"
    )
    assert rest == ["docker pause aaa bbb", "docker unpause aaa bbb"]


def test_a_project_without_containers_does_not_run(programs: Path) -> None:
    assert freezer_for("compose:openclaw").running_gateway() is None


def test_a_units_cgroup_is_frozen_and_thawed(programs: Path) -> None:
    (programs / "answer").write_text("active\n")
    freezer = freezer_for("systemd:openclaw.service")
    gateway = freezer.running_gateway()
    assert gateway is not None
    with frozen(gateway, 2):
        pass
    assert (programs / "log").read_text().splitlines() == [
        "systemctl is-active openclaw.service",
        "systemctl freeze openclaw.service",
        "systemctl thaw openclaw.service",
    ]


def test_a_program_that_is_not_there_means_that_nothing_can_be_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(freezer_module, "THAW_TIMEOUT_SECONDS", 1.0)
    for freezer in (UnitFreezer("openclaw.service"), ComposeFreezer("openclaw")):
        with pytest.raises(GatewayUnknown, match="could not be run"):
            freezer.running_gateway()
    with pytest.raises(FreezeUnavailable), frozen(UnitFreezer("openclaw.service").gateway, 1):
        pytest.fail("the block must not run")


def test_no_gateway_is_configured() -> None:
    freezer = freezer_for("none")
    assert isinstance(freezer, NothingToFreeze)
    assert freezer.running_gateway() is None  # type: ignore[func-returns-value]


def test_an_agent_that_hung_when_it_was_to_hear_of_it_does_not_believe_that_the_gateway_still_stands(
    tmp_path: Path,
) -> None:
    gateway = GatewayOfFiles(tmp_path, freeze_seconds=0.5)
    agent = os.fork()
    if agent == 0:
        with contextlib.suppress(BaseException), frozen(gateway.gateway, 0.3) as freeze:
            (tmp_path / "spent").write_text(str(freeze.spent()))
        os._exit(0)
    time.sleep(0.2)
    os.kill(agent, signal.SIGSTOP)
    # The watcher thaws a second after the budget, and by then the agent has heard nothing.
    time.sleep(2.3)
    assert gateway.calls() == ["freeze", "thaw"]
    os.kill(agent, signal.SIGCONT)
    os.waitpid(agent, 0)
    assert (tmp_path / "spent").read_text() == "True"


def test_the_watcher_holds_no_lock_of_a_killed_agent(gateway: GatewayOfFiles) -> None:
    lock = gateway.folder / "lock"
    agent = os.fork()
    if agent == 0:
        with contextlib.suppress(BaseException):
            held = os.open(lock, os.O_RDWR | os.O_CREAT)
            fcntl.flock(held, fcntl.LOCK_EX)
            with frozen(replace(gateway, thaw_seconds=1.0).gateway, 60):
                os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    os.waitpid(agent, 0)
    assert gateway.stands_still(), "the watcher must still be at it"
    with lock.open("r+") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
    wait_until_it_runs(gateway, 5)


NEEDS_NO_THAW = [
    "Error response from daemon: Container aaa is not paused",
    "Error response from daemon: Container aaa is not running",
    "Error response from daemon: No such container: aaa",
    "Failed to thaw unit: Unit 'openclaw.service' is inactive.",
    "Failed to thaw unit: Unit 'openclaw.service' has a pending job.",
    "Failed to thaw unit: Unit openclaw.service not loaded.",
    "Error response from daemon: Container aaa is not paused\nError response from daemon: No such container: bbb",
]


def complaining(folder: Path, complaint: str, times: int, freeze_ends: str = "exit 0") -> GatewayOfFiles:
    """A gateway whose thaw ends badly so many times, with these words."""
    thawed = f"[ $(grep -c thaw calls) -gt {times} ] && rm -f frozen && exit 0"
    return GatewayOfFiles(
        folder, freeze_ends=freeze_ends, thaw_ends=f"{thawed}; printf '%s\\n' {shlex.quote(complaint)} >&2; exit 1"
    )


@pytest.mark.parametrize("complaint", NEEDS_NO_THAW)
def test_a_gateway_that_needs_no_thaw_is_no_error(tmp_path: Path, complaint: str) -> None:
    gateway = complaining(tmp_path, complaint, 99)
    thaw(gateway.gateway)
    assert gateway.calls() == ["thaw"]


def test_a_thaw_that_fails_is_tried_again(tmp_path: Path) -> None:
    gateway = complaining(tmp_path, "the daemon is busy", 2)
    with frozen(gateway.gateway, 60) as freeze:
        assert gateway.stands_still()
    assert freeze.thaw_problem == ""
    assert gateway.calls() == ["freeze", "thaw", "thaw", "thaw"]


@pytest.mark.parametrize("freeze_fails", [False, True])
def test_a_thaw_that_fails_for_good_is_said_and_does_not_undo_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freeze_fails: bool
) -> None:
    # The last try has as long as the pause before it, and must not end by a time-out on a busy machine.
    monkeypatch.setattr(freezer_module, "THAW_PAUSE_SECONDS", scaled(0.5))
    monkeypatch.setattr(freezer_module, "THAW_TIMEOUT_SECONDS", scaled(1.0))
    complaint = "Error response from daemon: Container aaa is not paused\ncannot thaw bbb"
    gateway = complaining(tmp_path, complaint, 99, "exit 1" if freeze_fails else "exit 0")
    if freeze_fails:
        with pytest.raises(FreezeUnavailable) as caught, frozen(gateway.gateway, 60):
            pytest.fail("the block must not run")
        problem = caught.value.thaw_problem
    else:
        with frozen(gateway.gateway, 60) as freeze:
            pass
        problem = freeze.thaw_problem
    assert problem.startswith("The gateway may still be frozen (sh -c failed: ")
    assert "cannot thaw bbb" in problem
    assert gateway.calls().count("thaw") > 1
    with pytest.raises(AgentError, match="may still be frozen"):
        thaw(gateway.gateway)


def test_asking_and_thawing_fit_into_the_time_that_the_unit_has_to_stop() -> None:
    unit = Path("cloud_init/units/openclaw-s3-backup.service").read_text()
    seconds = float(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1])  # type: ignore[index]
    assert seconds > freezer_module.ASK_TIMEOUT_SECONDS + freezer_module.THAW_TIMEOUT_SECONDS


@pytest.mark.parametrize(
    ("word", "code", "running"),
    [
        ("active", 0, True),
        ("activating", 3, True),
        ("deactivating", 3, True),
        ("inactive", 3, False),
        ("failed", 3, False),
        ("unknown", 4, False),
    ],
)
def test_a_unit_on_its_way_may_write_too(programs: Path, word: str, code: int, running: bool) -> None:
    (programs / "bin/systemctl").write_text(f"#!/bin/sh\necho {word}; exit {code}\n")
    assert (UnitFreezer("openclaw.service").running_gateway() is not None) is running


def test_a_daemon_that_does_not_answer_leaves_it_open_whether_the_gateway_runs(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezer_module, "ASK_TIMEOUT_SECONDS", 0.2)
    for script, words in (("sleep 5", "could not be run"), ("echo 'no daemon' >&2; exit 1", "no daemon")):
        (programs / "bin/docker").write_text(f"#!/bin/sh\n{script}\n")
        with pytest.raises(GatewayUnknown, match=words):
            ComposeFreezer("openclaw").running_gateway()
