"""One object that S3 does not give back: everything else is restored, the gateway starts, and the gap is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.machine.machine import Machine
from lab.world.gateway_life import BACKUP_UNIT, RESTORE_UNIT, is_active, last_run
from lab.world.world import STATE, World, back_up, last_restore, sh, unit_properties, write_note

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

HAD = "workspace/still-there.md"
FORBIDDEN = "workspace/forbidden.md"
DONE_WITH_GAPS = 4


def test_a_gateway_starts_on_a_state_with_a_gap_and_its_backups_go_on(machine: Machine, world: World) -> None:
    write_note(machine, HAD, "had")
    write_note(machine, FORBIDDEN, "out of reach")
    back_up(machine)
    world.lose_machine()
    with forbidden(world, FORBIDDEN):
        replacement = world.boot_replacement()
        assert replacement.wait_for_cloud_init().succeeded
        replacement.wait_for_gateway()
        assert is_active(replacement, RESTORE_UNIT)
        assert unit_properties(replacement, RESTORE_UNIT, "ExecMainStatus") == {"ExecMainStatus": str(DONE_WITH_GAPS)}
        assert last_restore(replacement)["gaps"] == [FORBIDDEN]
        assert FORBIDDEN in replacement.journal(RESTORE_UNIT)
        assert (replacement.path(STATE) / HAD).read_text() == "had"
        assert not (replacement.path(STATE) / FORBIDDEN).exists()

        # The gap is told again, until a person says that they know; the backups go on.
        write_note(replacement, "workspace/after-the-gap.md", "goes on")
        sh(replacement, f"systemctl start {BACKUP_UNIT} || :")
        assert last_run(replacement, "backup")["gaps"] == [FORBIDDEN]
        assert world.body("latest/.openclaw/workspace/after-the-gap.md") == b"goes on"
        sh(replacement, f"openclaw-s3-backup.py --accept-gap {FORBIDDEN}")
        assert back_up(replacement)["result"] in ("done", "unchanged")


@contextmanager
def forbidden(world: World, path: str) -> Iterator[None]:
    """While it lasts, nobody may read one file's objects, beside what the bucket's policy forbids already."""
    before = world.s3.get_bucket_policy(Bucket=world.bucket)["Policy"]
    policy = json.loads(before)
    objects = f"arn:aws:s3:::{world.bucket}/*/{path}"
    policy["Statement"].append({"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": objects})
    world.s3.put_bucket_policy(Bucket=world.bucket, Policy=json.dumps(policy))
    try:
        yield
    finally:
        world.s3.put_bucket_policy(Bucket=world.bucket, Policy=before)
