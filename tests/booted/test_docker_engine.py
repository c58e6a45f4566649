"""The real compose file on a real Docker engine: what the agent freezes is containers, as on the deployed instance.

`make test-lab LAB_TESTS=tests/booted/test_docker_engine.py`; needs root and a way to Debian, PyPI and npm.
"""

import json
import os
import signal
import sqlite3
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lab.host.gateway_engine import GatewayEngine
from lab.image.compose_file import COMPOSE_FILE, read_compose_file
from lab.image.docker_layers import IMAGE
from lab.machine.machine import Machine
from lab.world.gateway_life import BACKUP_UNIT, GATEWAY_UNIT, last_run
from lab.world.terminal import Terminal
from lab.world.waiting import until
from lab.world.world import (
    BACKUP_PROGRAM,
    RESTORE_PROGRAM,
    STATE,
    World,
    back_up,
    backup_processes,
    deployed_world,
    sh,
    unit_properties,
    write_note,
)
from openclaw_ec2_spot.config_keys import OPENCLAW_VERSION

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

IN_GATEWAY = "/usr/local/libexec/openclaw-as-gateway"
WRITER = Path(__file__).with_name("wal_writer.mjs")
WRITER_FOLDER = "workspace/two-databases"
PROJECT = "label=com.docker.compose.project=openclaw"
BACKUPS = 20
BIG_FILE = f"{STATE}/workspace/big.bin"
BIG_MIB = 300
CLONES = "/var/lib/openclaw-agent/clone"
FREEZE_BUDGET_MS = 2_000
SECONDS_UNTIL_THAWED = 5


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with deployed_world(Terminal(), tmp_path_factory.mktemp("world"), engine=GatewayEngine.DOCKER) as deployed:
        yield deployed


@pytest.fixture
def machine(world: World) -> Machine:
    return world.ready_machine()


@pytest.fixture
def writer(machine: Machine) -> Iterator[str]:
    """A second container of the project, which writes to two databases of the state without a pause; its id."""
    machine.path(f"{STATE}/writer.mjs").write_text(WRITER.read_text())
    inside = read_compose_file().mounts[0].target
    container = sh(
        machine,
        f"docker run --detach --label {PROJECT.removeprefix('label=')} --volume {STATE}:{inside} --network none "
        f"{IMAGE}:{OPENCLAW_VERSION} node {inside}/writer.mjs {inside}/{WRITER_FOLDER}",
    ).strip()
    until("the first rows", lambda: machine.path(f"{STATE}/{WRITER_FOLDER}/second.sqlite-wal").exists(), 20)
    yield container
    sh(machine, f"docker rm --force {container}; rm -rf {STATE}/{WRITER_FOLDER} {STATE}/writer.mjs")


def containers(machine: Machine) -> list[str]:
    return sh(machine, f"docker ps --quiet --no-trunc --filter {PROJECT}").split()


def gateway(machine: Machine) -> dict[str, Any]:
    """What the engine says of the gateway's container."""
    found = sh(machine, f"docker inspect $(docker ps -q --filter {PROJECT} --filter name=openclaw-gateway)")
    (container,) = json.loads(found)
    return dict(container)


def is_paused(machine: Machine, container: str) -> bool:
    group = machine.path(f"/sys/fs/cgroup/system.slice/docker-{container}.scope/cgroup.events")
    return "frozen 1" in group.read_text()


