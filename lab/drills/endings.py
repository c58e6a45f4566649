"""Drills in which an instance ends, or is said to: with a notice, without one, by advice alone, by a reboot."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from lab.drills.scenario import Scenario
from lab.machine.machine import Machine
from lab.report.record import Severity, Track
from lab.world.gateway_life import BACKUP_UNIT, GATEWAY_UNIT, RESTORE_UNIT, is_active
from lab.world.waiting import until
from lab.world.world import (
    BACKUP_PROGRAM,
    STATE,
    JournalLine,
    journal_of_a_disk,
    moment,
    sh,
    unit_properties,
    write_note,
)

FINAL_UNIT = "openclaw-s3-final.service"
WATCH_UNIT = "openclaw-spot-watch.service"
SECONDS_OF_A_NOTICE = 120
HELD_SECONDS = 300
SECONDS_ALLOWED = 100
MANY_FILES = 5000
MANY = f"{STATE}/workspace/many"
MICROSECONDS = 1_000_000


def spot_notice(scenario: Scenario) -> None:
    """AWS takes the instance back with a notice of two minutes, while it holds 5,000 files."""
    machine = scenario.ready_machine()
    sh(
        machine,
        f"install -d -o 1000 -g 1000 {MANY} && cd {MANY} && "
        f"for n in $(seq {MANY_FILES}); do echo $n >$n.txt; done && chown -R 1000:1000 {MANY}",
    )
    scenario.back_up(machine)
    announced = time.monotonic()
    scenario.disaster("spot notice: terminate in two minutes")
    machine.imds.interrupt(datetime.now(UTC))
    until("the release of the bucket", lambda: scenario.world.owner()["released"], SECONDS_OF_A_NOTICE, every=0.2)
    seconds = time.monotonic() - announced
    scenario.note(Track.INSTANCE, f"saved and released {seconds:.1f} s after the notice", Severity.GOOD)
    scenario.check(
        f"with {MANY_FILES} files, everything is saved and released within {SECONDS_ALLOWED} s of the notice",
        seconds < SECONDS_ALLOWED,
        f"{seconds:.1f} s",
    )
    power_off(scenario, machine)
    check_stop_order(scenario, journal_of_a_disk(machine.disk.written))
    scenario.lose(machine)
    replacement = scenario.boot_replacement()
    scenario.wait_until_ready(replacement)
    lost = scenario.measure_loss(replacement)
    scenario.check("not one line of work is lost", lost == 0, f"{lost} s")
    files = sh(replacement, f"ls {MANY} | wc -l").strip()
    scenario.check(f"all {MANY_FILES} files are back", files == str(MANY_FILES), files)
    scenario.check_nothing_is_missing(replacement)
    scenario.record.what_happened = (
        f"saved and released {seconds:.0f} s after the notice; the replacement has everything"
    )
    sh(replacement, f"rm -r {MANY} && {BACKUP_PROGRAM} --accept-shrink", seconds=300)


def no_notice(scenario: Scenario) -> None:
    """The instance vanishes between one moment and the next."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    saved = time.monotonic()
    time.sleep(8)
    scenario.disaster("power cut: no shutdown, no final backup, no disk")
    unsaved = time.monotonic() - saved
    scenario.lose(machine)
    replacement = scenario.boot_replacement()
    scenario.wait_until_ready(replacement)
    lost = scenario.measure_loss(replacement)
    # The work that the backup itself took is not in it.
    scenario.check(
        "what is lost is younger than the last backup, and no more",
        0 < lost <= unsaved + last_backup_seconds(scenario) + 1,
        f"{lost} s lost, {unsaved:.1f} s since the backup",
    )
    scenario.check_nothing_is_missing(replacement)
    scenario.record.what_happened = (
        f"{lost:.0f} s of work were younger than the last backup ({unsaved:.0f} s old), and lost"
    )


