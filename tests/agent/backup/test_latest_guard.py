"""What lies under latest/ when a backup comes to write it, and is not what this machine put there."""

from tests.support.breaking import at_request
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance


def test_a_manifest_that_nobody_can_read_is_left_to_a_person(world: FreshBucket, machine: SimulatedInstance) -> None:
    machine.write("notes.md", "one")
    assert machine.backup().code == 0
    world.put(LATEST_MANIFEST, "not a manifest")
    machine.write("notes.md", "two")
    run = machine.backup()
    assert run.code == 3
    assert "Refused: latest/ was modified by someone else since our last backup." in run.err
    assert world.get(LATEST_MANIFEST) == b"not a manifest"
    assert world.get(f"snapshots/{world.snapshots()[-1]}/.openclaw/notes.md") == b"two"
    assert machine.backup("--overwrite-latest").code == 0
    assert world.get("latest/.openclaw/notes.md") == b"two"


def test_who_commits_to_latest_while_a_backup_writes_there_is_not_overwritten(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    machine.write("notes.md", "one")
    assert machine.backup().code == 0
    theirs = world.get(LATEST_MANIFEST) + b"\n"
    machine.write("notes.md", "two")
    # The second copy is that of the snapshot to latest/.
    with at_request("COPY", lambda: world.put(LATEST_MANIFEST, theirs), nth=2, after=True):
        run = machine.backup()
    assert run.code == 75
    assert "Somebody else wrote latest/ during this backup; it was left as they wrote it." in run.err
    assert world.get(LATEST_MANIFEST) == theirs
    name = world.snapshots()[-1]
    assert f"Snapshot {name}" in run.err
    assert world.get(f"snapshots/{name}/.openclaw/notes.md") == b"two"
