"""A boot that must not go through: a release that was tampered with, and a state that cannot be restored now."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.instance.machine import Machine
from lab.story.life import GATEWAY_UNIT
from tests.booted.deployed_world import (
    OWNER_KEY,
    RESTORE_UNIT,
    STATE,
    World,
    back_up,
    is_active,
    sh,
    until,
    write_note,
)

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

NOTE = "workspace/wanted-back.md"
# The unit tries again every 30 s, and the gateway needs some ten seconds more.
SECONDS_UNTIL_IT_COMES_UP_BY_ITSELF = 75


def test_a_release_that_was_tampered_with_is_refused_before_anything_of_it_is_unpacked(
    machine: Machine, world: World
) -> None:
    write_note(machine, NOTE, "safe in the bucket")
    back_up(machine)
    bucket, key = str(world.cloud.platform["scripts_bucket"]), str(world.cloud.platform["release_key"])
    genuine = world.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    backups = world.history()
    world.lose_machine()
    world.s3.put_object(Bucket=bucket, Key=key, Body=genuine + b"\0")
    refusing = world.boot_replacement()
    result = refusing.wait_for_cloud_init()
    assert not result.succeeded
    assert "failed" in sh(refusing, "systemctl is-failed cloud-final.service || :")
    said = [line for line in refusing.console_log.read_text(errors="replace").splitlines() if "refused" in line]
    print("\n".join(said))
    assert any(
        f"openclaw-bootstrap: refused s3://{bucket}/{key}: its SHA-256 is " in line
        and "nothing was unpacked. Upload the release again from the platform stack." in line
        for line in said
    )
    assert "refused s3://" in sh(refusing, "cat /var/log/cloud-init-output.log")
    assert "Traceback" not in sh(refusing, "cat /var/log/cloud-init-output.log")
    assert sh(refusing, "ls -A /opt/openclaw-agent/releases") == ""
    units = sh(refusing, "systemctl list-unit-files --no-legend 'openclaw*'").split()
    # What the lab itself has put on the disk are drop-ins for units that do not exist.
    assert units == []
    assert sorted(path.name for path in refusing.path("/usr/local/bin").glob("openclaw-*")) == []
    assert not refusing.path("/opt/openclaw").exists()
    assert world.history() == backups

    # The advice of the sentence, followed.
    world.s3.put_object(Bucket=bucket, Key=key, Body=genuine)
    sh(refusing, "openclaw-bootstrap", seconds=120)
    refusing.wait_for_gateway(60)
    assert (refusing.path(STATE) / NOTE).read_text() == "safe in the bucket"
    # cloud-init's verdict on this boot stands; for the tests that follow there is to be a machine without it.
    world.lose_machine()


def test_a_new_instance_whose_restore_is_denied_starts_no_gateway_until_it_is_allowed(
    machine: Machine, world: World
) -> None:
    write_note(machine, NOTE, "behind a closed door")
    back_up(machine)
    world.lose_machine()
    with reading_of_backups_denied(world):
        replacement = world.boot_replacement()
        assert replacement.wait_for_cloud_init().succeeded
        assert_no_gateway(replacement, "AccessDenied")
        before = world.history()
        # Nor by a person's hand.
        assert replacement.run(["systemctl", "start", GATEWAY_UNIT], timeout_seconds=90).exit_code != 0
        assert not is_active(replacement)
        assert list(Path(replacement.path(STATE)).iterdir()) == []
        assert {row for row in world.history() - before if row[0] != OWNER_KEY} == set()
    assert_it_comes_up_by_itself(replacement)
    assert (replacement.path(STATE) / NOTE).read_text() == "behind a closed door"


def test_an_owner_record_that_nobody_can_read_keeps_the_gateway_from_starting(machine: Machine, world: World) -> None:
    write_note(machine, NOTE, "on the disk")
    machine.shutdown()
    mine = world.body(OWNER_KEY)
    world.s3.put_object(Bucket=world.bucket, Key=OWNER_KEY, Body=b"not json at all")
    machine.start()
    assert_no_gateway(machine, "owner.json in the bucket is no owner record")
    world.s3.put_object(Bucket=world.bucket, Key=OWNER_KEY, Body=mine)
    assert_it_comes_up_by_itself(machine)
    assert (machine.path(STATE) / NOTE).read_text() == "on the disk"


def test_a_boot_without_a_way_to_s3_waits_for_it(machine: Machine, world: World) -> None:
    write_note(machine, NOTE, "beyond the cut cable")
    back_up(machine)
    world.lose_machine()
    replacement = world.boot_replacement()
    replacement.partition()
    until("the first try", lambda: "cannot fetch s3://" in replacement.console_log.read_text(errors="replace"), 120)
    assert not replacement.path("/opt/openclaw").exists()
    replacement.heal()
    assert replacement.wait_for_cloud_init().succeeded
    replacement.wait_for_gateway()
    assert (replacement.path(STATE) / NOTE).read_text() == "beyond the cut cable"


def assert_no_gateway(machine: Machine, because: str) -> None:
    """The restore has failed, says why in one sentence, and the gateway has never been started."""
    until("the failure", lambda: because in machine.journal(RESTORE_UNIT), 60)
    until("the end of the try", lambda: "Scheduled restart" in machine.journal(RESTORE_UNIT) or failed(machine), 30)
    assert "Traceback" not in machine.journal(RESTORE_UNIT)
    assert not is_active(machine)
    boot = machine.run(["journalctl", "--boot", "--no-pager", f"--unit={GATEWAY_UNIT}"]).stdout
    assert "Started " not in boot
    assert not machine.path("/run/openclaw/.env").exists()


def failed(machine: Machine) -> bool:
    shown = machine.run(["systemctl", "show", "--property=Result,SubState", RESTORE_UNIT]).stdout
    return "Result=exit-code" in shown or "auto-restart" in shown


def assert_it_comes_up_by_itself(machine: Machine) -> None:
    machine.wait_for_gateway(SECONDS_UNTIL_IT_COMES_UP_BY_ITSELF)
    assert (is_active(machine), is_active(machine, RESTORE_UNIT)) == (True, True)
    assert back_up(machine)["result"] in ("done", "unchanged")


@contextmanager
def reading_of_backups_denied(world: World) -> Iterator[None]:
    """While it lasts, S3 refuses to give out any object below latest/ and snapshots/."""
    resources = [f"arn:aws:s3:::{world.bucket}/{folder}/*" for folder in ("latest", "snapshots")]
    before = world.s3.get_bucket_policy(Bucket=world.bucket)["Policy"]
    denial = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": resources}],
    }
    world.s3.put_bucket_policy(Bucket=world.bucket, Policy=json.dumps(denial))
    try:
        yield
    finally:
        world.s3.put_bucket_policy(Bucket=world.bucket, Policy=before)
