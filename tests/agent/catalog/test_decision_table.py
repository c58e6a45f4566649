"""The decision table of a restore, row by row, on real objects."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_agent.errors import CorruptObject
from openclaw_agent.snapshot.codec import encode_manifest
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.transfers import Fetched
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance, contents, let_clock_tick

OLD, NEW = {"a": "old", "b": "same"}, {"a": "new", "b": "same", "c": "added"}
# One file that is nowhere is a gap; everything else is newer than in an older restore point.
WITHOUT_A = {"b": "same", "c": "added"}


@pytest.fixture
def writer(world: FreshBucket, machine: SimulatedInstance) -> SimulatedInstance:
    """Two snapshots; `latest/` holds the second."""
    for path, text in OLD.items():
        machine.write(path, text)
    assert machine.backup().code == 0
    for path, text in NEW.items():
        machine.write(path, text)
    assert machine.backup().code == 0
    return machine


def older(world: FreshBucket) -> str:
    return world.snapshots()[0]


def newer(world: FreshBucket) -> str:
    return world.snapshots()[1]


def whole(world: FreshBucket) -> None:
    pass


def torn_latest(world: FreshBucket) -> None:
    """A crash after the second snapshot: latest/ still has the first manifest, but some of the second's objects."""
    newest = world.get(f"snapshots/{newer(world)}/manifest.json")
    world.put(LATEST_MANIFEST, world.get(f"snapshots/{older(world)}/manifest.json"))
    world.delete("latest/.openclaw/c")
    world.put(f"snapshots/{newer(world)}/manifest.json", newest)


def overwritten_object_and_manifest_of_latest(world: FreshBucket) -> None:
    """What the drill does: damage of another size, younger than every manifest."""
    let_clock_tick()
    world.put(LATEST_MANIFEST, "not what it was")
    world.put("latest/.openclaw/a", "not what it was")


def older_state_put_into_latest(world: FreshBucket) -> None:
    for key in world.keys("latest/"):
        world.delete(key)
    let_clock_tick()
    for key in world.keys(f"snapshots/{older(world)}/"):
        world.put(key.replace(f"snapshots/{older(world)}/", "latest/"), world.get(key))


def corrupt_object_in_latest(world: FreshBucket) -> None:
    world.put("latest/.openclaw/a", "rot")


def lost_object_in_latest(world: FreshBucket) -> None:
    world.delete("latest/.openclaw/a")


def corrupt_object_everywhere(world: FreshBucket) -> None:
    world.put("latest/.openclaw/a", "rot")
    world.put(f"snapshots/{newer(world)}/.openclaw/a", "rot")


def lost_object_everywhere(world: FreshBucket) -> None:
    world.delete("latest/.openclaw/a", f"snapshots/{newer(world)}/.openclaw/a")


def corrupt_latest_manifest(world: FreshBucket) -> None:
    body = world.get(LATEST_MANIFEST)
    world.put(LATEST_MANIFEST, body.replace(b'"mode":"0', b'"mode":"1', 1))


def truncated_latest_manifest(world: FreshBucket) -> None:
    world.put(LATEST_MANIFEST, world.get(LATEST_MANIFEST)[:-20])


def no_latest(world: FreshBucket) -> None:
    world.delete(*world.keys("latest/"))


def no_latest_and_corrupt_newest_manifest(world: FreshBucket) -> None:
    no_latest(world)
    key = f"snapshots/{newer(world)}/manifest.json"
    world.put(key, world.get(key)[:-20])


def no_latest_and_unreadable_newest_header(world: FreshBucket) -> None:
    no_latest(world)
    world.put(f"snapshots/{newer(world)}/manifest.json", "<html>")


def no_latest_and_incomplete_newest(world: FreshBucket) -> None:
    no_latest(world)
    world.delete(f"snapshots/{newer(world)}/manifest.json")


def no_latest_and_corrupt_newest_object(world: FreshBucket) -> None:
    no_latest(world)
    world.put(f"snapshots/{newer(world)}/.openclaw/a", "rot")


