"""How an instance ends, politely or not, and what its replacement or its next boot finds."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.machine.machine import Machine
from lab.world.evidence import account_of, differences
from lab.world.gateway_life import (
    BACKUP_UNIT,
    GATEWAY_UNIT,
    HOLD,
    RESTORE_UNIT,
    hold_gateway,
    is_active,
    last_run,
    left_out_paths,
)
from lab.world.waiting import until
from lab.world.world import (
    STATE,
    JournalLine,
    World,
    back_up,
    journal_lines,
    journal_of_a_disk,
    moment,
    sh,
    unit_properties,
    write_note,
)

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

FINAL_UNIT = "openclaw-s3-final.service"
WATCH_UNIT = "openclaw-spot-watch.service"
# What a backup leaves out: only the disk of the instance itself can still have it.
NEVER_BACKED_UP = "cache/never-backed-up"
SECONDS_OF_A_NOTICE = 120
SECONDS_TO_OWN_A_RELEASED_BUCKET = 5


def test_after_a_clean_shutdown_the_replacement_has_everything_at_once(machine: Machine, world: World) -> None:
    write_note(machine, "workspace/last-words.md", "written after the last backup of the timer")
    machine.shutdown()
    assert world.owner()["released"] is True
    assert_ended_in_order(journal_of_a_disk(machine.disk.written))
    left = machine.disk.written / STATE.lstrip("/")
    assert_the_replacement_has_it_all_at_once(world, left)


def test_a_spot_notice_saves_everything_before_its_time_is_up(machine: Machine, world: World) -> None:
    write_note(machine, "workspace/last-words.md", "written just before the notice")
    announced = time.monotonic()
    machine.imds.interrupt(datetime.now(UTC) + timedelta(seconds=SECONDS_OF_A_NOTICE))
    until("the release of the bucket", lambda: world.owner()["released"], SECONDS_OF_A_NOTICE)
    print(f"saved and released {time.monotonic() - announced:.1f} s after the notice was there")
    assert time.monotonic() - announced < SECONDS_OF_A_NOTICE / 2
    assert not is_active(machine)
    # The watch ends last: everything is said by then.
    until("the end of the watch", lambda: not is_active(machine, WATCH_UNIT), 20)
    assert_ended_in_order(journal_lines(machine, "--boot"))
    assert last_run(machine, "watch")["event"] == "interruption"
    # Nothing starts the gateway again in the seconds that are left.
    sh(machine, "systemctl start openclaw-health.service")
    assert machine.run(["systemctl", "start", BACKUP_UNIT]).exit_code == 0
    assert (is_active(machine), world.owner()["released"]) == (False, True)
    assert_the_replacement_has_it_all_at_once(world, Path(machine.path(STATE)))


def test_a_rebalance_recommendation_asks_for_one_more_backup_and_stops_nothing(machine: Machine, world: World) -> None:
    pid = unit_properties(machine, GATEWAY_UNIT, "MainPID")
    back_up(machine)
    write_note(machine, "workspace/at-risk.md", "elevated risk")
    before = world.complete_snapshots()
    machine.imds.recommend_rebalance(datetime.now(UTC))
    until("the backup", lambda: len(world.complete_snapshots()) > len(before), 30)
    until("its end", lambda: not is_active(machine, BACKUP_UNIT), 30)
    assert world.body("latest/.openclaw/workspace/at-risk.md") == b"elevated risk"
    # The recommendation stays there, and the watch goes on asking every five seconds; it acts once.
    time.sleep(6)
    assert len(world.complete_snapshots()) == len(before) + 1
    machine.imds.withdraw_announcements()
    assert (is_active(machine), is_active(machine, WATCH_UNIT)) == (True, True)
    assert unit_properties(machine, GATEWAY_UNIT, "MainPID") == pid


@pytest.mark.parametrize("polite", [True, False], ids=["a reboot", "a power cut"])
def test_the_same_instance_keeps_its_disk(machine: Machine, world: World, polite: bool) -> None:
    back_up(machine)
    write_note(machine, NEVER_BACKED_UP, "only on this disk")
    write_note(machine, "workspace/newer-than-s3.md", "only on this disk")
    inode = machine.path(STATE).stat().st_ino
    epoch = world.owner()["epoch"]
    if not polite:
        machine.power_cut()
    machine.reboot()
    machine.wait_for_gateway()
    assert (machine.path(STATE) / NEVER_BACKED_UP).read_text() == "only on this disk"
    assert (machine.path(STATE) / "workspace/newer-than-s3.md").read_text() == "only on this disk"
    assert machine.path(STATE).stat().st_ino == inode
    lines = journal_lines(machine, "--boot", f"--unit={RESTORE_UNIT}", f"--unit={GATEWAY_UNIT}")
    assert moment(lines, RESTORE_UNIT, "Boot: kept the local state (newer than S3).")
    assert moment(lines, RESTORE_UNIT, "Finished ") < moment(lines, GATEWAY_UNIT, "Started ")
    owner = world.owner()
    assert (owner["epoch"], owner["instance_id"], owner["released"]) == (epoch + 1, machine.instance_id, False)
    assert back_up(machine)["result"] in ("done", "unchanged")
    assert world.body("latest/.openclaw/workspace/newer-than-s3.md") == b"only on this disk"


def assert_ended_in_order(lines: list[JournalLine]) -> None:
    """Gateway stopped, then the final backup, then the bucket released."""
    at_the_end = [line for line in lines if line.at >= last_moment(lines, GATEWAY_UNIT, "Stopping ")]
    stopped = moment(at_the_end, GATEWAY_UNIT, "Stopped ")
    saved = [line.at for line in at_the_end if line.unit == FINAL_UNIT and "Backed up as snapshot" in line.text]
    assert saved, [line.text for line in at_the_end if line.unit == FINAL_UNIT]
    assert stopped < saved[0] < moment(at_the_end, FINAL_UNIT, "Released the lease.")


def last_moment(lines: list[JournalLine], unit: str, text: str) -> int:
    return max(line.at for line in lines if line.unit == unit and text in line.text)


def assert_the_replacement_has_it_all_at_once(world: World, left: Path) -> None:
    """Compare what lies on the ended machine's disk with what its replacement starts its gateway on."""
    before = account_of(left, frozenset())
    assert before["workspace/last-words.md"].digest
    released = world.owner()
    world.lose_machine()
    replacement = world.boot_replacement()
    hold_gateway(replacement)
    until("the restore", lambda: is_active(replacement, RESTORE_UNIT), 120)
    lines = journal_lines(replacement, f"--unit={RESTORE_UNIT}")
    assert moment(lines, RESTORE_UNIT, f"{released['instance_id']} released the bucket")
    assert last_run(replacement, "restore")["seconds"] < SECONDS_TO_OWN_A_RELEASED_BUCKET
    left_out = left_out_paths(world.body("latest/manifest.json"))
    wanted = {
        path: row
        for path, row in before.items()
        if not any(path == out or path.startswith(f"{out}/") for out in left_out)
    }
    assert differences(wanted, account_of(replacement.path(STATE), frozenset())) == []
    replacement.path(HOLD).unlink()
    replacement.wait_for_gateway()
    owner = world.owner()
    assert (owner["instance_id"], owner["released"]) == (replacement.instance_id, False)
    assert owner["epoch"] == released["epoch"] + 1
