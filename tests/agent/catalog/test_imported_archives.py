"""What an operator puts into the bucket of a machine, and what its next boot makes of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.breaking import at_request, raising
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance, contents, let_clock_tick

KEPT = "kept"


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    machine.write("openclaw.json", "ours, a longer one")
    machine.write("notes.md", "one")
    assert machine.backup().code == 0
    let_clock_tick()
    return machine


@pytest.fixture
def archive(embedded_aws: Any, tmp_path: Path) -> FreshBucket:
    """Another bucket; its clock runs a day ahead, so that no name is that of a snapshot of ours."""
    (tmp_path / "archive").mkdir()
    return FreshBucket(embedded_aws, tmp_path / "archive")


def put_over(world: FreshBucket, archive: FreshBucket, *, skip_equal_sizes: bool = False) -> None:
    """`aws s3 cp --recursive` of an archive over a bucket, or `aws s3 sync` of an archive that is older."""
    sizes = {row[0]: row[1][2] for row in world.picture().items()}
    for key, row in archive.picture().items():
        if not skip_equal_sizes or sizes.get(key) != row[2]:
            world.put(key, archive.get(key))


def quarantined(world: FreshBucket) -> list[str]:
    return [key.split("/")[1] for key in world.keys("snapshots/") if key.endswith("/quarantined")]


PLAIN = {
    "nested in latest": {"latest/.openclaw/openclaw.json": "{}", "latest/.openclaw/notes.md": "from the archive"},
    "flat in latest": {"latest/openclaw.json": "{}", "latest/notes.md": "from the archive"},
    "nested at the root": {".openclaw/openclaw.json": "{}", ".openclaw/notes.md": "from the archive"},
    "flat at the root": {"openclaw.json": "{}", "notes.md": "from the archive"},
}


@pytest.mark.parametrize("uploaded", PLAIN.values(), ids=PLAIN)
def test_an_archive_without_a_manifest_is_not_overlooked_and_is_restored_once_latest_is_emptied(
    world: FreshBucket, writer: SimulatedInstance, uploaded: dict[str, str]
) -> None:
    for key, text in uploaded.items():
        world.put(key, text)
    writer.write("unsaved.md", "since the last backup")
    before = contents(writer.state)
    run = writer.reboot()
    assert run.code == 1
    assert "Somebody has uploaded 2 objects to the bucket" in run.err
    assert contents(writer.state) == before
    assert writer.restore("--before-start").code == 3
    assert world.machine("second").boot().code == 1
    (kept,) = quarantined(world)
    world.delete(*world.keys("latest/"))
    for key, text in uploaded.items():
        world.put(key, text)
    run = writer.reboot()
    assert run.code == 0, run.err
    assert contents(writer.state) == {"openclaw.json": "{}", "notes.md": "from the archive"}
    assert quarantined(world) == [kept]
    assert writer.backup().code == 0
    assert contents(world.booted("third").state) == contents(writer.state)


def test_a_machine_may_go_on_without_what_was_put_there(world: FreshBucket, writer: SimulatedInstance) -> None:
    for number in range(2):
        world.put(f"latest/.openclaw/workspace/{number}.md", "put there")
    writer.write("unsaved.md", "since the last backup")
    before = contents(writer.state)
    assert writer.reboot().code == 1
    (kept,) = quarantined(world)
    run = writer.restore("--snapshot", kept, "--force")
    assert run.code == 0, run.err
    assert contents(writer.state) == before
    assert writer.restore("--before-start").code == 0
    assert writer.backup().code == 0
    assert writer.reboot().line["result"] == KEPT


def test_one_file_that_lies_at_the_root_keeps_no_gateway_down(world: FreshBucket, writer: SimulatedInstance) -> None:
    world.put("README.txt", "what this bucket is for")
    assert writer.reboot().line["result"] == KEPT
    assert world.machine("second").boot().code == 0


def test_a_backup_that_was_cut_short_is_not_taken_for_another_hand(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    let_clock_tick()
    writer.write("notes.md", "longer than before")
    writer.write("new.md", "new")
    with at_request("PUT latest/", raising(KeyboardInterrupt())):
        assert writer.backup().code == 1
    assert "latest/.openclaw/new.md" in world.keys("latest/")
    assert contents(world.booted("second").state) == contents(writer.state)
    assert writer.reboot().code == 0


def test_the_commands_of_the_readme_bring_an_archive_in_that_a_sync_would_skip(
    world: FreshBucket, writer: SimulatedInstance, archive: FreshBucket
) -> None:
    old = archive.booted("archived")
    old.write("openclaw.json", "THEIRS, a long one")
    old.write("notes.md", "ONE")
    assert old.backup().code == 0
    put_over(world, archive, skip_equal_sizes=True)
    before = contents(writer.state)
    run = writer.reboot()
    assert run.code == 1
    assert "nothing else is restored in its place: somebody changed it since this instance last wrote it" in run.err
    assert contents(writer.state) == before
    assert len(quarantined(world)) == 1
    world.delete(*world.keys("latest/"))
    put_over(world, archive)
    run = writer.reboot()
    assert run.code == 0, run.err
    assert contents(writer.state) == contents(old.state)
    assert writer.restore("--verify").code == 0


def test_an_older_state_that_was_put_into_latest_is_restored_or_nothing_is(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    name = world.snapshots()[0]
    manifest = world.get(LATEST_MANIFEST)
    writer.write("notes.md", "two")
    assert writer.backup().code == 0
    let_clock_tick()
    world.put(LATEST_MANIFEST, manifest)
    world.delete(f"snapshots/{name}/.openclaw/notes.md", "latest/.openclaw/notes.md")
    second = world.machine("second")
    run = second.boot()
    assert run.code == 1
    assert "it is older than the newest snapshot, and was uploaded later, on purpose" in run.err
    assert contents(second.state) == {}


def test_an_archive_of_this_very_instance_is_restored_though_latest_was_to_be_written_anew(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    archived = {key: world.get(key) for key in world.keys() if key != "owner.json"}  # noqa: SIM118 - no dict
    writer.write("notes.md", "two")
    assert writer.backup().code == 0
    writer.write("notes.md", "three")
    assert writer.backup().code == 0
    assert writer.restore("--snapshot", world.snapshots()[1]).code == 0
    let_clock_tick()
    for key, body in archived.items():
        world.put(key, body)
    assert writer.reboot().line["result"] == "restored"
    assert contents(writer.state)["notes.md"] == "one"
    writer.write("later")
    assert writer.backup().code == 0


def test_backups_after_a_restore_of_a_later_epoch_outrank_it(
    world: FreshBucket, writer: SimulatedInstance, archive: FreshBucket
) -> None:
    old = archive.booted("archived")
    for _ in range(4):
        old.reboot()
    old.write("notes.md", "from the archive")
    assert old.backup().code == 0
    archive.delete("owner.json")
    put_over(world, archive)
    assert writer.reboot().line["result"] == "restored"
    assert world.owner()["epoch"] == 6
    writer.write("notes.md", "work since")
    # The second copy is that of the snapshot to latest/.
    with at_request("COPY", raising(OSError(5, "crashed here")), nth=2):
        assert writer.backup().code == 1
    assert contents(world.booted("second").state)["notes.md"] == "work since"


def test_a_machine_whose_owner_record_was_deleted_outranks_what_it_wrote(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    for _ in range(3):
        writer.reboot()
    world.delete("owner.json")
    run = writer.restore("--before-start")
    assert run.code == 75
    assert "owner.json is gone from the bucket" in run.err
    assert "another instance" not in run.err.split("so nobody holds the lease")[0]
    assert writer.boot().code == 0
    assert world.owner()["epoch"] == 5
    assert writer.restore("--before-start").code == 0
