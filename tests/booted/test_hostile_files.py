"""What a hostile gateway leaves or prints costs no final backup its time, and the machine neither disk nor log bill."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.machine.machine import Machine
from lab.world.gateway_life import BACKUP_UNIT, GATEWAY_UNIT, is_active, last_run
from lab.world.waiting import until
from lab.world.world import STATE, World, back_up, sh, unit_properties, write_note
from tests.support.hostile_databases import indexed_by

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

GATEWAY_UID = 1000
EVIL = "workspace/evil.sqlite"
ENDLESS = indexed_by("instr(zeroblob(x), zeroblob(x/2)||x'01')", 4_000_000)
SECONDS_OF_A_NOTICE = 120
PRINTED_MIB = 500
MOST_LOG_MIB = 12
LOG_FOLDER = "/var/log/openclaw-gateway"


def plant(machine: Machine, path: str) -> Path:
    """The place of something that the gateway makes in its state folder."""
    place = machine.path(STATE) / path
    place.parent.mkdir(parents=True, exist_ok=True)
    os.chown(place.parent, GATEWAY_UID, GATEWAY_UID)
    return place


def plant_endless(machine: Machine, path: str, scratch: Path) -> None:
    """SQLite would resolve the way into the machine, so the database is made here."""
    ENDLESS(scratch / "evil")
    place = plant(machine, path)
    place.write_bytes((scratch / "evil").read_bytes())
    os.chown(place, GATEWAY_UID, GATEWAY_UID)
    (scratch / "evil").unlink()


def children_of_the_gateways_user(machine: Machine) -> str:
    return sh(machine, f"ps -o pid= --user {GATEWAY_UID} --format args= | grep -c openclaw-s3 || :").strip()


def test_an_endless_database_is_a_gap_of_each_backup_and_of_nothing_else(
    machine: Machine, world: World, tmp_path: Path
) -> None:
    plant_endless(machine, EVIL, tmp_path)
    os.mkfifo(plant(machine, "workspace/fifo.sqlite-journal"))
    with plant(machine, "workspace/giant").open("wb") as out:
        out.truncate(15 * 10**12)
    write_note(machine, "workspace/honest.md", "the work of this hour")
    began = time.monotonic()
    assert machine.run(["systemctl", "start", BACKUP_UNIT], timeout_seconds=120).exit_code != 0
    print(f"a backup with an endless database took {time.monotonic() - began:.1f} s")
    line = last_run(machine, "backup")
    assert (line["result"], sorted(line["gaps"])) == ("gaps", [EVIL, "workspace/giant"])
    assert unit_properties(machine, BACKUP_UNIT, "ExecMainStatus") == {"ExecMainStatus": "4"}
    assert world.body("latest/.openclaw/workspace/honest.md") == b"the work of this hour"
    assert world.body(f"latest/.openclaw/{EVIL}")
    # Its child has ended with it, though the unit may not kill another user's processes.
    assert children_of_the_gateways_user(machine) == "0"
    machine.wait_for_gateway(timeout_seconds=10)


def test_a_spot_notice_with_an_endless_database_saves_the_rest_and_releases_the_lease(
    machine: Machine, world: World, tmp_path: Path
) -> None:
    for number in range(5):
        plant_endless(machine, f"workspace/evil-{number}.sqlite", tmp_path)
    write_note(machine, "workspace/last-words.md", "written just before the notice")
    announced = time.monotonic()
    machine.imds.interrupt(datetime.now(UTC) + timedelta(seconds=SECONDS_OF_A_NOTICE))
    until("the release of the lease", lambda: world.owner()["released"], SECONDS_OF_A_NOTICE)
    print(f"saved and released {time.monotonic() - announced:.1f} s after the notice was there")
    assert world.body("latest/.openclaw/workspace/last-words.md") == b"written just before the notice"
    until("the line of the log", lambda: last_run(machine, "backup").get("gap_count"), 20)
    assert last_run(machine, "backup")["result"] == "gaps"
    world.lose_machine()
    replacement = world.boot_replacement()
    assert replacement.wait_for_cloud_init().succeeded
    replacement.wait_for_gateway()
    assert (replacement.path(STATE) / "workspace/last-words.md").read_text() == "written just before the notice"
    sh(replacement, f"rm -f {STATE}/workspace/evil*.sqlite {STATE}/workspace/giant {STATE}/workspace/fifo*")
    back_up(replacement)


def test_a_gateway_that_prints_without_end_fills_no_disk_and_goes_on(machine: Machine) -> None:
    pid = unit_properties(machine, GATEWAY_UNIT, "MainPID")
    number = pid["MainPID"]
    began = time.monotonic()
    # Into the gateway's own output.
    sh(
        machine,
        f"yes 'a line of a gateway that has lost its mind' | head -c {PRINTED_MIB}M > /proc/{number}/fd/1",
        seconds=300,
    )
    print(f"{PRINTED_MIB} MiB were printed in {time.monotonic() - began:.1f} s")
    used = int(sh(machine, f"du -sm {LOG_FOLDER} | cut -f1"))
    assert used <= MOST_LOG_MIB
    assert "gateway_log_mib_per_hour allows" in sh(machine, f"tail -n 3 {LOG_FOLDER}/gateway.log")
    assert is_active(machine)
    assert unit_properties(machine, GATEWAY_UNIT, "MainPID") == pid
    machine.wait_for_gateway(timeout_seconds=10)
    # Its relay may be started again under it.
    sh(machine, "systemctl kill --signal=KILL openclaw-gateway-log.service")
    sh(machine, f"echo 'after the relay' > /proc/{number}/fd/1")
    until("the line", lambda: "after the relay" in sh(machine, f"tail -n 5 {LOG_FOLDER}/gateway.log"), 20)
    machine.wait_for_gateway(timeout_seconds=10)
