"""One object that cannot be had does not stop a restore: its content comes from elsewhere, or it is a gap."""

import pytest

from openclaw_agent.restore.gaps import anything, few, is_not_essential
from openclaw_agent.snapshot.manifest import Entry, EntryKind
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents


def archive(world: FreshBucket, *keys: str) -> None:
    for key in keys:
        world.s3.copy_object(
            Bucket=world.bucket, Key=key, CopySource={"Bucket": world.bucket, "Key": key}, StorageClass="DEEP_ARCHIVE"
        )


@pytest.fixture
def writer(world: FreshBucket, machine: SimulatedInstance) -> SimulatedInstance:
    """Three snapshots; old.md never changed, new.md is in the last one alone."""
    machine.write("openclaw.json", "{}")
    machine.write("workspace/old.md", "never changed")
    for number in range(3):
        machine.write("workspace/changing.md", f"version {number}")
        if number == 2:
            machine.write("workspace/new.md", "only here")
        assert machine.backup().code == 0
    return machine


def keys_of(world: FreshBucket, path: str) -> list[str]:
    return [key for key in world.keys("") if key.endswith(f".openclaw/{path}")]


def test_content_that_latest_and_its_snapshot_cannot_give_is_taken_from_any_snapshot_that_has_it(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    latest, *snapshots = keys_of(world, "workspace/old.md")
    archive(world, latest, *snapshots[1:])
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    assert contents(second.state) == contents(writer.state)
    assert run.line["skipped_copies"] == 1
    assert second.backup().code == 0
    assert world.get("latest/.openclaw/workspace/old.md") == b"never changed"


def test_a_file_that_is_nowhere_is_a_gap_that_stays_told_until_it_is_accepted_or_back_and_its_object_stays(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    archive(world, *keys_of(world, "workspace/new.md"))
    second = world.machine("second")
    boot = second.boot()
    assert boot.code == 4, boot.err
    assert "is archived" in boot.err
    assert (boot.line["result"], boot.line["gaps"]) == ("gaps", ["workspace/new.md"])
    rest = {path: text for path, text in contents(writer.state).items() if path != "workspace/new.md"}
    assert contents(second.state) == rest
    assert second.restore("before-start").code == 0
    second.write("later.md")
    assert second.backup().code == 4
    assert "latest/.openclaw/workspace/new.md" in world.keys("latest/")
    third = world.machine("third")
    assert third.boot().code == 0
    assert third.backup("--full").code == 4
    assert "latest/.openclaw/workspace/new.md" in world.keys("latest/")
    assert third.backup("--accept-gap", "workspace/new.md").code == 0
    third.write("more.md")
    assert third.backup().code == 0
    third.write("workspace/new.md", "written again")
    run = third.backup()
    assert (run.code, world.manifest("latest").gaps) == (0, ())


def test_without_its_configuration_an_older_restore_point_is_taken_first(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    writer.write("openclaw.json", '{"new": 1}')
    assert writer.backup().code == 0
    archive(world, "latest/.openclaw/openclaw.json", f"snapshots/{world.snapshots()[-1]}/.openclaw/openclaw.json")
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    assert contents(second.state)["openclaw.json"] == "{}"
    assert f"Not restored from latest {world.snapshots()[-1]}" in run.err


def test_a_look_into_another_folder_takes_whatever_there_is(world: FreshBucket, writer: SimulatedInstance) -> None:
    archive(world, *keys_of(world, "openclaw.json"))
    assert world.machine("second").boot().code == 1
    target = writer.disk / "looked"
    run = writer.restore("--to", str(target))
    assert run.code == 4, run.err
    assert "workspace/new.md" in contents(target)


@pytest.mark.parametrize(
    ("lost", "files", "allowed"),
    [
        (["workspace/a"], 2, (True, True, True)),
        (["workspace/a"], 1, (False, False, False)),
        (["workspace/a", "b"], 10, (False, True, True)),
        (["workspace/a", "b"], 20, (True, True, True)),
        (["openclaw.json"], 1000, (False, False, True)),
        (["state/openclaw.sqlite"], 1000, (False, False, True)),
        (["workspace/repo/fixture.sqlite"], 1000, (True, True, True)),
    ],
)
def test_what_a_restore_may_lack(lost: list[str], files: int, allowed: tuple[bool, bool, bool]) -> None:
    entries = [Entry(path, EntryKind.FILE, 0o600, 0, 0, 0, database=path.endswith(".sqlite")) for path in lost]
    assert tuple(rule(entries, files) for rule in (few, is_not_essential, anything)) == allowed
