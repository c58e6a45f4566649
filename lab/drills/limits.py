"""Drills in which the machine runs out of something: of memory, and of disk."""

import shutil
from pathlib import Path

from lab.drills.memory_shortage import memory_shortage, oom_kills
from lab.drills.scenario import Scenario
from lab.drills.workload import begin_work
from lab.machine.machine import Machine
from lab.report.record import Severity, Track
from lab.world.gateway_life import BACKUP_UNIT, GATEWAY_UNIT, is_active, last_run
from lab.world.waiting import until
from lab.world.world import last_restore, sh, unit_properties, write_note

SMALL_DISK = Path(__file__).with_name("small_disk.sh")
SMALL_DISK_SIZE = "160M"
PROGRAM = "/usr/local/libexec/openclaw-lab-small-disk"
FILLER = "/mnt/small/filler"
NOTE = "workspace/before-the-disk-was-full.md"


def out_of_memory(scenario: Scenario) -> None:
    """The gateway wants more memory than there is, and the kernel kills it."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    pid = unit_properties(machine, GATEWAY_UNIT, "MainPID")
    scenario.disaster("the gateway's memory is used up")
    with memory_shortage(machine):
        until("the kill", lambda: _asked_to_death(machine), 90, every=0.2)
    scenario.note(Track.GATEWAY, "killed by the kernel for want of memory", Severity.BAD)
    scenario.wait_until_ready(machine)
    scenario.check("its unit has started it again", unit_properties(machine, GATEWAY_UNIT, "MainPID") != pid)
    begin_work(machine)
    write_note(machine, "workspace/after-the-kill.md", "still here\n")
    scenario.back_up(machine)
    scenario.check(
        "backups go on", scenario.world.body("latest/.openclaw/workspace/after-the-kill.md") == b"still here\n"
    )
    scenario.check_nothing_is_missing(machine)
    scenario.record.lost_seconds = 0.0
    scenario.record.what_happened = "killed by the kernel, started again by its unit; backups went on"


def disk_full(scenario: Scenario) -> None:
    """The disk that holds the state fills up, and is freed again."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    move_to_a_small_disk(machine)
    machine.wait_for_gateway()
    begin_work(machine)
    write_note(machine, NOTE, "written before\n")
    scenario.back_up(machine)
    latest = scenario.world.history("latest/")
    scenario.disaster("the disk is full")
    write_note(machine, "workspace/fresh.md", "not yet in any backup\n" * 1000)
    sh(machine, f"head -c 1G /dev/zero > {FILLER} 2>/dev/null || :")
    done = machine.run(["systemctl", "start", BACKUP_UNIT], timeout_seconds=120)
    line = last_run(machine, "backup")
    scenario.terminal.step(f"the backup: {line.get('error')}")
    scenario.check(
        "the backup fails, and says that there is no space",
        done.exit_code != 0 and "There is no room for a clone of" in str(line.get("error")),
        str(line),
    )
    scenario.check("latest/ is as it was", scenario.world.history("latest/") == latest)
    scenario.check("the gateway still runs", is_active(machine))
    sh(machine, f"rm {FILLER} && systemctl reset-failed {BACKUP_UNIT}")
    scenario.note(Track.INSTANCE, "there is room again", Severity.GOOD)
    name = scenario.back_up(machine)
    scenario.check("the next backup is complete", name in scenario.world.complete_snapshots())
    sh(machine, "openclaw-s3-restore.py verify", seconds=180)
    scenario.check("and passes --verify", last_restore(machine)["result"] == "verified")
    scenario.wait_until_ready(machine, 30)
    scenario.check_nothing_is_missing(machine)
    scenario.record.lost_seconds = 0.0
    scenario.record.what_happened = "the backup failed with one sentence; the next one, with room, was complete"
    # Its folders lie on a disk that goes with the machine's power.
    scenario.lose(machine)


def move_to_a_small_disk(machine: Machine) -> None:
    """Stop the gateway, move its folders and the agent's to a disk that can be filled, and start it again."""
    shutil.copy(SMALL_DISK, machine.path(PROGRAM))
    sh(machine, f"systemctl stop {GATEWAY_UNIT} && {PROGRAM} {SMALL_DISK_SIZE} && systemctl start {GATEWAY_UNIT}")


def _asked_to_death(machine: Machine) -> bool:
    # Every answer takes some memory.
    machine.gateway_answer()
    return oom_kills(machine) > 0
