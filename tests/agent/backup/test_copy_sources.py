"""What a backup copies inside S3 is what its manifest promises, wherever the state in place came from."""

import sqlite3
from pathlib import Path

import pytest

from lab.moto.server import EmbeddedAws
from openclaw_agent.lease.record import Lease
from openclaw_agent.store import bucket as object_store
from tests.support.breaking import at_request, raising
from tests.support.simulated_instance import (
    EVERY_SNAPSHOT_WHOLE,
    FreshBucket,
    SimulatedInstance,
    contents,
    let_clock_tick,
)

ARCHIVED = {"openclaw.json": "ARCHIVED", "notes.md": "archive notes"}
PRESENT = {"openclaw.json": "PRESENT!", "notes.md": "present notes"}


def backed_up(world: FreshBucket, name: str, files: dict[str, str]) -> SimulatedInstance:
    machine = world.booted(name)
    for path, text in files.items():
        machine.write(path, text)
    let_clock_tick()
    assert machine.backup().code == 0
    return machine


def require_right_bytes(world: FreshBucket, prefix: str, machine: SimulatedInstance) -> None:
    """Every object below the prefix is the file of the machine's state."""
    folder = f"{prefix}.openclaw/"
    held = {key.removeprefix(folder): world.get(key).decode() for key in world.keys(folder)}
    assert held == contents(machine.state)


@pytest.fixture
def archive(embedded_aws: EmbeddedAws, tmp_path: Path) -> FreshBucket:
    """Another stack's bucket, whose snapshot has the very minute of ours, as all timers have it."""
    world = FreshBucket(embedded_aws, tmp_path / "archive")
    backed_up(world, "archivist", ARCHIVED)
    return world


def test_a_latest_that_came_from_elsewhere_lends_its_snapshot_s_name_to_no_copy(
    world: FreshBucket, archive: FreshBucket
) -> None:
    machine = backed_up(world, "first", PRESENT)
    assert world.snapshots() == archive.snapshots()
    for key in archive.keys("latest/"):
        world.put(key, archive.get(key))
    assert machine.reboot().code == 0
    assert contents(machine.state) == ARCHIVED
    machine.write("new", "x")
    run = machine.backup()
    assert run.code == 0, run.err
    for prefix in (f"snapshots/{run.line['snapshot']}/", "latest/"):
        require_right_bytes(world, prefix, machine)
    assert machine.backup().line["result"] == "unchanged"
    assert world.booted("second").restore("--verify").code == 0


def test_a_machine_that_is_pointed_at_another_bucket_keeps_its_state_aside_there_whole(
    world: FreshBucket, archive: FreshBucket
) -> None:
    machine = backed_up(world, "first", PRESENT)
    machine.world = archive
    machine.write("notes.md", "edited since")
    state = contents(machine.state)
    assert machine.reboot().code == 0
    kept = archive.snapshots()[-1]
    held = {key.rsplit("/", 1)[1]: archive.get(key).decode() for key in archive.keys(f"snapshots/{kept}/.openclaw/")}
    assert held == state
    assert contents(machine.state) == ARCHIVED


def test_a_snapshot_of_another_bucket_that_was_synced_into_the_state_lends_its_name_to_no_copy(
    world: FreshBucket, archive: FreshBucket
) -> None:
    machine = backed_up(world, "first", PRESENT)
    name = archive.snapshots()[0]
    for place in machine.state.iterdir():
        place.unlink()
    for key in archive.keys(f"snapshots/{name}/"):
        machine.write(key.removeprefix(f"snapshots/{name}/"), archive.get(key).decode())
    # This bucket's snapshot of that name is the truth, and the copy is another: refused, and nothing is written.
    before = {key: world.get(key) for key in world.keys("")}
    run = machine.restore("--before-start")
    assert run.code != 0
    assert "is not the file that its manifest promises" in run.err
    assert {key: world.get(key) for key in world.keys("")} == before


def test_after_a_restore_of_our_own_latest_unchanged_files_are_copied(world: FreshBucket) -> None:
    backed_up(world, "first", PRESENT)
    second = world.booted("second")
    second.write("new", "x")
    run = second.backup()
    assert (run.line["copied_files"], run.line["uploaded_files"]) == (len(PRESENT), 1)


def test_a_full_backup_sends_everything_and_writes_latest_anew(world: FreshBucket) -> None:
    """What somebody altered in the last snapshot and in latest/ is in neither after it."""
    machine = backed_up(world, "first", PRESENT)
    for key in (*world.keys("latest/"), *world.keys("snapshots/")):
        if key.endswith("notes.md"):
            world.put(key, "rot")
    run = machine.backup("--full")
    assert (run.code, run.line["result"]) == (0, "done")
    require_right_bytes(world, f"snapshots/{run.line['snapshot']}/", machine)
    require_right_bytes(world, "latest/", machine)


DAMAGE = b"\xff" * 4096


def broken(database: Path) -> None:
    body = bytearray(database.read_bytes())
    body[4096:8192] = DAMAGE
    database.write_bytes(body)


@pytest.mark.parametrize("latest_too", [False, True])
def test_the_last_good_copy_of_a_damaged_database_is_rescued_from_latest(world: FreshBucket, latest_too: bool) -> None:
    machine = world.booted("first")
    with sqlite3.connect(machine.state / "db.sqlite") as database:
        database.execute("CREATE TABLE rows (text)")
        database.executemany("INSERT INTO rows VALUES (?)", [("x" * 1000,)] * 20)
    database.close()
    machine.write("notes", "one")
    let_clock_tick()
    assert machine.backup().code == 0
    good = world.get("latest/.openclaw/db.sqlite")
    world.delete(*world.keys("snapshots/"), *(["latest/.openclaw/db.sqlite"] if latest_too else []))
    broken(machine.state / "db.sqlite")
    machine.write("notes", "two")
    run = machine.backup()
    assert run.code == 4
    assert "fails its integrity check" in run.err
    assert world.get("latest/.openclaw/notes") == b"two"
    for prefix in ("latest/", f"snapshots/{run.line['snapshot']}/"):
        held = world.get(f"{prefix}.openclaw/db.sqlite")
        assert (held == good) is not latest_too
        assert (DAMAGE in held) is latest_too


