"""What a boot makes of the state folder, and whether the gateway may start on it."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from openclaw_agent.errors import StoreError
from openclaw_agent.snapshot.codec import encode_manifest
from tests.support.breaking import at_replacement_of, at_request, raising
from tests.support.simulated_instance import (
    LATEST_MANIFEST,
    FreshBucket,
    SimulatedInstance,
    contents,
    let_clock_tick,
    picture,
)


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    machine.write("notes.md", "one")
    machine.write("workspace/plan.md", "the plan")
    (machine.state / "empty").mkdir()
    assert machine.backup().code == 0
    return machine


def put_older_state_into_latest(world: FreshBucket) -> str:
    """An operator copies the oldest snapshot over latest/, as by `aws s3 sync … --delete`; return its name."""
    name = world.snapshots()[0]
    world.delete(*world.keys("latest/"))
    # S3 tells times in whole seconds.
    let_clock_tick()
    for key in world.keys(f"snapshots/{name}/"):
        world.put(key.replace(f"snapshots/{name}/", "latest/"), world.get(key))
    return name


def test_a_reboot_keeps_the_disk_that_is_newer_than_s3(world: FreshBucket, writer: SimulatedInstance) -> None:
    writer.write("notes.md", "not yet in S3")
    before = picture(writer.state)
    run = writer.reboot()
    assert (run.code, run.line["result"]) == (0, "kept")
    assert picture(writer.state) == before
    assert world.owner()["epoch"] == 2
    assert writer.restore("--before-start").code == 0
    assert writer.backup().code == 0
    assert world.manifest("latest").epoch == 2


def test_a_second_restore_in_one_boot_does_nothing(world: FreshBucket, writer: SimulatedInstance) -> None:
    writer.write("notes.md", "not yet in S3")
    bucket = world.picture()
    run = writer.boot()
    assert run.line["result"] == "already-restored"
    assert contents(writer.state)["notes.md"] == "not yet in S3"
    assert world.picture() == bucket


def test_a_new_instance_gets_what_the_old_one_had(world: FreshBucket, writer: SimulatedInstance) -> None:
    second = world.booted("second")
    assert picture(second.state) == picture(writer.state)
    assert world.owner()["instance_id"] == "second"
    assert second.restore("--before-start").code == 0


def changed_bucket(world: FreshBucket, writer: SimulatedInstance) -> SimulatedInstance:
    writer.write("notes.md", "two")
    assert writer.backup().code == 0
    writer.write("notes.md", "three, local only")
    put_older_state_into_latest(world)
    return writer


def quarantined(world: FreshBucket) -> list[str]:
    return [key.split("/")[1] for key in world.keys("snapshots/") if key.endswith("/quarantined")]


def test_a_bucket_that_somebody_changed_wins_and_the_local_state_is_kept_aside(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    changed_bucket(world, writer)
    run = writer.reboot()
    assert run.code == 0, run.err
    assert contents(writer.state)["notes.md"] == "one"
    (kept,) = quarantined(world)
    assert "the local state that a restore was about to replace" in world.manifest(kept).quarantined
    assert world.get(f"snapshots/{kept}/.openclaw/notes.md") == b"three, local only"
    assert writer.backup().code == 0
    assert contents(world.booted("second").state)["notes.md"] == "one"
    asked = writer.restore("--snapshot", kept, "--to", str(writer.disk / "kept"))
    assert asked.code == 0
    assert contents(writer.disk / "kept")["notes.md"] == "three, local only"


S3_FAILS = raising(StoreError("S3 fails here."))
THE_DISK_FAILS = raising(OSError(errno.EIO, "The disk fails here."))
Break = Callable[[], AbstractContextManager[None]]
BETWEEN: dict[str, Break] = {
    "while it asks who changed the bucket": lambda: at_request("HEAD latest/", S3_FAILS),
    "before the local state is quarantined": lambda: at_request("PUT snapshots/", S3_FAILS),
    "while the local state is quarantined": lambda: at_request("UPLOAD", S3_FAILS),
    "just before the local state is quarantined": lambda: at_request("PUT snapshots/", S3_FAILS, nth=3),
    "before the restore": lambda: at_request("DOWNLOAD", S3_FAILS),
    "during the restore": lambda: at_request("DOWNLOAD", S3_FAILS, after=True),
    "just after the restore": lambda: at_replacement_of("base-manifest.json", THE_DISK_FAILS),
}
RESTORE_BREAKS = ["before the restore", "during the restore", "just after the restore"]


@pytest.mark.parametrize("when", BETWEEN)
def test_a_boot_that_fails_half_way_starts_nothing_and_ends_right_the_next_time(
    world: FreshBucket, writer: SimulatedInstance, when: str
) -> None:
    changed_bucket(world, writer)
    with BETWEEN[when]():
        run = writer.reboot()
        assert run.code == 1
    assert writer.restore("--before-start").code == 3
    assert writer.backup().code == 3
    run = writer.boot()
    assert run.code == 0, run.err
    assert contents(writer.state)["notes.md"] == "one"
    kept = [world.get(f"snapshots/{name}/.openclaw/notes.md") for name in quarantined(world)]
    assert b"three, local only" in kept
    assert writer.restore("--before-start").code == 0


@pytest.mark.parametrize("when", RESTORE_BREAKS)
def test_a_first_boot_that_fails_half_way_starts_nothing_and_ends_right_the_next_time(
    world: FreshBucket, writer: SimulatedInstance, when: str
) -> None:
    second = world.machine("second")
    second.write("left by the installer")
    with BETWEEN[when]():
        assert second.boot().code == 1
    assert second.restore("--before-start").code == 3
    assert second.backup().code == 3
    assert second.boot().code == 0
    assert contents(second.state) == contents(writer.state)
    assert second.backup().code == 0


@pytest.mark.parametrize("when", RESTORE_BREAKS[:2])
def test_a_restore_by_hand_that_fails_leaves_the_machine_as_good_as_before(
    world: FreshBucket, writer: SimulatedInstance, when: str
) -> None:
    writer.write("notes.md", "not yet in S3")
    with BETWEEN[when]():
        assert writer.restore("--force").code == 1
    assert writer.restore("--before-start").code == 0
    assert writer.reboot().line["result"] == "kept"
    assert contents(writer.state)["notes.md"] == "not yet in S3"
    assert writer.backup().code == 0
    assert contents(world.booted("second").state)["notes.md"] == "not yet in S3"


def test_a_local_state_of_a_new_machine_is_kept_aside_before_it_is_replaced(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    second = world.machine("second")
    second.write("precious.md", "made before the first boot")
    assert second.boot().code == 0
    assert contents(second.state) == contents(writer.state)
    (kept,) = quarantined(world)
    assert world.get(f"snapshots/{kept}/.openclaw/precious.md") == b"made before the first boot"


def test_a_fenced_instance_that_reboots_takes_the_newer_state(world: FreshBucket, writer: SimulatedInstance) -> None:
    second = world.booted("second")
    second.write("notes.md", "second's")
    assert second.backup().code == 0
    writer.write("notes.md", "late")
    assert writer.backup().code == 75
    run = writer.reboot()
    assert run.code == 0
    assert contents(writer.state)["notes.md"] == "second's"
    assert second.backup().code == 75


def test_an_emptied_bucket_is_filled_again_by_the_machine_that_has_the_state(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    world.empty()
    run = writer.reboot()
    assert run.code == 0, run.err
    assert contents(writer.state)["notes.md"] == "one"
    run = writer.backup()
    assert (run.code, run.line["result"]) == (0, "done"), run.err
    assert contents(world.booted("second").state) == contents(writer.state)


def test_a_state_lost_before_a_reboot_comes_back(writer: SimulatedInstance) -> None:
    before = contents(writer.state)
    writer.lose_state()
    assert writer.reboot().line["result"] == "restored"
    assert contents(writer.state) == before


def test_an_archive_synced_into_the_active_bucket_is_restored_by_a_reboot(
    world: FreshBucket, writer: SimulatedInstance, embedded_aws: Any, tmp_path: Path
) -> None:
    archive = FreshBucket(embedded_aws, tmp_path / "archive")
    (tmp_path / "archive").mkdir()
    old = archive.booted("archived")
    old.write("notes.md", "from the archive")
    for _ in range(3):
        old.reboot()
    assert old.backup().code == 0
    for key in archive.keys():  # noqa: SIM118 - no dict
        world.put(key, archive.get(key))
    run = writer.reboot()
    assert run.code == 0, run.err
    assert contents(writer.state) == {"notes.md": "from the archive"}
    writer.write("later", "x")
    assert writer.backup().code == 0, writer.backup().err
    assert set(contents(world.booted("second").state)) == {"notes.md", "later"}


def sync_down(world: FreshBucket, machine: SimulatedInstance, prefix: str) -> None:
    """What `aws s3 sync s3://…/<prefix> <state folder>/ --delete` does: files only, keys as they are, modes 644."""
    wanted = {key.removeprefix(prefix): key for key in world.keys(prefix)}
    for place in sorted(machine.state.rglob("*")):
        relative = str(place.relative_to(machine.state))
        if (place.is_file() or place.is_symlink()) and relative not in wanted:
            place.unlink()
    for relative, key in wanted.items():
        place = machine.state / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(world.get(key))


@pytest.fixture
def synced(world: FreshBucket, writer: SimulatedInstance) -> tuple[SimulatedInstance, dict[str, tuple[object, ...]]]:
    """A machine on which the operator typed the runbook's sync of the first snapshot; and what that one held."""
    (writer.state / "odd\nname").write_text("odd")
    (writer.state / "link").symlink_to("notes.md")
    (writer.state / "notes.md").chmod(0o640)
    assert writer.backup().code == 0
    before = picture(writer.state)
    writer.write("notes.md", "three")
    writer.write("later.md", "later")
    assert writer.backup().code == 0
    sync_down(world, writer, f"snapshots/{world.snapshots()[1]}/")
    assert (writer.state / ".openclaw/notes.md").exists()
    return writer, before


