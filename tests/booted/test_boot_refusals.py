"""A boot that must not go through: a release that was tampered with, and a state that cannot be restored now."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.machine.machine import Machine
from lab.world.gateway_life import GATEWAY_UNIT, RESTORE_UNIT, is_active
from lab.world.waiting import until
from lab.world.world import OWNER_KEY, STATE, World, back_up, sh, write_note

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

NOTE = "workspace/wanted-back.md"
# The unit tries again every 30 s, and the gateway needs some ten seconds more.
SECONDS_UNTIL_IT_COMES_UP_BY_ITSELF = 100


def test_a_release_that_was_tampered_with_is_refused_before_anything_of_it_is_unpacked(
    machine: Machine, world: World
) -> None:
    write_note(machine, NOTE, "safe in the bucket")
    back_up(machine)
    backups = world.history()
    world.lose_machine()
    with release_tampered_with(world) as address:
        refusing = world.boot_replacement()
        assert not refusing.wait_for_cloud_init().succeeded
        until("cloud-init's verdict", lambda: is_failed(refusing, "cloud-final.service"), 20)
    sentence = f"openclaw-bootstrap: refused {address}: its SHA-256 is "
    advice = "nothing was unpacked. Upload the release again from the platform stack."
    said = [line for line in sh(refusing, "cat /var/log/cloud-init-output.log").splitlines() if "bootstrap: " in line]
    print("\n".join(said))
    assert (len(said), sentence in said[0], said[0].endswith(advice)) == (1, True, True)
    assert sentence in refusing.journal("cloud-final.service")
    assert sentence in refusing.console_log.read_text(errors="replace")
    assert "Traceback" not in sh(refusing, "cat /var/log/cloud-init-output.log")

    assert sh(refusing, "ls -A /opt/openclaw-agent /opt/openclaw-agent/releases").split() == [
        "/opt/openclaw-agent:",
        "releases",
        "/opt/openclaw-agent/releases:",
    ]
    # What the lab itself has put there are drop-ins for units that do not exist.
    assert sh(refusing, "systemctl list-unit-files --no-legend 'openclaw*' || :") == ""
    assert sorted(path.name for path in refusing.path("/usr/local/bin").glob("openclaw-*")) == []
    assert not refusing.path("/opt/openclaw").exists()
    assert world.history() == backups

    # The advice of the sentence, followed.
    sh(refusing, "openclaw-bootstrap", seconds=120)
    refusing.wait_for_gateway()
    assert (refusing.path(STATE) / NOTE).read_text() == "safe in the bucket"
    # cloud-init's verdict on this boot stands; the tests that follow get a machine without it.
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
        assert_no_gateway(replacement, "was denied; check the role's policy")
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
    until("the end of the try", lambda: is_failed(machine, RESTORE_UNIT), 30)
    assert "Traceback" not in machine.journal(RESTORE_UNIT)
    assert not is_active(machine)
    boot = machine.run(["journalctl", "--boot", "--no-pager", f"--unit={GATEWAY_UNIT}"]).stdout
    assert "Started " not in boot
    assert not machine.path("/run/openclaw/.env").exists()


def is_failed(machine: Machine, unit: str) -> bool:
    return machine.run(["systemctl", "show", "--property=Result", "--value", unit]).stdout.strip() == "exit-code"


def assert_it_comes_up_by_itself(machine: Machine) -> None:
    machine.wait_for_gateway(SECONDS_UNTIL_IT_COMES_UP_BY_ITSELF)
    assert (is_active(machine), is_active(machine, RESTORE_UNIT)) == (True, True)
    assert back_up(machine)["result"] in ("done", "unchanged")


@contextmanager
def release_tampered_with(world: World) -> Iterator[str]:
    """While it lasts, one byte more than was released lies at the release's address, which is given."""
    bucket, key = str(world.cloud.platform["scripts_bucket"]), str(world.cloud.platform["release_key"])
    genuine = world.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    world.s3.put_object(Bucket=bucket, Key=key, Body=genuine + b"\0")
    try:
        yield f"s3://{bucket}/{key}"
    finally:
        world.s3.put_object(Bucket=bucket, Key=key, Body=genuine)


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