def preempted(world: FreshBucket, first: SimulatedInstance) -> SimulatedInstance:
    """A second machine that took the bucket from the first, which had not let go of it."""
    second = world.booted("second")
    assert Lease.decode(world.get("owner.json")).preempted == first.name
    return second


def test_a_late_commit_of_a_preempted_holder_does_not_lock_the_new_one_out(world: FreshBucket) -> None:
    """The old owner stalls between its last look and its commit; the new one has restored, but not backed up yet."""
    first = backed_up(world, "first", PRESENT)
    first.write("notes.md", "late")
    machines: list[SimulatedInstance] = []

    # The second copy is that of the snapshot to latest/.
    with at_request("COPY", lambda: machines.append(preempted(world, first)), nth=2):
        late = first.backup()
    assert late.code == 0, late.err
    second = machines[0]
    second.write("own", "work")
    run = second.backup()
    assert run.code == 0, run.err
    require_right_bytes(world, "latest/", second)
    assert second.backup().line["result"] == "unchanged"


def test_what_a_preempted_holder_wrote_late_without_its_manifest_is_overwritten(world: FreshBucket) -> None:
    first = backed_up(world, "first", PRESENT)
    second = preempted(world, first)
    world.put("latest/.openclaw/notes.md", "late")
    world.put("latest/.openclaw/late", "late")
    second.write("own", "work")
    assert second.backup().code == 0
    require_right_bytes(world, "latest/", second)


def test_an_older_snapshot_that_an_operator_put_into_latest_is_no_late_commit(world: FreshBucket) -> None:
    first = backed_up(world, "first", PRESENT)
    first.write("notes.md", "newer")
    assert first.backup().code == 0
    older = world.snapshots()[0]
    second = preempted(world, first)
    for key in world.keys(f"snapshots/{older}/"):
        world.put(key.replace(f"snapshots/{older}/", "latest/"), world.get(key))
    second.write("own", "work")
    assert second.backup().code == 3


def test_an_owner_that_stalled_for_long_looks_again_before_it_touches_latest(
    world: FreshBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = backed_up(world, "first", PRESENT)
    first.write("notes.md", "late")
    monkeypatch.setattr("openclaw_agent.backup.latest_guard.LOOK_GOOD_FOR_SECONDS", 0.0)
    latest = world.picture("latest/")
    # The name, then the manifest.
    with at_request("PUT snapshots/", lambda: preempted(world, first), nth=2, after=True):
        run = first.backup()
    assert run.code == 75, run.err
    assert world.picture("latest/") == latest


def test_a_state_that_shrank_since_an_upload_by_hand_is_not_put_over_it(world: FreshBucket) -> None:
    for number in range(10):
        world.put(f"latest/.openclaw/{number}", f"uploaded {number}")
    machine = world.booted("first")
    for number in range(1, 10):
        (machine.state / str(number)).unlink()
    latest = world.picture("latest/")
    run = machine.backup()
    assert run.code == 3
    assert "the state folder holds 1 files, the last backup held 10" in run.err
    assert world.picture("latest/") == latest


def test_a_state_that_shrank_after_the_machine_s_memory_was_lost_is_not_put_over_latest(world: FreshBucket) -> None:
    machine = backed_up(world, "first", {str(number): "text" for number in range(10)})
    (machine.agent / "base-manifest.json").write_text("torn")
    for number in range(1, 10):
        (machine.state / str(number)).unlink()
    assert machine.backup().code == 3


def test_a_clock_that_was_set_back_before_a_crash_locks_nobody_out(world: FreshBucket) -> None:
    machine = backed_up(world, "first", PRESENT)
    world.clock.now = world.clock.now.replace(hour=7)
    machine.write("notes.md", "after the clock was set back")
    with at_request("PUT latest/", raising(OSError(5, "crashed here")), after=True):
        assert machine.backup().code == 1
    machine.write("new", "x")
    assert machine.backup().code == 0
    require_right_bytes(world, "latest/", machine)


def test_a_second_backup_in_one_minute_asks_for_no_more(world: FreshBucket) -> None:
    machine = backed_up(world, "first", PRESENT)
    for second in range(1, 3):
        world.clock.now = world.clock.now.replace(minute=0, second=second * 20)
        machine.write("notes.md", f"{second}")
        run = machine.backup()
        assert run.total_requests <= len(PRESENT) + 1 + 6, run.requests


def test_a_huge_object_is_copied_in_huge_parts_and_each_is_counted(
    world: FreshBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "MAX_SINGLE_COPY_BYTES", 10 * 1024 * 1024)
    monkeypatch.setattr(object_store, "HUGE_COPY_PART_BYTES", 8 * 1024 * 1024)
    machine = backed_up(world, "first", {"huge": "x" * 20 * 1024 * 1024, "notes.md": "one"})
    machine.write("notes.md", "two")
    machine.environment.update(EVERY_SNAPSHOT_WHOLE)
    run = machine.backup()
    # HEAD, begin, three parts, end; and the small file's copy to latest/.
    assert run.requests["COPY"] == 5 + 1
    assert run.requests["HEAD"] == 1 + 1