def test_the_runbooks_sync_is_mended_when_the_gateway_starts(
    world: FreshBucket, synced: tuple[SimulatedInstance, dict[str, tuple[object, ...]]]
) -> None:
    machine, before = synced
    run = machine.restore("--before-start")
    assert run.code == 0, run.err
    assert "one folder too deep" in run.err
    assert picture(machine.state) == before
    assert machine.restore("--before-start").code == 0
    assert picture(machine.state) == before
    run = machine.backup()
    assert run.code == 0, run.err
    assert picture(world.booted("second").state) == before


def test_a_sync_that_was_cut_short_is_refused(synced: tuple[SimulatedInstance, dict[str, tuple[object, ...]]]) -> None:
    machine, _ = synced
    (machine.state / ".openclaw/notes.md").unlink()
    run = machine.restore("--before-start")
    assert run.code == 1
    assert "is not complete" in run.err
    assert (machine.state / ".openclaw/workspace/plan.md").exists()


def test_a_sync_with_another_byte_is_refused(synced: tuple[SimulatedInstance, dict[str, tuple[object, ...]]]) -> None:
    machine, _ = synced
    (machine.state / ".openclaw/notes.md").write_text("other")
    run = machine.restore("--before-start")
    assert run.code == 1
    assert "is not the file that its manifest promises" in run.err


