"""What is newer than what a boot restores, and is not restored by itself, is told with the command that takes it."""

import pytest

from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    for number in range(10):
        machine.write(f"workspace/{number}.md")
    assert machine.backup().code == 0
    return machine


def test_a_refused_final_backup_is_told_at_the_next_boot_with_the_command_that_takes_it(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    for number in range(8):
        (writer.state / f"workspace/{number}.md").unlink()
    writer.write("workspace/9.md", "the last words")
    refused = writer.backup("--final")
    assert refused.code == 3
    name = refused.line["snapshot"]
    again = writer.reboot()
    assert (again.code, again.line["result"]) == (0, "kept")
    assert f"Snapshot {name} is newer" in again.err
    assert "--accept-shrink" in again.err
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0
    assert len(contents(second.state)) == 10
    assert "the state folder holds 2 files, the last backup held 10" in run.err
    assert f"openclaw-s3-restore.py run --snapshot {name} --force" in run.err
    assert run.line["passed_over"] == [name]
    assert second.restore("run", "--snapshot", name, "--force").code == 0
    assert contents(second.state)["workspace/9.md"] == "the last words"


def test_a_torn_snapshot_is_told_and_an_older_quarantined_one_is_not(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    for number in range(8):
        (writer.state / f"workspace/{number}.md").unlink()
    assert writer.backup().code == 3
    assert writer.backup("--accept-shrink").code == 0
    run = world.machine("second").boot()
    assert "is newer" not in run.err
    writer.write("more.md")
    name = world.snapshots()[-1]
    world.put(f"snapshots/{name}/manifest.json", world.get(f"snapshots/{name}/manifest.json")[:-5])
    run = world.machine("third").boot()
    assert run.code == 0
    told = f"Snapshot {name} is newer and is not restored by itself: The manifest ends before its checksum: it is torn."
    assert told in run.err