def no_latest_and_quarantined_newest(world: FreshBucket) -> None:
    no_latest(world)
    key = f"snapshots/{newer(world)}/manifest.json"
    requarantined(world, key)


def requarantined(world: FreshBucket, key: str) -> None:
    """Mark a manifest as quarantined, as the agent would have written it."""
    source = world.manifest(key.split("/")[1])
    world.put(key, b"".join(encode_manifest(replace(source, quarantined="Fenced"))))


ROWS: list[tuple[Callable[[FreshBucket], None], dict[str, str], str]] = [
    (whole, NEW, "latest/ is complete and no older than the newest complete snapshot"),
    (torn_latest, NEW, "older than the newest complete snapshot"),
    (older_state_put_into_latest, OLD, "latest/ is complete"),
    (corrupt_object_in_latest, NEW, "latest/ is complete"),
    (lost_object_in_latest, NEW, "latest/ is complete"),
    (overwritten_object_and_manifest_of_latest, NEW, "latest/ has no readable manifest"),
    (corrupt_object_everywhere, WITHOUT_A, "latest/ is complete"),
    (lost_object_everywhere, WITHOUT_A, "latest/ is complete"),
    (corrupt_latest_manifest, NEW, "latest/ has no readable manifest"),
    (truncated_latest_manifest, NEW, "latest/ has no readable manifest"),
    (no_latest, NEW, "latest/ has no readable manifest"),
    (no_latest_and_corrupt_newest_manifest, OLD, "latest/ has no readable manifest"),
    (no_latest_and_unreadable_newest_header, OLD, "latest/ has no readable manifest"),
    (no_latest_and_incomplete_newest, OLD, "latest/ has no readable manifest"),
    (no_latest_and_corrupt_newest_object, WITHOUT_A, "latest/ has no readable manifest"),
    (no_latest_and_quarantined_newest, OLD, "latest/ has no readable manifest"),
]


