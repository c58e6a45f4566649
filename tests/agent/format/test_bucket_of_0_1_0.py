"""A bucket that version 0.1.0 wrote is listed, verified, restored, taken over, backed up onto and pruned."""

import base64
import hashlib
import json
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import asdict, astuple, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab.moto.server import EmbeddedAws
from openclaw_agent.snapshot.codec import MANIFEST_FORMAT, decode_manifest
from openclaw_agent.snapshot.manifest import Entry, Fingerprint
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance, let_clock_tick

HERE = Path(__file__).parent
BUCKET = json.loads((HERE / "bucket_0_1_0.json").read_text())
TREES = json.loads((HERE / "trees_0_1_0.json").read_text())
RESTORE_POINTS = tuple(TREES["trees"])
MANIFEST_KEYS = tuple(key for key in BUCKET["order"] if key.endswith("/manifest.json") and "/.openclaw/" not in key)

QUARANTINED = "2026-03-13-09-00"
PARTIALLY_WRITTEN = "2026-03-13-10-00"
LAST_HOLDER = "i-0ccccccccccccccc3"
PREEMPTED = "i-0bbbbbbbbbbbbbbb2"
# Keys of an upload by hand, of which no disk can hold a file.
UNRESTORABLE = ("latest/.openclaw/a//b", "latest/README.txt")
NEXT_DAY = datetime(2026, 3, 14, 8, tzinfo=UTC)
# On 15 March at noon: one for each of the last days, the quarantined one apart, and one for the week before.
PRUNED_AT = "2026-03-15T12:00:00Z"
KEPT = ("2026-03-01-08-00", "2026-03-12-23-00", "2026-03-13-08-00", QUARANTINED)

HEADER_FIELDS = {
    *("format", "snapshot", "created", "epoch", "instance_id", "stack", "agent_version", "quarantined", "capture"),
    *("files", "bytes", "damaged", "entries", "excluded", "skipped", "left_behind", "sha256"),
}
ENTRY_FIELDS = {
    *("path", "kind", "mode", "uid", "gid", "mtime_ns", "size", "sha256", "holes", "key", "target"),
    *("database", "unchecked", "captured_live", "seen", "seen_wal"),
}
DAMAGED_FIELDS = {"path", "problem", "stored_as", "last_good", "sha256"}

Tree = dict[bytes, dict[str, Any]]


def body_of(key: str) -> bytes:
    return zlib.decompress(base64.b64decode(BUCKET["bodies_zlib_base64"][BUCKET["objects"][key]]))


def load(world: FreshBucket) -> FreshBucket:
    world.put_all({key: body_of(key) for key in BUCKET["order"]})
    return world


@pytest.fixture
def old_bucket(world: FreshBucket) -> FreshBucket:
    """The bucket as 0.1.0 left it, for a test that writes to it."""
    return load(world)