def last_numbers(folder: Path) -> list[int]:
    """The last number in each of the writer's two databases, which must be whole."""
    numbers = []
    for name in ("first", "second"):
        with closing(sqlite3.connect(folder / f"{name}.sqlite")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            numbers.append(database.execute("SELECT max(number), count(*) FROM events").fetchone())
    # No row is missing within a database either.
    assert all(last == count for last, count in numbers)
    return [last for last, _ in numbers]


def begin_backup_and_catch_the_pause(machine: Machine, ids: list[str]) -> list[int]:
    """Start a backup with much to clone, and return its processes as the host numbers them, with all paused."""
    sh(machine, f"head -c {BIG_MIB}M /dev/urandom > {BIG_FILE} && chown 1000:1000 {BIG_FILE}")
    sh(machine, f"systemctl start --no-block {BACKUP_UNIT}")
    until("the pause", lambda: all(is_paused(machine, one) for one in ids), 30, every=0.002)
    processes = backup_processes(machine)
    assert processes
    return processes


def settle(machine: Machine) -> None:
    until("the end of the backup", lambda: not backup_processes(machine), 60)
    sh(machine, f"rm -f {BIG_FILE}; systemctl reset-failed {BACKUP_UNIT} || :")


def test_the_deployed_unit_runs_the_compose_file_as_both_are_deployed(machine: Machine) -> None:
    # As root types it; from outside of the instance its link leads elsewhere.
    assert sh(machine, "cat /opt/openclaw/docker-compose.yaml") == COMPOSE_FILE.read_text()
    shown = unit_properties(machine, GATEWAY_UNIT, "DropInPaths", "ActiveState")
    assert shown == {"DropInPaths": "", "ActiveState": "active"}
    assert machine.wait_until_booted() == "running"
    assert machine.run(["docker", "compose", "version", "--short"]).stdout >= "2.30"
    described, found = read_compose_file(), gateway(machine)
    assert tuple(found["Config"]["Cmd"]) == ("node", "dist/index.js", *described.arguments)
    assert found["Config"]["User"] == "node"
    assert found["Config"]["StopTimeout"] in (None, described.stop_grace_seconds)
    assert found["Config"]["Hostname"] == "openclaw-gateway"
    limits = found["HostConfig"]
    assert (limits["CapDrop"], limits["SecurityOpt"], limits["Init"]) == (["ALL"], ["no-new-privileges:true"], True)
    assert limits["ReadonlyRootfs"] is True
    assert set(limits["Tmpfs"]) == {"/tmp", described.environment["HOME"]}
    assert limits["Ulimits"] == [{"Name": "core", "Hard": 0, "Soft": 0}]
    assert limits["PortBindings"] == {"18789/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18789"}]}
    # Docker tells them in no order.
    assert sorted((mount["Source"], mount["Destination"]) for mount in found["Mounts"]) == sorted(
        (mount.source, mount.target) for mount in described.mounts
    )


