"""The instance as both stacks deploy it: its units, its user-data, its secret, and what its backup waits for."""

import base64
import json
import re
from datetime import UTC, datetime

import pytest

from lab.machine.machine import Machine
from lab.world.deployment import REPOSITORY
from lab.world.gateway_life import BACKUP_UNIT, GATEWAY_UNIT, RESTORE_UNIT, is_active
from lab.world.waiting import until
from lab.world.world import World, back_up, journal_lines, moment, sh, unit_properties, write_note

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

UNITS = sorted(path.name for path in (REPOSITORY / "cloud_init/units").glob("openclaw*.*") if path.is_file())
MOST_USER_DATA_BYTES = 4096


def test_the_system_is_running_with_every_unit_of_the_release(machine: Machine) -> None:
    failed = sh(machine, "systemctl list-units --failed --plain --no-legend")
    assert (machine.wait_until_booted(), failed) == ("running", "")
    installed = {path.name for path in machine.path("/etc/systemd/system").glob("openclaw*.*") if path.is_file()}
    assert installed == set(UNITS)


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_to_say_about_a_unit(machine: Machine, unit: str) -> None:
    checked = machine.run(["systemd-analyze", "verify", f"/etc/systemd/system/{unit}"])
    assert (checked.exit_code, checked.stdout, checked.stderr) == (0, "", "")


def test_the_backup_is_due_at_the_next_20_minutes_of_the_hour_in_utc(machine: Machine) -> None:
    due = sh(machine, 'date --utc +%s --date "$(systemctl show -P NextElapseUSecRealtime openclaw-s3-backup.timer)"')
    at = datetime.fromtimestamp(int(due), UTC)
    assert (at.minute in (0, 20, 40), at.second) == (True, 0)
    assert 0 <= (at - datetime.now(UTC)).total_seconds() <= 20 * 60
    assert "openclaw-s3-backup.timer" in sh(machine, "systemctl list-timers")


def test_the_user_data_is_small_valid_and_holds_no_secret(machine: Machine, world: World) -> None:
    text = machine.path("/var/lib/cloud/seed/nocloud/user-data").read_text()
    attribute = world.aws.client("ec2").describe_instance_attribute(
        InstanceId=machine.instance_id, Attribute="userData"
    )
    assert base64.b64decode(attribute["UserData"]["Value"]).decode() == text
    print(f"the user-data has {len(text.encode())} bytes")
    assert len(text.encode()) < MOST_USER_DATA_BYTES
    checked = machine.run(["cloud-init", "schema", "--config-file", "/var/lib/cloud/seed/nocloud/user-data"])
    assert checked.exit_code == 0, checked.stdout + checked.stderr
    assert "Valid cloud-config" in checked.stdout + checked.stderr
    settings = base64.b64decode(max(re.findall(r"content: ([A-Za-z0-9+/=]{40,})", text), key=len)).decode()
    assert json.loads(settings)["backup_bucket"] == world.bucket
    assert world.cloud.gateway_token not in text + settings


def test_the_restore_had_finished_before_the_gateway_was_started(machine: Machine) -> None:
    lines = journal_lines(machine, "--boot", f"--unit={RESTORE_UNIT}", f"--unit={GATEWAY_UNIT}")
    restored = moment(lines, RESTORE_UNIT, "Finished ")
    assert restored < moment(lines, GATEWAY_UNIT, "Starting ") < moment(lines, GATEWAY_UNIT, "Started ")


def test_the_secret_lies_on_tmpfs_for_root_alone(machine: Machine, world: World) -> None:
    assert sh(machine, "stat --format='%a %U:%G %F' /run/openclaw/.env") == "600 root:root regular file\n"
    assert sh(machine, "stat --format='%a %U:%G' /run/openclaw") == "750 root:root\n"
    assert sh(machine, "stat --file-system --format=%T /run/openclaw/.env") == "tmpfs\n"
    assert machine.path("/run/openclaw/.env").read_text() == f"OPENCLAW_GATEWAY_TOKEN={world.cloud.gateway_token}\n"
    assert machine.run(["runuser", "-u", "ec2-user", "--", "cat", "/run/openclaw/.env"]).exit_code == 1


def test_no_backup_runs_while_the_gateway_is_stopped(machine: Machine, world: World) -> None:
    sh(machine, f"systemctl stop {GATEWAY_UNIT}")
    write_note(machine, "workspace/written-while-stopped.md", "not yet backed up")
    before = world.history()
    # The timer starts the unit as this does; a restart of the timer itself starts nothing either.
    sh(machine, f"systemctl start {BACKUP_UNIT}; systemctl restart openclaw-s3-backup.timer")
    # It may be the very second in which the timer is due.
    until("its end", lambda: unit_properties(machine, BACKUP_UNIT, "ActiveState") == {"ActiveState": "inactive"}, 20)
    assert unit_properties(machine, BACKUP_UNIT, "Result") == {"Result": "exec-condition"}
    assert world.history() == before
    assert not is_active(machine)
    sh(machine, f"systemctl start {GATEWAY_UNIT}")
    machine.wait_for_gateway()
    assert back_up(machine)["result"] == "done"
    assert world.body("latest/.openclaw/workspace/written-while-stopped.md") == b"not yet backed up"
