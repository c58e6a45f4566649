"""What is there and cannot be copied, archived or forbidden, is sent instead."""

from typing import Any

import obstore
import pytest
from obstore.exceptions import PermissionDeniedError

from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents, let_clock_tick
from tests.support.unreadable import closed


def archive(world: FreshBucket, key: str, storage_class: str = "GLACIER") -> None:
    world.s3.copy_object(
        Bucket=world.bucket, Key=key, CopySource={"Bucket": world.bucket, "Key": key}, StorageClass=storage_class
    )


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    for number in range(6):
        machine.write(f"workspace/{number}.md", f"note {number}")
    let_clock_tick()
    assert machine.backup().code == 0
    return machine


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_a_backup_sends_what_it_cannot_copy_because_it_is_archived_and_copies_the_rest(
    world: FreshBucket, writer: SimulatedInstance, storage_class: str
) -> None:
    for number in (1, 4):
        archive(world, f"snapshots/{world.snapshots()[-1]}/.openclaw/workspace/{number}.md", storage_class)
    writer.write("new.md")
    run = writer.backup()
    assert run.code == 0, run.err
    assert "2 objects of the last backup cannot be copied; their files are sent instead." in run.err
    assert (run.line["uploaded_files"], run.line["copied_files"], run.line["not_copied"]) == (3, 4, 2)
    writer.write("newer.md")
    again = writer.backup()
    assert (again.code, again.line["uploaded_files"], again.line["copied_files"]) == (0, 1, 7)
    assert contents(world.booted("second").state) == contents(writer.state)


def test_a_forbidden_source_is_sent_too(
    world: FreshBucket, writer: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = f"snapshots/{world.snapshots()[-1]}/.openclaw/workspace/3.md"
    genuine = obstore.copy_async

    async def copy(store: Any, source: str, target: str) -> None:
        if source == forbidden:
            raise PermissionDeniedError("status code: 403: <Code>AccessDenied</Code>")
        await genuine(store, source, target)

    monkeypatch.setattr(obstore, "copy_async", copy)
    writer.write("new.md")
    run = writer.backup()
    assert run.code == 0, run.err
    assert "workspace/3.md was denied" in run.err
    assert world.get("latest/.openclaw/workspace/3.md") == b"note 3"


@pytest.mark.parametrize("in_latest_too", [False, True])
def test_of_a_file_that_can_neither_be_read_nor_copied_latest_gives_the_content_or_it_is_a_gap_without_any(
    world: FreshBucket, writer: SimulatedInstance, in_latest_too: bool
) -> None:
    archive(world, f"snapshots/{world.snapshots()[-1]}/.openclaw/workspace/2.md")
    if in_latest_too:
        archive(world, "latest/.openclaw/workspace/2.md")
    writer.write("workspace/2.md", "changed and locked")
    writer.write("new.md")
    with closed(writer.state / "workspace/2.md"):
        run = writer.backup()
    assert run.code == 4, run.err
    assert world.get("latest/.openclaw/new.md") == b"text\n"
    held = world.manifest("latest").by_path()
    assert ("workspace/2.md" in held) is not in_latest_too
    # It may be all there is: archived, it stays where it is.
    assert "latest/.openclaw/workspace/2.md" in world.keys("latest/")
    assert writer.backup().code == 0
    assert world.get("latest/.openclaw/workspace/2.md") == b"changed and locked"