def test_a_sync_of_a_plain_upload_is_mended_too(world: FreshBucket, writer: SimulatedInstance) -> None:
    world.put("snapshots/2026-01-01-00-00/.openclaw/notes.md", "by hand")
    sync_down(world, writer, "snapshots/2026-01-01-00-00/")
    run = writer.restore("--before-start")
    assert run.code == 0, run.err
    assert contents(writer.state) == {"notes.md": "by hand"}
    assert writer.backup().code == 0


def own_folder(machine: SimulatedInstance) -> None:
    machine.write(".openclaw/own.json", "a tool's own folder of that name")


def own_folder_and_manifest(machine: SimulatedInstance) -> None:
    own_folder(machine)
    machine.write("manifest.json", '{"name": "a web app"}')


@pytest.mark.parametrize("make", [own_folder, own_folder_and_manifest])
def test_a_state_that_holds_a_folder_of_that_name_is_left_alone(
    world: FreshBucket, writer: SimulatedInstance, make: Callable[[SimulatedInstance], None]
) -> None:
    make(writer)
    before = picture(writer.state)
    run = writer.restore("--before-start")
    assert run.code == 0, run.err
    assert picture(writer.state) == before
    assert writer.backup().code == 0
    assert picture(world.booted("second").state) == before


def test_the_gateway_does_not_start_before_this_boots_restore(world: FreshBucket, writer: SimulatedInstance) -> None:
    assert world.machine("second").restore("--before-start").code == 3
    writer.boot_number += 1
    run = writer.restore("--before-start")
    assert run.code == 3
    assert "this boot's restore has not finished" in run.err


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_the_gateway_does_not_start_on_nothing(writer: SimulatedInstance, how: str) -> None:
    writer.lose_state()
    if how == "empty":
        writer.state.mkdir()
    run = writer.restore("--before-start")
    assert run.code == 3
    assert "is empty or missing: no file is in it, the last backup held 2 files" in run.err
    assert writer.restore().code == 0
    assert writer.restore("--before-start").code == 0


