"""Restore points that a newer agent wrote: an older one takes nothing else in their place."""

from collections.abc import Callable

import pytest

from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance, contents


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    for text in ("one", "two"):
        machine.write("notes.md", text)
        assert machine.backup().code == 0
    return machine


def newer_format(world: FreshBucket, key: str) -> None:
    world.put(key, world.get(key).replace(b'{"format":2', b'{"format":3', 1))


def latest_alone(world: FreshBucket) -> None:
    newer_format(world, LATEST_MANIFEST)


def newest_snapshot_alone(world: FreshBucket) -> None:
    world.delete(LATEST_MANIFEST)
    newer_format(world, f"snapshots/{world.snapshots()[-1]}/manifest.json")


def both(world: FreshBucket) -> None:
    latest_alone(world)
    newer_format(world, f"snapshots/{world.snapshots()[-1]}/manifest.json")


@pytest.mark.parametrize("written", [latest_alone, newest_snapshot_alone, both])
def test_what_only_a_newer_agent_can_read_is_refused_and_an_older_snapshot_is_taken_by_its_name(
    world: FreshBucket, writer: SimulatedInstance, written: Callable[[FreshBucket], None]
) -> None:
    older = world.snapshots()[0]
    written(world)
    second = world.machine("second")
    for command in (("--boot", "--owner-wait", "0"), ("--verify",), ("--diff", "latest")):
        run = second.restore(*command)
        assert run.code == 1
        assert "was written by a newer agent: its format is 3, this agent reads 2." in run.err
    assert contents(second.state) == {}
    assert "by a newer agent" in second.restore("--list").out
    assert second.restore("--snapshot", older).code == 0
    assert contents(second.state) == {"notes.md": "one"}
    assert contents(writer.state) == {"notes.md": "two"}


def test_what_a_newer_agent_wrote_before_the_newest_snapshot_does_not_stand_in_its_way(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    older = world.snapshots()[0]
    newer_format(world, f"snapshots/{older}/manifest.json")
    world.delete(LATEST_MANIFEST)
    second = world.booted("second")
    assert contents(second.state) == contents(writer.state) == {"notes.md": "two"}
