"""A preempted holder whose clock runs ahead commits one more snapshot, by its name newer than the new owner's."""

from dataclasses import replace

import pytest

from openclaw_agent.snapshot.codec import encode_manifest
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, contents

AHEAD = "2026-03-04-23-00"


@pytest.fixture
def bucket(world: FreshBucket) -> FreshBucket:
    """The first machine's "old", the second's "new", and the first's "late", which no guard has caught."""
    first = world.booted("first")
    first.write("notes.md", "old")
    assert first.backup().code == 0
    late = world.manifest(world.snapshots()[0])
    second = world.booted("second")
    second.write("notes.md", "new")
    assert second.backup("--final").code == 0
    world.put(f"snapshots/{AHEAD}/manifest.json", b"".join(encode_manifest(replace(late, snapshot=AHEAD))))
    world.put(f"snapshots/{AHEAD}/.openclaw/notes.md", "old")
    return world


def whole(_world: FreshBucket) -> None:
    pass


def object_lost(world: FreshBucket) -> None:
    world.delete("latest/.openclaw/notes.md")


def manifest_torn(world: FreshBucket) -> None:
    world.put(LATEST_MANIFEST, world.get(LATEST_MANIFEST)[:-20])


def manifest_and_object_lost(world: FreshBucket) -> None:
    world.delete(*world.keys("latest/"))


@pytest.mark.parametrize("happened", [whole, object_lost, manifest_torn, manifest_and_object_lost])
def test_a_boot_restores_the_present_owners_state(bucket: FreshBucket, happened: object) -> None:
    assert callable(happened)
    happened(bucket)
    third = bucket.booted("third")
    assert contents(third.state) == {"notes.md": "new"}
