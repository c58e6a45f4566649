"""`--verify` looks at one restore point as it is, and says what else a restore would take."""

import json
from collections.abc import Callable

import pytest

from openclaw_agent.errors import StoreError
from openclaw_agent.restore.verify import MOST_NAMED
from tests.support.breaking import at_request, raising
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance, contents


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    """Two snapshots of ten files; `latest/` holds the second."""
    for number in range(10):
        machine.write(f"f{number}", "old")
    assert machine.backup().code == 0
    machine.write("f0", "new")
    assert machine.backup().code == 0
    return machine


def older(world: FreshBucket) -> str:
    return world.snapshots()[0]


def newer(world: FreshBucket) -> str:
    return world.snapshots()[1]


def lost_in_latest(world: FreshBucket) -> None:
    world.delete("latest/.openclaw/f0")


def corrupt_in_latest(world: FreshBucket) -> None:
    world.put("latest/.openclaw/f0", "rot")


def lost_in_latest_and_its_snapshot(world: FreshBucket) -> None:
    world.delete("latest/.openclaw/f0", f"snapshots/{newer(world)}/.openclaw/f0")


def lost_in_the_newest_alone(world: FreshBucket) -> None:
    world.delete(*world.keys("latest/"), f"snapshots/{newer(world)}/.openclaw/f0")


def lost_everywhere(world: FreshBucket) -> None:
    lost_in_latest_and_its_snapshot(world)
    world.delete(f"snapshots/{older(world)}/.openclaw/f0")


def unreadable_latest(world: FreshBucket) -> None:
    world.put(LATEST_MANIFEST, world.get(LATEST_MANIFEST)[:-20])


def unreadable_newest_alone(world: FreshBucket) -> None:
    world.delete(*world.keys("latest/"))
    key = f"snapshots/{newer(world)}/manifest.json"
    world.put(key, world.get(key)[:-20])


@pytest.mark.parametrize(
    ("happened", "path", "rescue"),
    [
        (lost_in_latest, "f0", "latest {newer} and the snapshot it was made of"),
        (corrupt_in_latest, "f0", "latest {newer} and the snapshot it was made of"),
        (lost_in_latest_and_its_snapshot, "f0", "latest {newer} without 1 of its 10 files"),
        (lost_in_the_newest_alone, "f0", "snapshot {newer} without 1 of its 10 files"),
        (lost_everywhere, "f0", "latest {newer} without 1 of its 10 files"),
        (unreadable_latest, "manifest.json", "snapshot {newer}"),
        (unreadable_newest_alone, "manifest.json", "snapshot {older}"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_restore_point_fails_the_check_which_says_what_a_restore_would_take(
    world: FreshBucket, writer: SimulatedInstance, happened: Callable[[FreshBucket], None], path: str, rescue: str
) -> None:
    expected = rescue.format(newer=newer(world), older=older(world))
    happened(world)
    run = writer.restore("--verify")
    assert run.code == 1
    assert [row["path"] for row in run.line["broken"]] == [path]
    assert run.line["rescue"] == expected
    assert (f"would still succeed, from {expected}." in run.err) == bool(expected)
    assert ("A restore of it would fail." in run.err) == (not expected)
    assert "Restored" not in run.err
    boot = world.machine("second").boot()
    assert boot.code == (4 if "without" in expected else 0), boot.err


def test_a_check_that_cannot_look_further_says_why(world: FreshBucket, writer: SimulatedInstance) -> None:
    lost_in_latest_and_its_snapshot(world)
    denied = StoreError("Access was denied.")
    with at_request("GET snapshots/", raising(denied)):
        run = writer.restore("--verify")
    assert run.code == 1
    assert "Access was denied." in run.err


def test_a_named_snapshot_is_checked_without_any_other(world: FreshBucket, writer: SimulatedInstance) -> None:
    name = newer(world)
    world.delete(f"snapshots/{name}/.openclaw/f3")
    assert writer.restore("--verify").code == 0
    run = writer.restore("--verify", "--snapshot", name)
    assert run.code == 1
    assert f"1 cannot be used. 'f3': The object 'snapshots/{name}/.openclaw/f3' does not exist" in run.err
    assert "A restore of it would fail." in run.err
    assert writer.restore("--verify", "--snapshot", older(world)).code == 0


def test_every_broken_file_is_listed_some_in_the_sentence_and_all_in_json(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    bad = [f"f{number}" for number in range(1, 9)]
    for path in bad:
        world.put(f"latest/.openclaw/{path}", "rot")
    run = writer.restore("--verify", "--json")
    assert run.code == 1
    assert [row["path"] for row in json.loads(run.out)["broken"]] == bad
    assert [row["path"] for row in run.line["broken"]] == bad
    assert all("is corrupt" in row["problem"] for row in run.line["broken"])
    assert f"And {len(bad) - MOST_NAMED} more, which --json and the log list." in run.err
    assert f"'{bad[MOST_NAMED]}'" not in run.err


def test_a_whole_restore_point_is_said_to_be_checked(world: FreshBucket, writer: SimulatedInstance) -> None:
    before, bucket = contents(writer.state), world.picture()
    run = writer.restore("--verify")
    assert run.code == 0
    assert run.err == f"Checked 10 files, 30 bytes: latest {newer(world)} is intact.\n"
    assert run.line["result"] == "verified"
    assert (run.line["source"], run.line["broken"]) == ("latest", [])
    assert contents(writer.state) == before
    assert world.picture() == bucket


def test_a_plain_upload_is_checked_for_being_there(world: FreshBucket) -> None:
    world.put("latest/notes.md", "hello")
    run = world.machine().restore("--verify")
    assert run.code == 0
    assert "Checked 1 files, 5 bytes" in run.err
