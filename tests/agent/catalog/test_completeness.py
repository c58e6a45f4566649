"""One notion of complete, whoever asks."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from openclaw_agent.catalog.completeness import Completeness, look_at, snapshot_is_whole
from openclaw_agent.snapshot.codec import encode_manifest
from openclaw_agent.snapshot.manifest import CaptureMethod, Entry, EntryKind, Manifest
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents

FIRST, SECOND, LAST = "2026-02-24-00-00", "2026-02-24-00-20", "2026-02-24-12-00"
AT_NOW = ("--now", datetime(2026, 2, 27, 14, 30, tzinfo=UTC).isoformat())

Damage = Callable[[FreshBucket, str], None]


def manifest_of(name: str) -> str:
    return f"snapshots/{name}/manifest.json"


def no_manifest(world: FreshBucket, name: str) -> None:
    world.delete(manifest_of(name))


def empty_manifest(world: FreshBucket, name: str) -> None:
    world.put(manifest_of(name), b"")


def torn_manifest(world: FreshBucket, name: str) -> None:
    world.put(manifest_of(name), world.get(manifest_of(name))[:-10])


def manifest_of_one_line(world: FreshBucket, name: str) -> None:
    world.put(manifest_of(name), world.get(manifest_of(name)).split(b"\n")[0] + b"\n")


def foreign_manifest(world: FreshBucket, name: str) -> None:
    world.put(manifest_of(name), b"<html>not found</html>")


def lost_object(world: FreshBucket, name: str) -> None:
    world.delete(f"snapshots/{name}/.openclaw/openclaw.json")


def object_of_another_size(world: FreshBucket, name: str) -> None:
    world.put(f"snapshots/{name}/.openclaw/openclaw.json", "{ }")


def of_another_life(world: FreshBucket, name: str) -> None:
    """Another snapshot's manifest, of a state that this folder does not hold."""
    names = [row for row in world.snapshots() if row not in (FIRST, SECOND, LAST)]
    world.put(manifest_of(name), world.get(manifest_of(names[-1])))


@pytest.fixture
def writer(world: FreshBucket, machine: SimulatedInstance) -> SimulatedInstance:
    """Three whole snapshots of a day some days ago, and a newer one of another state."""
    machine.write("openclaw.json", "{}")
    assert machine.backup().code == 0
    (source,) = world.snapshots()
    for name in (FIRST, SECOND, LAST):
        for key in world.keys(f"snapshots/{source}/"):
            world.put(key.replace(source, name), world.get(key))
    machine.write("later.md")
    assert machine.backup().code == 0
    return machine


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_manifest, "no"),
        (empty_manifest, "no"),
        (torn_manifest, "invalid"),
        (manifest_of_one_line, "invalid"),
        (foreign_manifest, "invalid"),
        (lost_object, "yes"),
        (object_of_another_size, "yes"),
        (of_another_life, "yes"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_what_is_not_complete_is_so_to_the_list_the_boot_the_restore_and_retention_alike(
    world: FreshBucket, writer: SimulatedInstance, damage: Damage, said: str
) -> None:
    damage(world, FIRST)
    rows = {line.split()[0]: line.split() for line in writer.restore("--list").out.splitlines()}
    assert said in rows[FIRST]
    assert not snapshot_is_whole(world.store(), FIRST)
    looked = writer.restore("--snapshot", FIRST, "--to", str(writer.disk / "looked"))
    # What another snapshot has of the same content is taken from there, and said.
    assert looked.code != 0 or "taken from" in looked.err
    assert writer.lifecycle(*AT_NOW).code == 0
    left = world.snapshots()
    assert FIRST not in left
    # The day's earliest whole one, and the newest that is a day old.
    assert {SECOND, LAST} <= {*left}
    for name in (SECOND, LAST):
        target = writer.disk / name
        assert writer.restore("--snapshot", name, "--to", str(target)).code == 0
        assert contents(target) == {"openclaw.json": "{}"}


@pytest.mark.parametrize("damage", [no_manifest, empty_manifest, torn_manifest, manifest_of_one_line, foreign_manifest])
def test_what_is_not_complete_is_not_what_a_new_instance_boots_from(
    world: FreshBucket, writer: SimulatedInstance, damage: Damage
) -> None:
    world.delete(*world.keys("latest/"))
    damage(world, world.snapshots()[-1])
    second = world.booted("second")
    assert contents(second.state) == {"openclaw.json": "{}"}


def test_a_manifest_that_is_longer_than_one_look_is_read_at_its_end_too(world: FreshBucket) -> None:
    root = Entry("", EntryKind.DIR, 0o700, 0, 0, 0)
    files = [
        Entry(f"{number:06d}" + "x" * 100, EntryKind.FILE, 0o600, 0, 0, 0, sha256=bytes(32)) for number in range(5000)
    ]
    text = b"".join(encode_manifest(Manifest(FIRST, "", 1, "i", "s", CaptureMethod.LIVE, 0.0, (root, *files))))
    assert len(text) > 1024 * 1024
    world.put(manifest_of(FIRST), text)
    assert look_at(world.store(), manifest_of(FIRST)).completeness is Completeness.COMPLETE
    world.put(manifest_of(FIRST), text[:-1000])
    assert look_at(world.store(), manifest_of(FIRST)).completeness is Completeness.INVALID
