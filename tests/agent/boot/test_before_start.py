"""The last look at the state folder before the gateway starts: nothing left, a sync one folder too deep, an outage."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_agent.errors import PreconditionFailed, StoreError
from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from openclaw_agent.store.bucket import Bucket
from tests.support.privileges import root_only
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents, picture


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    machine.write("openclaw.json", "{}")
    machine.write("workspace/notes.md", "notes")
    assert machine.backup().code == 0
    return machine


def only_empty_folders(machine: SimulatedInstance) -> None:
    (machine.state / ".config/openclaw").mkdir(parents=True)


def only_what_no_backup_takes(machine: SimulatedInstance) -> None:
    machine.write("cache/page", "rebuilt by the gateway")


@pytest.mark.parametrize("leave", [only_empty_folders, only_what_no_backup_takes])
def test_a_folder_that_holds_no_file_of_a_state_is_nothing_to_start_on(writer: SimulatedInstance, leave: Any) -> None:
    before = contents(writer.state)
    writer.lose_state()
    leave(writer)
    run = writer.restore("--before-start")
    assert run.code == 3
    assert "is empty or missing: no file is in it, the last backup held 2 files" in run.err
    stays = contents(writer.state)
    assert writer.reboot().line["result"] == "restored"
    assert contents(writer.state) == before | stays
    assert writer.restore("--before-start").code == 0


def put_nested(machine: SimulatedInstance, **files: str) -> None:
    """What a sync with --delete of an upload without a manifest leaves in the state folder."""
    machine.lose_state()
    for name, text in files.items():
        machine.write(f".openclaw/{name}.json", text)


def test_a_nested_restore_without_a_manifest_leaves_a_machine_that_backs_up_and_reboots(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    del writer
    second = world.booted("second")
    put_nested(second, notes="by hand")
    run = second.restore("--before-start")
    assert run.code == 0, run.err
    assert contents(second.state) == {"notes.json": "by hand"}
    run = second.backup()
    assert run.code == 0, run.err
    assert second.reboot().line["result"] == "kept"
    assert contents(world.booted("third").state) == {"notes.json": "by hand"}


def test_a_nested_restore_is_mended_though_the_gateway_wrote_before_its_stop(writer: SimulatedInstance) -> None:
    put_nested(writer, notes="by hand", openclaw="{}")
    writer.write("logs/gateway.jsonl", "its last words")
    run = writer.restore("--before-start")
    assert run.code == 0, run.err
    assert "one folder too deep" in run.err
    assert contents(writer.state) == {"notes.json": "by hand", "openclaw.json": "{}"}


def test_a_folder_of_that_name_that_the_state_has_of_its_own_is_left_alone_after_a_clean_up(
    writer: SimulatedInstance,
) -> None:
    writer.write(".openclaw/own.json", "a tool's own")
    assert writer.backup().code == 0
    shutil.rmtree(writer.state / "workspace")
    writer.write("logs/gateway.jsonl", "a line")
    (writer.state / "openclaw.json").unlink()
    before = contents(writer.state)
    assert writer.restore("--before-start").code == 0
    assert contents(writer.state) == before


def test_a_synced_manifest_that_is_torn_says_to_sync_again(world: FreshBucket, writer: SimulatedInstance) -> None:
    text = world.get("latest/manifest.json")
    put_nested(writer, notes="by hand")
    (writer.state / "manifest.json").write_bytes(text[:-20])
    run = writer.restore("--before-start")
    assert run.code == 1
    assert f"The manifest {writer.state / 'manifest.json'} that was synced with the snapshot cannot be used" in run.err
    assert "sync it again" in run.err
    assert contents(writer.state)[".openclaw/notes.json"] == "by hand"


def test_an_empty_folder_of_that_name_is_no_restore(writer: SimulatedInstance) -> None:
    (writer.state / ".openclaw").mkdir()
    before = contents(writer.state)
    assert writer.restore("--before-start").code == 0
    assert contents(writer.state) == before


def test_an_outage_of_writes_alone_does_not_keep_a_restarted_gateway_down(
    world: FreshBucket, writer: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert writer.backup("--final").code == 0

    def fails(*_arguments: object, **_options: object) -> str:
        raise StoreError("S3 kept answering with errors.")

    with monkeypatch.context() as failing:
        failing.setattr(Bucket, "put", fails)
        run = writer.restore("--before-start")
    assert run.code == 0, run.err
    assert "The released lease could not be acquired again yet" in run.err
    assert world.owner()["released"]
    assert writer.restore("--before-start").code == 0
    assert not world.owner()["released"]


def test_a_bucket_that_another_instance_takes_at_that_moment_is_left_to_it(
    writer: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert writer.backup("--final").code == 0

    def lost(*_arguments: object, **_options: object) -> str:
        raise PreconditionFailed("Somebody else wrote it first.")

    monkeypatch.setattr(Bucket, "put", lost)
    run = writer.restore("--before-start")
    assert run.code == 75
    assert "another instance holds the lease now" in run.err


def test_on_the_instance_a_state_folder_that_is_gone_before_the_first_backup_is_told(
    machine: SimulatedInstance,
) -> None:
    (machine.disk / "instance.json").write_text('{"stack": "dev"}')
    machine.lose_state()
    run = machine.restore("--before-start")
    assert run.code == 1
    assert f"The state folder {machine.state} does not exist; restore it" in run.err
    assert not machine.state.exists()


def nested_state(machine: SimulatedInstance) -> Path:
    """A state that lies one folder deeper, with what no plain sync brings."""
    inner = machine.state / ".openclaw"
    machine.write(".openclaw/openclaw.json", "{}").chmod(0o600)
    machine.write(".openclaw/workspace/run.sh", "#!/bin/sh\n").chmod(0o755)
    machine.write(".openclaw/workspace/fixed", "fixed").chmod(0o400)
    machine.write(".openclaw/a\ttab\\and\nmore", "a name that no key holds")
    for name, target in {"current": "workspace", "gone": "nowhere", "config": "openclaw.json"}.items():
        (inner / name).symlink_to(target)
    return inner


def beside(machine: SimulatedInstance) -> None:
    machine.write("openclaw.json", "{}")


def of_its_own_that_looks_like_a_manifest(machine: SimulatedInstance) -> None:
    machine.write("manifest.json", '{"format": 2}')
    machine.write("manifest.json", '{"format":2}')


@pytest.mark.parametrize("also", [lambda _machine: None, beside, of_its_own_that_looks_like_a_manifest])
def test_a_nested_state_that_the_last_backup_knows_is_the_users(
    machine: SimulatedInstance, also: Callable[[SimulatedInstance], None]
) -> None:
    nested_state(machine)
    also(machine)
    assert machine.backup().code == 0
    before = picture(machine.state)
    assert machine.restore("--before-start").code == 0
    assert picture(machine.state) == before
    # Nor once the gateway has written there, and its backup is yet to come.
    machine.write(".openclaw/workspace/later", "since")
    machine.write(".openclaw/openclaw.json", '{"later": 1}')
    before = picture(machine.state)
    assert machine.restore("--before-start").code == 0
    assert picture(machine.state) == before


@root_only("only root gives files away")
def test_a_nested_state_that_a_gateway_made_before_the_first_backup_is_its_own(machine: SimulatedInstance) -> None:
    nested_state(machine)
    for place in (machine.state, *machine.state.rglob("*")):
        os.chown(place, GATEWAY_UID, GATEWAY_UID, follow_symlinks=False)
    before = picture(machine.state)
    assert machine.restore("--before-start").code == 0
    assert picture(machine.state) == before


def test_what_is_moved_out_of_a_nested_sync_keeps_links_and_names_and_no_mode_gets_wider(
    writer: SimulatedInstance,
) -> None:
    writer.lose_state()
    inner = nested_state(writer)
    os.mkfifo(inner / "pipe")
    rows = {path: row for path, row in picture(inner).items() if path}
    assert writer.restore("--before-start").code == 0
    moved = {path: row for path, row in picture(writer.state).items() if path}
    assert set(moved) == set(rows)
    for path, row in rows.items():
        assert moved[path][0] == row[0]
        if row[0] == "symlink":
            assert moved[path][3] == row[3]
        else:
            mode = int(str(row[1]), 8)
            assert int(str(moved[path][1]), 8) & ~mode == 0
    assert moved["workspace/run.sh"][1] == "0700"
    assert moved["workspace/fixed"][1] == "0400"