def test_the_container_has_the_files_environment_the_secret_and_no_privilege(machine: Machine, world: World) -> None:
    printed = sh(machine, f"{IN_GATEWAY} env").splitlines()
    wanted = {f"{name}={value}" for name, value in read_compose_file().environment.items()}
    assert wanted | {f"OPENCLAW_GATEWAY_TOKEN={world.cloud.gateway_token}"} <= set(printed)
    assert not [line for line in printed if line.startswith("AWS_")]
    status = sh(machine, f"{IN_GATEWAY} cat /proc/1/status")
    fields = dict(line.split(":\t") for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
    assert fields.pop("NoNewPrivs") == "1"
    assert set(fields.values()) == {"0" * 16}


def test_each_backup_pauses_both_containers_for_a_moment_and_takes_one_instant_of_both_databases(
    machine: Machine, writer: str, tmp_path: Path
) -> None:
    ids = containers(machine)
    assert writer in ids
    assert len(ids) == 2
    times = []
    for _ in range(BACKUPS):
        line = back_up(machine)
        assert (line["result"], line["capture"]) == ("done", "frozen")
        times.append(float(line["freeze_ms"]))
        assert not any(is_paused(machine, one) for one in ids)
    print(f"{BACKUPS} pauses of 2 containers: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms")
    assert max(times) < FREEZE_BUDGET_MS
    assert machine.gateway_answer() == {"ready": True}
    sh(machine, f"rm -rf /tmp/look && {RESTORE_PROGRAM} run --to /tmp/look")
    sh(machine, f"cp -R /tmp/look/{WRITER_FOLDER} /run/look")
    restored = tmp_path / "restored"
    restored.mkdir()
    for name in ("first.sqlite", "second.sqlite"):
        (restored / name).write_bytes(machine.path(f"/run/look/{name}").read_bytes())
    first, second = last_numbers(restored)
    print(f"the databases of one instant: {first} and {second}")
    assert first - second in (0, 1)
    assert first > 100


@pytest.mark.parametrize("everything", [False, True], ids=["the agent alone", "its watcher too"])
def test_kill_9_of_a_backup_that_has_paused_the_containers_lets_them_go_on(
    machine: Machine, world: World, writer: str, everything: bool
) -> None:
    back_up(machine)
    latest = world.history("latest/")
    ids, process = containers(machine), unit_properties(machine, GATEWAY_UNIT, "MainPID")
    processes = begin_backup_and_catch_the_pause(machine, ids)
    for number in processes if everything else processes[:1]:
        os.kill(number, signal.SIGKILL)
    struck = time.monotonic()
    assert all(is_paused(machine, one) for one in ids), "the kill came too late to show anything"
    until(
        "the thaw",
        lambda: not any(is_paused(machine, one) for one in ids),
        SECONDS_UNTIL_THAWED,
        every=0.01,
        promised=True,
    )
    print(f"unpaused {1000 * (time.monotonic() - struck):.0f} ms after the kill")
    settle(machine)
    assert (containers(machine), unit_properties(machine, GATEWAY_UNIT, "MainPID")) == (ids, process)
    machine.wait_for_gateway(timeout_seconds=10)
    assert world.history("latest/") == latest
    assert back_up(machine)["result"] == "done"


@pytest.mark.parametrize("after_the_command", [True, False], ids=["once they stand still", "while the command returns"])
def test_a_backup_that_hangs_in_the_pause_does_not_hold_the_containers(
    machine: Machine, writer: str, after_the_command: bool
) -> None:
    ids = containers(machine)
    agent = begin_backup_and_catch_the_pause(machine, ids)[0]
    if after_the_command:
        # Its first clone shows that it knows of the pause, and has said so to its watcher.
        until("the first clone", lambda: any(machine.path(CLONES).glob("*")), 5, every=0.001)
    os.kill(agent, signal.SIGSTOP)
    assert all(is_paused(machine, one) for one in ids), "it hung too late to show anything"
    stopped = time.monotonic()
    until(
        "the thaw",
        lambda: not any(is_paused(machine, one) for one in ids),
        SECONDS_UNTIL_THAWED,
        every=0.01,
        promised=True,
    )
    print(f"unpaused {time.monotonic() - stopped:.1f} s after the agent hung")
    machine.wait_for_gateway(timeout_seconds=10)
    os.kill(agent, signal.SIGCONT)
    until("the end of the backup", lambda: not backup_processes(machine), 60)
    line = last_run(machine, "backup")
    # It never says "frozen" of what it took from containers that ran.
    assert (line["result"], line["capture"]) in (("done", "mixed"), ("done", "live"))
    settle(machine)


def test_a_container_that_is_killed_comes_back_at_once_under_its_own_lease(machine: Machine) -> None:
    before = gateway(machine)["Id"]
    sh(machine, f"docker kill --signal KILL {before}")
    until("the end of the unit's process", lambda: before not in containers(machine), 20)
    began = time.monotonic()
    machine.wait_for_gateway(timeout_seconds=90)
    print(f"ready again {time.monotonic() - began:.0f} s after the kill, of which systemd waits 20")
    assert gateway(machine)["Id"] != before
    assert unit_properties(machine, GATEWAY_UNIT, "NRestarts")["NRestarts"] == "1"


def test_a_stopped_unit_leaves_no_container_and_nothing_to_pause(machine: Machine) -> None:
    sh(machine, f"systemctl stop {GATEWAY_UNIT}", seconds=90)
    assert containers(machine) == []
    # The writer's databases of the tests before are gone, which the guard would take for a loss.
    line = json.loads(sh(machine, f"{BACKUP_PROGRAM} --json --accept-shrink", seconds=60))
    assert (line["result"], line["capture"], line["freeze_ms"]) == ("done", "stopped", 0.0)
    sh(machine, f"systemctl start {GATEWAY_UNIT}")
    machine.wait_for_gateway()


def test_a_replacement_starts_its_gateway_on_the_restored_state_without_waiting_for_a_lease(
    machine: Machine, world: World
) -> None:
    write_note(machine, "workspace/before.md", "kept")
    back_up(machine)
    world.lose_machine()
    replacement = world.boot_replacement()
    assert replacement.wait_for_cloud_init().succeeded
    print(f"the replacement's gateway was ready {replacement.wait_for_gateway(90):.0f} s after power-on")
    assert unit_properties(replacement, GATEWAY_UNIT, "NRestarts") == {"NRestarts": "0"}
    assert replacement.path(f"{STATE}/workspace/before.md").read_text() == "kept"


def test_devices_are_approved_by_the_deployed_unit_in_the_container(machine: Machine) -> None:
    started = machine.run(["systemctl", "start", "openclaw-auto-approve.service"], timeout_seconds=90)
    assert started.exit_code == 0, machine.journal("openclaw-auto-approve.service", lines=20)