@pytest.mark.parametrize(("happened", "restored", "because"), ROWS, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.usefixtures("writer")
def test_what_a_new_instance_restores_and_why(
    world: FreshBucket, happened: Callable[[FreshBucket], None], restored: dict[str, str], because: str
) -> None:
    happened(world)
    second = world.machine("second")
    run = second.boot()
    assert run.code == (4 if restored is WITHOUT_A else 0), run.err
    assert contents(second.state) == restored
    assert because in run.err
    assert because in run.line["because"]


@pytest.mark.parametrize(("happened", "restored", "_because"), ROWS, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.usefixtures("writer")
def test_the_next_backup_makes_the_bucket_whole_again(
    world: FreshBucket, happened: Callable[[FreshBucket], None], restored: dict[str, str], _because: str
) -> None:
    happened(world)
    second = world.machine("second")
    assert second.boot().code == (4 if restored is WITHOUT_A else 0)
    second.write("d", "later")
    run = second.backup()
    assert run.code == (4 if restored is WITHOUT_A else 0), run.err
    third = world.booted("third")
    assert contents(third.state) == {**restored, "d": "later"}
    assert third.restore("--verify").code == 0


@pytest.mark.parametrize("happened", [corrupt_object_in_latest, lost_object_in_latest])
@pytest.mark.usefixtures("writer")
def test_an_object_of_latest_that_cannot_be_used_is_told_and_written_anew_by_the_next_backup(
    world: FreshBucket, happened: Callable[[FreshBucket], None]
) -> None:
    good = world.get("latest/.openclaw/a")
    happened(world)
    second = world.machine("second")
    for look in (("--to", str(world.folder / "looked")), ("--boot", "--owner-wait", "0")):
        run = second.restore(*look)
        assert run.code == 0, run.err
        assert f"1 of 3 objects under latest/ cannot be used; they were taken from snapshot {newer(world)}" in run.err
        assert "latest/.openclaw/a" in run.err
        assert run.line["skipped_copies"] == 1
    assert second.backup().line["result"] == "done"
    assert world.get("latest/.openclaw/a") == good
    checked = second.restore("--verify")
    assert (checked.code, checked.line["broken"]) == (0, [])


@pytest.mark.usefixtures("writer")
def test_a_manifest_that_s3_itself_finds_corrupt_gives_way_to_the_snapshot_s(
    world: FreshBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Bucket.get

    def get(store: Bucket, key: str, *, most_bytes: int) -> Fetched | None:
        if key == LATEST_MANIFEST:
            raise CorruptObject(f"The object {key} is corrupt.")
        return real(store, key, most_bytes=most_bytes)

    monkeypatch.setattr(Bucket, "get", get)
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    assert contents(second.state) == NEW
    assert run.line["source"] == "snapshot"


def test_nothing_usable_is_a_failure_that_names_each_and_leaves_the_state(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    for key in world.keys():  # noqa: SIM118 - no dict
        if "/.openclaw/" in key:
            world.put(key, "rot")
    before = contents(writer.state)
    run = writer.restore("--force")
    assert run.code == 1
    assert "No restore point could be used." in run.err
    for name in (older(world), newer(world)):
        assert f"snapshot {name}: The object" in run.err
    assert "The current state was not changed." in run.err
    assert contents(writer.state) == before
    second = world.machine("second")
    assert second.boot().code == 1
    assert contents(second.state) == {}
    assert second.restore("--before-start").code == 3


def test_an_empty_bucket_is_a_first_start(world: FreshBucket) -> None:
    first = world.machine()
    run = first.boot()
    assert run.code == 0
    assert "The bucket holds no state: this is a first boot." in run.err
    assert run.line["result"] == "first-boot"
    assert first.state.is_dir()
    assert first.restore("--before-start").code == 0


def test_a_bucket_that_holds_only_an_owner_and_a_backup_that_was_cut_short_is_a_first_start(world: FreshBucket) -> None:
    world.put("snapshots/2026-03-04-07-40/reserved", "first epoch 1\n")
    world.put("snapshots/2026-03-04-07-40/.openclaw/half", "half")
    first = world.booted()
    assert contents(first.state) == {}


def plain_in_latest(world: FreshBucket) -> None:
    world.put("latest/.openclaw/workspace/notes.md", "hello")
    world.put("latest/.openclaw/openclaw.json", "{}")


def flat_in_latest(world: FreshBucket) -> None:
    world.put("latest/workspace/notes.md", "hello")
    world.put("latest/openclaw.json", "{}")


def plain_at_the_root(world: FreshBucket) -> None:
    world.put(".openclaw/workspace/notes.md", "hello")
    world.put(".openclaw/openclaw.json", "{}")


def flat_at_the_root(world: FreshBucket) -> None:
    world.put("workspace/notes.md", "hello")
    world.put("openclaw.json", "{}")


def plain_in_a_snapshot(world: FreshBucket) -> None:
    world.put("snapshots/2026-02-27-14-00/.openclaw/workspace/notes.md", "hello")
    world.put("snapshots/2026-02-27-14-00/.openclaw/openclaw.json", "{}")


def flat_in_a_snapshot(world: FreshBucket) -> None:
    world.put("snapshots/2026-02-27-14-00/workspace/notes.md", "hello")
    world.put("snapshots/2026-02-27-14-00/openclaw.json", "{}")


def plain_with_folder_markers(world: FreshBucket) -> None:
    plain_in_latest(world)
    for key in ("latest/", "latest/.openclaw/", "latest/.openclaw/workspace/"):
        world.put(key, "")


PLAIN = [
    plain_in_latest,
    flat_in_latest,
    plain_at_the_root,
    flat_at_the_root,
    plain_in_a_snapshot,
    flat_in_a_snapshot,
    plain_with_folder_markers,
]
PLAIN_STATE = {"openclaw.json": "{}", "workspace/notes.md": "hello"}


@pytest.mark.parametrize("uploaded", PLAIN)
def test_objects_without_a_manifest_are_restored_as_found_with_a_warning(
    world: FreshBucket, uploaded: Callable[[FreshBucket], None]
) -> None:
    uploaded(world)
    first = world.machine()
    run = first.boot()
    assert run.code == 0, run.err
    assert contents(first.state) == PLAIN_STATE
    assert "Warning: there is no manifest" in run.err
    assert "without checksums, modes or owners" in run.err
    assert (first.state / "openclaw.json").stat().st_mode & 0o7777 == 0o600
    assert first.backup().code == 0
    assert contents(world.booted("second").state) == PLAIN_STATE


@pytest.mark.parametrize("uploaded", PLAIN)
def test_looking_at_objects_without_a_manifest_changes_nothing(
    world: FreshBucket, uploaded: Callable[[FreshBucket], None]
) -> None:
    uploaded(world)
    looker = world.machine()
    looker.write("mine", "local")
    before = world.picture()
    verified = looker.restore("--verify")
    assert verified.code == 0, verified.err
    target = looker.disk / "elsewhere"
    assert looker.restore("--to", str(target)).code == 0
    assert contents(target) == PLAIN_STATE
    assert contents(looker.state) == {"mine": "local"}
    assert world.picture() == before


def test_an_emptied_state_does_not_erase_a_plain_upload(world: FreshBucket) -> None:
    plain_in_latest(world)
    first = world.booted()
    latest = {key: world.get(key) for key in world.keys("latest/")}
    first.lose_state()
    first.state.mkdir()
    run = first.backup()
    assert run.code == 3, run.err
    assert {key: world.get(key) for key in world.keys("latest/")} == latest


def test_a_plain_database_is_folded_and_a_foreign_shared_memory_file_dropped(
    world: FreshBucket, tmp_path: Path
) -> None:
    writer = sqlite3.connect(tmp_path / "db", isolation_level=None)
    writer.execute("PRAGMA journal_mode=wal")
    writer.execute("CREATE TABLE t(a)")
    writer.execute("INSERT INTO t VALUES (7)")
    for name in ("db", "db-wal", "db-shm"):
        world.put(f"latest/.openclaw/{name}", (tmp_path / name).read_bytes())
    writer.close()
    first = world.booted()
    assert [place.name for place in first.state.iterdir()] == ["db"]
    with sqlite3.connect(f"file:{first.state / 'db'}?mode=ro&immutable=1", uri=True) as reader:
        assert reader.execute("SELECT a FROM t").fetchall() == [(7,)]


@pytest.mark.parametrize(
    "command", [("--force",), ("--boot", "--owner-wait", "0"), ("--list",), ("--verify",), ("--diff", "latest")]
)
def test_a_missing_bucket_is_never_a_first_start(world: FreshBucket, command: tuple[str, ...]) -> None:
    first = world.machine()
    first.write("mine")
    run = first.restore(*command, "--bucket", "no-such-bucket-of-ours")
    assert run.code == 1
    assert "The bucket 'no-such-bucket-of-ours' does not exist" in run.err
    assert contents(first.state) == {"mine": "text\n"}
    assert first.restore("--before-start").code == 3


@pytest.mark.parametrize("denied", ["s3:GetObject", "s3:PutObject"])
def test_a_bucket_that_denies_is_never_a_first_start(
    world: FreshBucket, writer: SimulatedInstance, denied: str
) -> None:
    del writer
    arn = f"arn:aws:s3:::{world.bucket}"
    statement = {"Effect": "Deny", "Principal": "*", "Action": denied, "Resource": [arn, f"{arn}/*"]}
    world.s3.put_bucket_policy(
        Bucket=world.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    second = world.machine("second")
    run = second.boot()
    assert run.code == 1, run.err
    assert "was denied" in run.err
    assert "first boot" not in run.err
    assert contents(second.state) == {}
    assert second.restore("--before-start").code == 3


def test_an_unreadable_manifest_alone_is_no_plain_upload(world: FreshBucket, writer: SimulatedInstance) -> None:
    truncated_latest_manifest(world)
    world.delete(*world.keys("snapshots/"))
    run = world.machine("second").boot()
    assert run.code == 1
    assert "latest/" in run.err
    assert "first boot" not in run.err
