"""The gateway stands still for a moment at each backup, and goes on whatever happens to the backup."""

import contextlib
import json
import os
import signal
import statistics
import time

import pytest

from lab.machine.machine import Machine
from lab.world.gateway_life import BACKUP_UNIT, GATEWAY_UNIT, is_active, last_run
from lab.world.waiting import until
from lab.world.world import (
    BACKUP_PROGRAM,
    OWNER_KEY,
    RESTORE_PROGRAM,
    STATE,
    World,
    back_up,
    backup_processes,
    is_frozen,
    journal_lines,
    moment,
    sh,
    unit_properties,
    write_note,
)

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

BACKUPS = 20
# Cloned while the gateway stands still: long enough to strike in the middle, and within the budget of 2 s.
BIG_FILE = f"{STATE}/workspace/big.bin"
BIG_MIB = 300
LONGEST_FREEZE_MS = 3_500
SECONDS_UNTIL_THAWED = 5


def begin_backup_and_catch_the_freeze(machine: Machine) -> list[int]:
    """Start a backup with much to clone, and return its processes as the host numbers them, with the gateway frozen."""
    sh(machine, f"head -c {BIG_MIB}M /dev/urandom > {BIG_FILE} && chown 1000:1000 {BIG_FILE}")
    sh(machine, f"systemctl start --no-block {BACKUP_UNIT}")
    until("the freeze", lambda: is_frozen(machine), 30, every=0.002)
    processes = backup_processes(machine)
    assert processes
    return processes


def settle(machine: Machine) -> None:
    """Wait for the end of the backup unit, and remove what made it long."""
    until("the end of the backup", lambda: not backup_processes(machine), 60)
    sh(machine, f"rm -f {BIG_FILE}; systemctl reset-failed {BACKUP_UNIT} || :")


def test_twenty_backups_of_the_running_gateway_freeze_it_for_a_moment_each(machine: Machine) -> None:
    pid = unit_properties(machine, GATEWAY_UNIT, "MainPID")
    times = []
    for number in range(BACKUPS):
        write_note(machine, "workspace/counter.md", f"backup {number}\n")
        line = back_up(machine)
        assert (line["result"], line["capture"]) == ("done", "frozen")
        times.append(float(line["freeze_ms"]))
        assert not is_frozen(machine)
    print(f"{BACKUPS} freezes of the gateway: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms")
    assert max(times) < LONGEST_FREEZE_MS
    answer = machine.gateway_answer()
    assert answer is not None
    assert answer["ready"] is True
    assert unit_properties(machine, GATEWAY_UNIT, "MainPID") == pid


@pytest.mark.parametrize("everything", [False, True], ids=["the agent alone", "its watcher too"])
def test_kill_9_of_a_backup_that_has_frozen_the_gateway_lets_it_go_on(
    machine: Machine, world: World, everything: bool
) -> None:
    write_note(machine, "workspace/before-the-kill.md", "kept")
    back_up(machine)
    latest = world.history("latest/")
    pid = unit_properties(machine, GATEWAY_UNIT, "MainPID")
    processes = begin_backup_and_catch_the_freeze(machine)
    for process in processes if everything else processes[:1]:
        # The command that froze the gateway may have ended since.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    struck = time.monotonic()
    assert is_frozen(machine), "the kill came too late to show anything"
    until("the thaw", lambda: not is_frozen(machine), SECONDS_UNTIL_THAWED, every=0.01, promised=True)
    print(f"thawed {1000 * (time.monotonic() - struck):.0f} ms after the kill")
    settle(machine)
    assert unit_properties(machine, GATEWAY_UNIT, "MainPID") == pid
    machine.wait_for_gateway(timeout_seconds=10)
    assert world.history("latest/") == latest
    assert back_up(machine)["result"] in ("done", "unchanged")


def test_a_backup_that_hangs_in_the_freeze_does_not_hold_the_gateway(machine: Machine) -> None:
    agent = begin_backup_and_catch_the_freeze(machine)[0]
    os.kill(agent, signal.SIGSTOP)
    until("the thaw", lambda: not is_frozen(machine), SECONDS_UNTIL_THAWED, every=0.01, promised=True)
    machine.wait_for_gateway(timeout_seconds=10)
    os.kill(agent, signal.SIGCONT)
    until("the end of the backup", lambda: not backup_processes(machine), 60)
    line = last_run(machine, "backup")
    # What was not cloned while the gateway stood still was captured live, and the log says so.
    assert (line["result"], line["capture"]) == ("done", "mixed")
    assert "did not fit into the freeze" in line["live_reason"]
    settle(machine)
    back_up(machine)