def test_the_gateway_does_not_start_on_an_instance_that_was_replaced(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    world.booted("second")
    run = writer.restore("--before-start")
    assert run.code == 75
    assert "another instance holds the lease now" in run.err


def test_a_gateway_that_is_started_again_after_a_final_backup_takes_the_bucket_back(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    assert writer.backup("--final").code == 0
    assert writer.restore("--before-start").code == 0
    assert not world.owner()["released"]
    assert world.owner()["epoch"] == 1


def test_an_outage_of_s3_does_not_keep_a_restarted_gateway_down(writer: SimulatedInstance) -> None:
    writer.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:1"
    writer.environment["AWS_MAX_ATTEMPTS"] = "1"
    run = writer.restore("--before-start")
    assert run.code == 0
    assert "The lease could not be checked" in run.err


def test_the_state_folder_may_be_a_symlink(world: FreshBucket) -> None:
    first = world.machine()
    shutil.rmtree(first.state)
    (first.disk / "real").mkdir()
    first.state.symlink_to("real")
    assert first.boot().code == 0
    first.write("notes.md", "one")
    assert first.backup().code == 0
    shutil.rmtree(first.disk / "real")
    (first.disk / "real").mkdir()
    assert first.restore().code == 0
    assert first.state.is_symlink()
    assert os.readlink(first.state) == "real"  # noqa: PTH115 - the raw text
    assert contents(first.disk / "real") == {"notes.md": "one"}


def test_the_state_of_a_crashed_gateway_is_kept_aside_with_its_logs_rows(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    second = world.machine("second")
    database = sqlite3.connect(second.state / "db", isolation_level=None)
    database.execute("PRAGMA journal_mode=wal")
    database.execute("CREATE TABLE t(a)")
    database.execute("INSERT INTO t VALUES (7)")
    assert second.boot().code == 0
    database.close()
    assert contents(second.state) == contents(writer.state)
    (kept,) = quarantined(world)
    (second.disk / "db").write_bytes(world.get(f"snapshots/{kept}/.openclaw/db"))
    with sqlite3.connect(second.disk / "db") as reader:
        assert reader.execute("SELECT a FROM t").fetchall() == [(7,)]
    reader.close()


def test_a_copy_of_latest_survives_its_rewriting_with_the_same_bytes(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    """The manifest put back byte by byte is no change by others: its ETag is the same."""
    body = b"".join(encode_manifest(world.manifest("latest")))
    assert body == world.get(LATEST_MANIFEST)
    world.put(LATEST_MANIFEST, body)
    writer.write("new")
    assert writer.backup().code == 0