@pytest.fixture(scope="module")
def reader(embedded_aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> SimulatedInstance:
    """Someone at a laptop who only looks at the bucket."""
    return load(FreshBucket(embedded_aws, tmp_path_factory.mktemp("reader"))).machine("laptop")


def expected_tree(name: str) -> Tree:
    """What 0.1.0 restored from this restore point."""
    rows = (TREES["rows"][number] for number in TREES["trees"][name])
    return {bytes.fromhex(row["path_hex"]): comparable(row) for row in rows}


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    # Only root can give a file to somebody else.
    return row if os.geteuid() == 0 else {name: value for name, value in row.items() if name != "owner"}


def tree_of(folder: Path) -> Tree:
    return {bytes.fromhex(row["path_hex"]): comparable(row) for row in rows_of(folder)}


def rows_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Every path below a folder, the folder itself as "", in the words of the sample."""
    places = [folder]
    for place, folders, files in os.walk(folder):
        places += [Path(place, name) for name in folders + files]
    for path in places:
        status = path.lstat()
        row: dict[str, Any] = {
            "path_hex": os.fsencode(path.relative_to(folder)).hex() if path != folder else "",
            "mode": f"{stat.S_IMODE(status.st_mode):04o}",
            "owner": [status.st_uid, status.st_gid],
            "mtime_ns": status.st_mtime_ns,
        }
        if stat.S_ISLNK(status.st_mode):
            row |= {"kind": "symlink", "target_hex": os.fsencode(os.readlink(path)).hex()}  # noqa: PTH115 - unchanged
        elif stat.S_ISDIR(status.st_mode):
            row |= {"kind": "dir"}
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            row |= {"kind": "file", "size": status.st_size, "sha256": digest}
        yield row


def require_same_tree(found: Tree, expected: Tree) -> None:
    assert found.keys() == expected.keys()
    assert {path: row for path, row in found.items() if row != expected[path]} == {}


def restored(instance: SimulatedInstance, name: str, place: str) -> Tree:
    target = instance.disk / f"{place}-{name}"
    run = instance.restore("--snapshot", name, "--to", str(target))
    assert run.code == 0, run.err
    return tree_of(target)


def bodies(world: FreshBucket, keys: list[str]) -> dict[str, bytes]:
    return {key: world.get(key) for key in keys}


def test_it_is_the_bucket_of_that_version() -> None:
    assert (BUCKET["written_by"], BUCKET["commit"]) == ("0.1.0", "b36575a")
    assert len(MANIFEST_KEYS) == len(RESTORE_POINTS) == 9
    read = [json.loads(body_of(key)) for key in MANIFEST_KEYS]
    assert {row["format"] for row in read} == {1}
    assert {row["epoch"] for row in read} == {1, 2, 3}
    assert {row["capture"]["method"] for row in read} == {"frozen", "live", "mixed", "stopped"}
    assert with_a_value(read) == HEADER_FIELDS
    assert with_a_value([entry for row in read for entry in row["entries"]]) == ENTRY_FIELDS
    assert with_a_value([damaged for row in read for damaged in row["damaged"]]) == DAMAGED_FIELDS


def with_a_value(rows: list[dict[str, Any]]) -> set[str]:
    """The fields that say something in at least one row."""
    return {name for row in rows for name, value in row.items() if value not in ("", [], None)}


@pytest.mark.parametrize("key", MANIFEST_KEYS)
def test_what_a_manifest_tells_beside_the_tree_is_read_too(key: str) -> None:
    body = body_of(key)
    written, read = json.loads(body), decode_manifest(body.splitlines(keepends=True))
    for name in ("snapshot", "created", "epoch", "instance_id", "stack", "agent_version", "quarantined"):
        assert getattr(read, name) == written[name]
    assert {"method": read.method, "freeze_ms": read.freeze_ms} == written["capture"]
    assert (read.totals().files, read.totals().bytes) == (written["files"], written["bytes"])
    for name in ("excluded", "skipped"):
        assert [asdict(row) for row in getattr(read, name)] == written[name]
    assert [{**asdict(row), "sha256": row.sha256.hex()} for row in read.damaged] == written["damaged"]
    assert [(row.path, row.captured_live, *fingerprints(row)) for row in read.entries] == [
        (row["path"], row.get("captured_live", False), *(row[name] for name in ("seen", "seen_wal") if name in row))
        for row in written["entries"]
    ]


def fingerprints(entry: Entry) -> list[list[int]]:
    """The file's and then its log's, as far as there are any."""
    values = (getattr(entry, field.name) for field in fields(entry))
    return [list(astuple(value)) for value in values if isinstance(value, Fingerprint)]


def test_every_restore_point_is_listed_for_what_it_is(reader: SimulatedInstance) -> None:
    run = reader.restore("--list", "--json")
    assert run.code == 0, run.err
    listed = {row["name"]: row["complete"] for row in json.loads(run.out)}
    whole = dict.fromkeys(RESTORE_POINTS, "yes")
    assert listed == {**whole, QUARANTINED: "quarantined", PARTIALLY_WRITTEN: "no"}


@pytest.mark.parametrize("name", RESTORE_POINTS)
def test_each_restore_point_is_verified_and_restored_as_0_1_0_restored_it(reader: SimulatedInstance, name: str) -> None:
    run = reader.restore("--verify", "--snapshot", name)
    assert run.code == 0, run.err
    require_same_tree(restored(reader, name, "once"), expected_tree(name))
    # What is a hole needs no room; only the look at the disk before a restore asks for it.
    assert reader.world.manifest(name).by_path()["workspace/sparse.img"].sparse_bytes == 2_088_960


def test_a_partially_written_snapshot_is_no_restore_point(reader: SimulatedInstance) -> None:
    target = reader.disk / "partial"
    run = reader.restore("--snapshot", PARTIALLY_WRITTEN, "--to", str(target))
    assert run.code == 1
    assert PARTIALLY_WRITTEN in run.err
    assert not target.exists() or list(target.iterdir()) == []


def test_a_new_instance_takes_it_over_backs_up_onto_it_and_prunes_it(old_bucket: FreshBucket) -> None:
    world = old_bucket
    snapshots_before = world.keys("snapshots/")
    untouched = bodies(world, [*snapshots_before, *UNRESTORABLE])
    times_before = world.picture("snapshots/")

    fourth = world.booted("i-0ddddddddddddddd4")
    require_same_tree(tree_of(fourth.state), expected_tree("latest"))
    assert world.owner()["epoch"] == 4
    assert LAST_HOLDER in world.owner().values(), "it had not released the bucket, and may still be at work"

    fourth.write("workspace/fourth.md", "written by a newer version\n")
    let_clock_tick()
    world.clock.now = NEXT_DAY
    run = fourth.backup()
    assert run.code == 0, run.err
    new = run.line["snapshot"]
    assert new == "2026-03-14-08-00"
    assert json.loads(world.get(f"snapshots/{new}/manifest.json"))["format"] == MANIFEST_FORMAT
    assert world.get(LATEST_MANIFEST) == world.get(f"snapshots/{new}/manifest.json")
    assert all(key in world.get(LATEST_MANIFEST).decode() for key in UNRESTORABLE)
    assert all(world.get(key) == body for key, body in untouched.items())
    assert {key: row for key, row in world.picture("snapshots/").items() if f"/{new}/" not in key} == times_before
    expected = tree_of(fourth.state)
    assert expected.keys() == expected_tree("latest").keys() | {b"workspace/fourth.md"}
    require_same_tree(restored(fourth, "latest", "backed-up"), expected)

    run = fourth.lifecycle("--now", PRUNED_AT)
    assert run.code == 0, run.err
    assert set(world.snapshots()) == {*KEPT, new}
    assert all(world.get(key) == body for key, body in untouched.items() if is_kept(key))
    for name in KEPT:
        require_same_tree(restored(fourth, name, "pruned"), expected_tree(name))
    fifth = world.booted("i-0eeeeeeeeeeeeeee5")
    require_same_tree(tree_of(fifth.state), expected)


def test_a_database_damaged_since_is_stood_in_for_by_an_old_copy_if_that_was_good(old_bucket: FreshBucket) -> None:
    world = old_bucket
    fourth = world.booted("i-0ddddddddddddddd4")
    good, unverified = "memory/main.sqlite", "memory/newer.sqlite"
    for path in (good, unverified):
        with (fourth.state / path).open("r+b") as pages:
            pages.seek(512)
            pages.write(b"\xff" * 512)
    world.clock.now = NEXT_DAY
    run = fourth.backup()
    assert run.code == 4
    assert {row.path: row.last_good for row in world.manifest("latest").damaged} == {
        good: "2026-03-13-08-00",
        unverified: "",
    }
    tree = restored(fourth, "latest", "stood-in")
    assert tree[good.encode()] == expected_tree("latest")[good.encode()]
    assert tree[unverified.encode()]["sha256"] == digest_of(fourth.state / unverified)


def test_the_holder_itself_upgraded_still_knows_whom_it_preempted(old_bucket: FreshBucket) -> None:
    assert json.loads(body_of("owner.json"))["displaced"] == PREEMPTED
    old_bucket.booted(LAST_HOLDER)
    owner = old_bucket.owner()
    assert (owner["epoch"], owner["instance_id"], owner["released"]) == (4, LAST_HOLDER, False)
    assert PREEMPTED in owner.values()


def digest_of(place: Path) -> str:
    return hashlib.sha256(place.read_bytes()).hexdigest()


def is_kept(key: str) -> bool:
    return not key.startswith("snapshots/") or key.split("/")[1] in KEPT
