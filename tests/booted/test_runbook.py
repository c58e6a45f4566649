"""The runbook's own commands, typed on the instance as architecture-notes.md has them."""

import re

import pytest

from lab.machine.machine import Machine
from lab.world.evidence import Account, account_of, differences
from lab.world.gateway_life import GATEWAY_UNIT, HOLD, hold_gateway, last_run, left_out_paths
from lab.world.waiting import until
from lab.world.world import OWNER_KEY, RESTORE_PROGRAM, STATE, World, back_up, sh, write_note

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

ARCHIVE = "my-archive-bucket"
REGION = "us-east-1"
OWNER_OF_THE_ARCHIVE = (
    b'{"epoch": 1, "instance_id": "i-0aaaa", "since": "2026-01-01T00:00:00+00:00", "released": false}'
)
LINK = "workspace/link to the note"


def change_everything_that_sync_loses(machine: Machine) -> None:
    """Modes, owners, links, empty folders and odd names: what `aws s3 sync` alone would not bring back."""
    sh(
        machine,
        f"cd {STATE}/workspace && chmod 0640 notes.md && touch 'a name with spaces' && chmod 0755 'a name with spaces'"
        " && chown 1000:0 'a name with spaces' && mkdir -p -m 2750 'empty folder'"
        " && ln -sfn notes.md 'link to the note'",
    )


def without(accounts: dict[str, Account], left_out: frozenset[str]) -> dict[str, Account]:
    """What a backup takes: the rest stays where it is in a restore, whatever it is by then."""
    return {
        path: row
        for path, row in accounts.items()
        if not any(path == out or path.startswith(f"{out}/") for out in left_out)
    }


def back_up_frozen(machine: Machine, world: World) -> tuple[str, dict[str, Account], frozenset[str]]:
    """Back up with the gateway standing still; return the name, our account of what is in it, and what is not."""
    sh(machine, f"systemctl freeze {GATEWAY_UNIT}")
    try:
        everything = account_of(machine.path(STATE), frozenset())
        name = str(back_up(machine)["snapshot"])
    finally:
        sh(machine, f"systemctl thaw {GATEWAY_UNIT}")
    left_out = left_out_paths(world.body(f"snapshots/{name}/manifest.json"))
    return name, without(everything, left_out), left_out


def state_before_the_gateway_touches_it(machine: Machine) -> dict[str, Account]:
    """What lies in the state folder while the gateway's start is held back after everything that comes before it."""
    until("the end of all that comes before the gateway", lambda: _waits_for_the_hold(machine), 60)
    return account_of(machine.path(STATE), frozenset())


def _waits_for_the_hold(machine: Machine) -> bool:
    # Right after a boot nobody answers yet; systemctl then prints nothing.
    step = machine.run(["systemctl", "show", "--property=ControlPID", "--value", GATEWAY_UNIT]).stdout.strip()
    try:
        return HOLD.encode() in machine.path(f"/proc/{step or 0}/cmdline").read_bytes()
    except OSError:
        # Not begun, or ended since.
        return False


def go_on(machine: Machine) -> None:
    machine.path(HOLD).unlink()
    machine.wait_for_gateway()


def test_a_snapshot_synced_by_hand_is_that_snapshot_exactly_after_the_restart(machine: Machine, world: World) -> None:
    write_note(machine, "workspace/notes.md", "first")
    change_everything_that_sync_loses(machine)
    name, wanted, left_out = back_up_frozen(machine, world)
    write_note(machine, "workspace/notes.md", "second")
    write_note(machine, "workspace/made-later.md", "not in that snapshot")
    sh(machine, f"rm '{STATE}/{LINK}'; rmdir '{STATE}/workspace/empty folder'; chmod 0600 {STATE}/workspace/a*spaces")
    back_up(machine)
    hold_gateway(machine)
    sh(machine, "systemctl daemon-reload")
    sync = f"sudo aws s3 sync s3://{world.bucket}/snapshots/{name}/ /opt/openclaw/.openclaw/ --region {REGION} --delete"
    sh(machine, sync)
    sh(machine, "sudo systemctl restart --no-block openclaw.service")
    assert differences(wanted, without(state_before_the_gateway_touches_it(machine), left_out)) == []
    go_on(machine)
    assert last_run(machine, "restore")["repaired_nested_restore"] == name
    assert back_up(machine)["result"] == "done"
    assert world.body("latest/.openclaw/workspace/notes.md") == b"first"
    assert "latest/.openclaw/workspace/made-later.md" not in world.keys("latest/")
    sh(machine, f"{RESTORE_PROGRAM} verify")