def test_a_fenced_instance_writes_nothing_to_latest_says_so_and_stops_its_gateway(
    machine: Machine, world: World
) -> None:
    write_note(machine, "workspace/fence.md", "before")
    back_up(machine)
    write_note(machine, "workspace/fence.md", "after")
    mine, latest = world.body(OWNER_KEY), world.history("latest/")
    other = {**json.loads(mine), "epoch": world.owner()["epoch"] + 1, "instance_id": "i-0ffffffffffffffff"}
    world.s3.put_object(Bucket=world.bucket, Key=OWNER_KEY, Body=json.dumps(other).encode())
    since = sh(machine, "date +%s.%N").strip()
    assert machine.run(["systemctl", "start", BACKUP_UNIT], timeout_seconds=60).exit_code != 0
    until("the stop of the gateway", lambda: not is_active(machine), 60)
    shown = unit_properties(machine, BACKUP_UNIT, "Result", "ExecMainStatus", "ExecMainCode")
    assert shown == {"Result": "exit-code", "ExecMainStatus": "75", "ExecMainCode": "1"}
    line = last_run(machine, "backup")
    assert line["result"] == "fenced"
    assert "Fenced: " in line["error"]
    assert "i-0ffffffffffffffff" in line["error"]
    # Not a byte of it: no write and no deletion, not even of the same bytes.
    assert world.history("latest/") == latest
    assert world.owner() == other

    # A person who starts it again, and the machine's own restart rule, do not get past the fence either.
    machine.run(["systemctl", "start", GATEWAY_UNIT], timeout_seconds=60)
    until("the refusal", lambda: "another instance holds the lease" in machine.journal(GATEWAY_UNIT, lines=20), 20)
    sh(machine, f"systemctl stop {GATEWAY_UNIT}")
    refused = journal_lines(machine, f"--since=@{since}", f"--unit={GATEWAY_UNIT}")
    assert moment(refused, GATEWAY_UNIT, "must not start: another instance holds the lease now")
    assert not [row for row in refused if row.unit == GATEWAY_UNIT and row.text.startswith("Started ")]

    # The other one is gone; this one is taken to a person's will.
    sh(machine, f"{RESTORE_PROGRAM} boot", seconds=60)
    assert world.owner()["instance_id"] == machine.instance_id
    sh(machine, f"systemctl start {GATEWAY_UNIT}")
    machine.wait_for_gateway()
    assert back_up(machine)["result"] in ("done", "unchanged")
    assert world.body("latest/.openclaw/workspace/fence.md") == b"after"


@pytest.mark.parametrize("uploading", [False, True], ids=["in the freeze", "in the upload"])
def test_stopping_the_gateway_in_the_middle_of_a_backup_leaves_everything_whole(
    machine: Machine, world: World, uploading: bool
) -> None:
    back_up(machine)
    begun, complete = names_of_snapshots(world), world.complete_snapshots()
    begin_backup_and_catch_the_freeze(machine)
    if uploading:
        until("the upload", lambda: names_of_snapshots(world) > begun, 30, every=0.02)
    began = time.monotonic()
    sh(machine, f"systemctl stop {GATEWAY_UNIT}", seconds=90)
    print(f"the gateway was stopped in {time.monotonic() - began:.1f} s")
    assert not backup_processes(machine)
    assert world.complete_snapshots() == complete
    sh(machine, f"{RESTORE_PROGRAM} verify", seconds=60)
    sh(machine, f"systemctl start {GATEWAY_UNIT}")
    machine.wait_for_gateway()
    settle(machine)
    assert back_up(machine)["result"] == "done"
    sh(machine, f"{RESTORE_PROGRAM} verify", seconds=60)
    assert sh(machine, f"{BACKUP_PROGRAM} --json", seconds=60)


def names_of_snapshots(world: World) -> set[str]:
    return {key.split("/")[1] for key in world.keys("snapshots/")}