def rebalance(scenario: Scenario) -> None:
    """AWS says that the instance is at elevated risk; most who are told so are never taken back."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    pid = unit_properties(machine, GATEWAY_UNIT, "MainPID")
    write_note(machine, "workspace/at-risk.md", f"elevated risk at {datetime.now(UTC).isoformat()}")
    before = scenario.world.complete_snapshots()
    scenario.disaster("rebalance recommendation")
    machine.imds.recommend_rebalance(datetime.now(UTC))
    until("the backup", lambda: len(scenario.world.complete_snapshots()) > len(before), 60)
    until("its end", lambda: not is_active(machine, BACKUP_UNIT), 60)
    machine.imds.withdraw_announcements()
    scenario.check("one more backup is made at once", len(scenario.world.complete_snapshots()) == len(before) + 1)
    scenario.check("the watch goes on", is_active(machine, WATCH_UNIT))
    scenario.check("the gateway was never stopped", unit_properties(machine, GATEWAY_UNIT, "MainPID") == pid)
    scenario.wait_until_ready(machine, 10)
    scenario.check_nothing_is_missing(machine)
    scenario.record.lost_seconds = 0.0
    scenario.record.what_happened = "a backup at once; the gateway ran on"


def reboot(scenario: Scenario) -> None:
    """The same instance comes back on its own disk, which is newer than S3: first a reset, then a clean reboot."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    time.sleep(3)
    scenario.disaster("reset: the machine starts again on its disk")
    machine.power_cut()
    scenario.note_last_work(machine.disk.written)
    scenario.forget(machine)
    machine.start()
    scenario.wait_until_ready(machine)
    lost = scenario.measure_loss(machine)
    scenario.check("the disk was kept: not even what no backup had is lost", lost == 0, f"{lost} s")
    said = machine.journal(RESTORE_UNIT)
    scenario.check("the boot says why", "kept the local state (newer than S3)" in said, said[-500:])
    power_off(scenario, machine)
    scenario.note_last_work(machine.disk.written)
    scenario.forget(machine)
    machine.start()
    scenario.wait_until_ready(machine)
    scenario.check("a clean reboot loses nothing either", scenario.measure_loss(machine) == 0)
    restored = [
        span for span in scenario.record.spans if span.track is Track.RESTORE and span.text.startswith("restored")
    ]
    scenario.check("nothing was restored over it", not restored, str(restored))
    scenario.check_nothing_is_missing(machine)
    scenario.record.what_happened = "the disk was newer than S3, and was kept both times"


def end_by_the_group(scenario: Scenario, machine: Machine) -> None:
    """End an instance as its Auto Scaling group does: announced, held by the lifecycle hook, then powered off."""
    began = time.monotonic()
    machine.imds.set_target_lifecycle_state("Terminated")
    until(
        "the end of the lifecycle action",
        lambda: scenario.world.told_by(machine) == "CONTINUE",
        HELD_SECONDS,
        every=0.2,
    )
    seconds = time.monotonic() - began
    scenario.note(
        Track.INSTANCE, f"held by the hook for {seconds:.1f} s, until its final backup was made", Severity.GOOD
    )
    scenario.check("the instance has released the bucket before it ends", scenario.world.owner()["released"] is True)
    power_off(scenario, machine)
    lines = journal_of_a_disk(machine.disk.written)
    check_stop_order(scenario, lines)
    at_the_end = since_the_last_stop(lines)
    backed_up = moment(at_the_end, FINAL_UNIT, "Released the lease.")
    told, shut_down = (
        moment(at_the_end, WATCH_UNIT, "complete lifecycle action"),
        moment(at_the_end, "network-online.target", "Stopped target"),
    )
    scenario.check(
        "the hook was completed after the final backup, and the shutdown came after that",
        backed_up < told < shut_down,
        f"{backed_up} < {told} < {shut_down}",
    )


def power_off(scenario: Scenario, machine: Machine) -> None:
    """Power off cleanly, as EC2 does when it terminates or reboots an instance."""
    began = time.monotonic()
    machine.shutdown()
    scenario.note(Track.INSTANCE, f"{machine.instance_id} has shut down in {time.monotonic() - began:.1f} s")


def since_the_last_stop(lines: Sequence[JournalLine]) -> list[JournalLine]:
    """The journal from the gateway's last stop on: a disk that was rebooted before has earlier ones too."""
    last_stop = max(line.at for line in lines if line.unit == GATEWAY_UNIT and line.text.startswith("Stopping "))
    return [line for line in lines if line.at >= last_stop]


def check_stop_order(scenario: Scenario, lines: list[JournalLine]) -> None:
    """From the journal of the shutdown: gateway stopped, final backup, bucket released, network down."""
    at_the_end = since_the_last_stop(lines)
    last_stop = min(line.at for line in at_the_end)
    steps = {
        "gateway stopped": moment(at_the_end, GATEWAY_UNIT, "Stopped "),
        "final backup complete": moment(at_the_end, FINAL_UNIT, "Backed up as snapshot"),
        "lease released": moment(at_the_end, FINAL_UNIT, "Released the lease."),
        "network down": moment(at_the_end, "network-online.target", "Stopped target"),
    }
    told = ", ".join(f"{name} at {(at - last_stop) / MICROSECONDS:.1f} s" for name, at in steps.items())
    scenario.terminal.step(f"the journal: {told}")
    scenario.check(
        "the order of the stop, from the journal: gateway stopped, final backup, released, network down",
        list(steps.values()) == sorted(steps.values()),
        told,
    )


def last_backup_seconds(scenario: Scenario) -> float:
    """How long the last backup that the timeline knows took."""
    last = max((span for span in scenario.record.spans if span.track is Track.BACKUP), key=lambda span: span.ended)
    return last.ended - last.began
