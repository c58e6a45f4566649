"""Drills in which an instance ends, or is said to: with a notice, without one, by advice alone, by a reboot."""

import time
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
SECONDS_ALLOWED = 100
MANY_FILES = 5000
MANY = f"{STATE}/workspace/many"
MICROSECONDS = 1_000_000


def spot_notice(stage: Scenario) -> None:
    """AWS takes the instance back with a notice of two minutes, while it holds 5,000 files."""
    machine = stage.ready_machine()
    sh(
        machine,
        f"install -d -o 1000 -g 1000 {MANY} && cd {MANY} && "
        f"for n in $(seq {MANY_FILES}); do echo $n >$n.txt; done && chown -R 1000:1000 {MANY}",
    )
    stage.back_up(machine)
    announced = time.monotonic()
    stage.disaster("spot notice: terminate in two minutes")
    machine.imds.interrupt(datetime.now(UTC))
    until("the release of the bucket", lambda: stage.world.owner()["released"], SECONDS_OF_A_NOTICE, every=0.2)
    seconds = time.monotonic() - announced
    stage.tell(Track.INSTANCE, f"saved and released {seconds:.1f} s after the notice", Severity.GOOD)
    stage.prove(
        f"with {MANY_FILES} files, everything is saved and released within {SECONDS_ALLOWED} s of the notice",
        seconds < SECONDS_ALLOWED,
        f"{seconds:.1f} s",
    )
    power_off(stage, machine)
    prove_stop_order(stage, journal_of_a_disk(machine.disk.written))
    stage.lose(machine)
    replacement = stage.boot_replacement()
    stage.wait_until_ready(replacement)
    lost = stage.measure_loss(replacement)
    stage.prove("not one line of work is lost", lost == 0, f"{lost} s")
    files = sh(replacement, f"ls {MANY} | wc -l").strip()
    stage.prove(f"all {MANY_FILES} files are back", files == str(MANY_FILES), files)
    stage.prove_nothing_is_missing(replacement)
    stage.record.what_happened = f"saved and released {seconds:.0f} s after the notice; the replacement has everything"
    sh(replacement, f"rm -r {MANY} && {BACKUP_PROGRAM} --accept-shrink", seconds=300)


def no_notice(stage: Scenario) -> None:
    """The instance vanishes between one moment and the next."""
    machine = stage.ready_machine()
    stage.back_up(machine)
    saved = time.monotonic()
    time.sleep(8)
    stage.disaster("power cut: no shutdown, no final backup, no disk")
    unsaved = time.monotonic() - saved
    stage.lose(machine)
    replacement = stage.boot_replacement()
    stage.wait_until_ready(replacement)
    lost = stage.measure_loss(replacement)
    # The work that the backup itself took is not in it.
    stage.prove(
        "what is lost is younger than the last backup, and no more",
        0 < lost <= unsaved + last_backup_seconds(stage) + 1,
        f"{lost} s lost, {unsaved:.1f} s since the backup",
    )
    stage.prove_nothing_is_missing(replacement)
    stage.record.what_happened = (
        f"{lost:.0f} s of work were younger than the last backup ({unsaved:.0f} s old), and lost"
    )


def rebalance(stage: Scenario) -> None:
    """AWS says that the instance is at elevated risk; most who are told so are never taken back."""
    machine = stage.ready_machine()
    stage.back_up(machine)
    pid = unit_properties(machine, GATEWAY_UNIT, "MainPID")
    write_note(machine, "workspace/at-risk.md", f"elevated risk at {datetime.now(UTC).isoformat()}")
    before = stage.world.complete_snapshots()
    stage.disaster("rebalance recommendation")
    machine.imds.recommend_rebalance(datetime.now(UTC))
    until("the backup", lambda: len(stage.world.complete_snapshots()) > len(before), 60)
    until("its end", lambda: not is_active(machine, BACKUP_UNIT), 60)
    machine.imds.withdraw_announcements()
    stage.prove("one more backup is made at once", len(stage.world.complete_snapshots()) == len(before) + 1)
    stage.prove("the watch goes on", is_active(machine, WATCH_UNIT))
    stage.prove("the gateway was never stopped", unit_properties(machine, GATEWAY_UNIT, "MainPID") == pid)
    stage.wait_until_ready(machine, 10)
    stage.prove_nothing_is_missing(machine)
    stage.record.lost_seconds = 0.0
    stage.record.what_happened = "a backup at once; the gateway ran on"


def reboot(stage: Scenario) -> None:
    """The same instance comes back on its own disk, which is newer than S3: first a reset, then a clean reboot."""
    machine = stage.ready_machine()
    stage.back_up(machine)
    time.sleep(3)
    stage.disaster("reset: the machine starts again on its disk")
    machine.power_cut()
    stage.note_last_work(machine.disk.written)
    stage.forget(machine)
    machine.start()
    stage.wait_until_ready(machine)
    lost = stage.measure_loss(machine)
    stage.prove("the disk was kept: not even what no backup had is lost", lost == 0, f"{lost} s")
    said = machine.journal(RESTORE_UNIT)
    stage.prove("the boot says why", "kept the local state (newer than S3)" in said, said[-500:])
    power_off(stage, machine)
    stage.note_last_work(machine.disk.written)
    stage.forget(machine)
    machine.start()
    stage.wait_until_ready(machine)
    stage.prove("a clean reboot loses nothing either", stage.measure_loss(machine) == 0)
    restored = [span for span in stage.record.spans if span.lane is Track.RESTORE and span.text.startswith("restored")]
    stage.prove("nothing was restored over it", not restored, str(restored))
    stage.prove_nothing_is_missing(machine)
    stage.record.what_happened = "the disk was newer than S3, and was kept both times"


def power_off(stage: Scenario, machine: Machine) -> None:
    """Power off cleanly, as EC2 does when it terminates or reboots an instance."""
    began = time.monotonic()
    machine.shutdown()
    stage.tell(Track.INSTANCE, f"{machine.instance_id} has shut down in {time.monotonic() - began:.1f} s")


def prove_stop_order(stage: Scenario, lines: list[JournalLine]) -> None:
    """From the journal of the shutdown: gateway stopped, final backup, bucket released, network down."""
    last_stop = max(line.at for line in lines if line.unit == GATEWAY_UNIT and line.text.startswith("Stopping "))
    at_the_end = [line for line in lines if line.at >= last_stop]
    steps = {
        "gateway stopped": moment(at_the_end, GATEWAY_UNIT, "Stopped "),
        "final backup complete": moment(at_the_end, FINAL_UNIT, "Backed up as snapshot"),
        "ownership released": moment(at_the_end, FINAL_UNIT, "Released the lease."),
        "network down": moment(at_the_end, "network-online.target", "Stopped target"),
    }
    told = ", ".join(f"{name} at {(at - last_stop) / MICROSECONDS:.1f} s" for name, at in steps.items())
    stage.say.step(f"the journal: {told}")
    stage.prove(
        "the order of the stop, from the journal: gateway stopped, final backup, released, network down",
        list(steps.values()) == sorted(steps.values()),
        told,
    )


def last_backup_seconds(stage: Scenario) -> float:
    """How long the last backup that the timeline knows took."""
    last = max((span for span in stage.record.spans if span.lane is Track.BACKUP), key=lambda span: span.ended)
    return last.ended - last.began