def test_the_restart_of_the_runbook_needs_no_other_word(machine: Machine, world: World) -> None:
    write_note(machine, "workspace/notes.md", "the state that is wanted")
    name = str(back_up(machine)["snapshot"])
    write_note(machine, "workspace/notes.md", "the state that is not")
    sh(
        machine,
        f"sudo aws s3 sync s3://{world.bucket}/snapshots/{name}/ \\\n"
        f"  /opt/openclaw/.openclaw/ --region {REGION} --delete\n"
        "sudo systemctl restart openclaw.service",
    )
    machine.wait_for_gateway()
    assert (machine.path(STATE) / "workspace/notes.md").read_text() == "the state that is wanted"
    assert databases_open(machine)
    assert back_up(machine)["result"] == "done"
    assert world.body("latest/.openclaw/workspace/notes.md") == b"the state that is wanted"


def test_an_archive_bucket_synced_into_the_active_one_is_in_place_after_a_reboot(
    machine: Machine, world: World
) -> None:
    write_note(machine, "workspace/notes.md", "as in the archive")
    change_everything_that_sync_loses(machine)
    _, wanted, left_out = back_up_frozen(machine, world)
    world.s3.create_bucket(Bucket=ARCHIVE)
    sh(machine, f"aws s3 sync s3://{world.bucket}/ s3://{ARCHIVE}/ --region {REGION}")
    # The archive is of another life: its owner is long gone, and its epochs are behind ours.
    world.s3.put_object(Bucket=ARCHIVE, Key=OWNER_KEY, Body=OWNER_OF_THE_ARCHIVE)
    write_note(machine, "workspace/notes.md", "newer than the archive")
    sh(machine, f"rm '{STATE}/{LINK}'")
    kept_aside = write_and_back_up(machine, "workspace/only-here.md", "to be kept aside")
    hold_gateway(machine)
    sh(machine, f"aws s3 sync s3://{ARCHIVE}/ s3://{world.bucket}/ --region {REGION}")
    assert world.body(OWNER_KEY) == OWNER_OF_THE_ARCHIVE
    machine.reboot()
    assert differences(wanted, without(state_before_the_gateway_touches_it(machine), left_out)) == []
    go_on(machine)
    # What the archive has replaced is not lost: it is a snapshot that a restore by name still takes.
    assert last_quarantined(world) > kept_aside
    assert back_up(machine)["result"] in ("done", "unchanged")
    assert world.body("latest/.openclaw/workspace/notes.md") == b"as in the archive"


def test_the_lifecycle_is_tried_dry_by_its_name_and_by_its_path(machine: Machine, world: World) -> None:
    name = write_and_back_up(machine, "workspace/notes.md", "for the lifecycle")
    before = world.history()
    short = sh(machine, "sudo openclaw-s3-lifecycle.py --dry-run")
    full = sh(
        machine,
        "sudo /usr/local/bin/openclaw-s3-lifecycle.py \\\n"
        f"  --bucket {world.bucket} \\\n  --region {REGION} \\\n  --dry-run",
    )
    for table in (short, full):
        assert re.search(rf"{name} .*keep", table)
    assert world.history() == before
    sh(machine, f"sudo /usr/local/bin/openclaw-s3-lifecycle.py \\\n  --bucket {world.bucket} \\\n  --region {REGION}")
    assert name in world.complete_snapshots()


def test_the_snapshots_are_listed_by_the_aws_cli_and_by_ours(machine: Machine, world: World) -> None:
    name = write_and_back_up(machine, "workspace/notes.md", "for the list")
    listed = sh(machine, f"aws s3 ls s3://{world.bucket}/snapshots/ --recursive --region {REGION}")
    assert f"snapshots/{name}/.openclaw/workspace/notes.md" in listed
    assert f"snapshots/{name}/manifest.json" in listed
    assert name in sh(machine, "sudo openclaw-s3-restore.py list")


def write_and_back_up(machine: Machine, path: str, text: str) -> str:
    """Write one more note, and return the name of the snapshot that has it."""
    write_note(machine, path, f"{text}\n")
    return str(back_up(machine)["snapshot"])


def last_quarantined(world: World) -> str:
    return max(key.split("/")[1] for key in world.keys("snapshots/") if key.endswith("/quarantined"))


def databases_open(machine: Machine) -> bool:
    """Whether the gateway's databases pass their check as it has them open now."""
    found = sh(machine, f"find {STATE} -name '*.sqlite' -not -path '*/tmp/*'").split()
    checks = [f"sqlite3 -readonly {path} 'PRAGMA integrity_check'" for path in found]
    as_gateway = "setpriv --reuid=1000 --regid=1000 --clear-groups"
    return bool(found) and all(sh(machine, f"{as_gateway} {check}") == "ok\n" for check in checks)
