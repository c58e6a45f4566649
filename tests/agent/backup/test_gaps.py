"""One thing that cannot be read does not stop the rest: what is a gap, what stands for it, and who has accepted it."""

import errno
import fcntl
import json
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_agent.capture.carried import carried_over, put_in_place, with_their_databases
from openclaw_agent.snapshot.codec import decode_manifest, encode_manifest
from openclaw_agent.snapshot.manifest import CaptureMethod, Entry, EntryKind, Gap, Manifest, Omission, path_order
from tests.support.samples import examples
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents, let_clock_tick
from tests.support.unreadable import closed


def make_database(place: Path, rows: int) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(place) as database:
        database.execute("CREATE TABLE IF NOT EXISTS t(a)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 3000,)] * rows)
    database.close()


def break_database(place: Path) -> None:
    with place.open("r+b") as out:
        out.seek(100)
        out.write(b"\xff" * 8000)


def gaps(world: FreshBucket) -> dict[str, bool]:
    """The gaps of `latest/`, with whether each is accepted."""
    return {gap.path: gap.accepted for gap in world.manifest("latest").gaps}


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    """A machine with a state in S3 that has changed everywhere since."""
    for path in ("notes.md", "workspace/drive/a.md", "workspace/drive/deep/b.md", "other.md"):
        machine.write(path, "old")
    make_database(machine.state / "db.sqlite", 3)
    let_clock_tick()
    assert machine.backup().code == 0
    for path in ("notes.md", "workspace/drive/a.md", "workspace/drive/deep/b.md", "other.md", "workspace/drive/new.md"):
        machine.write(path, "changed since")
    return machine


@pytest.mark.parametrize(
    ("unreadable", "stand_for_it"),
    [
        ("notes.md", {"notes.md": "old"}),
        ("workspace/drive", {"workspace/drive/a.md": "old", "workspace/drive/deep/b.md": "old"}),
        ("workspace/drive/deep", {"workspace/drive/deep/b.md": "old"}),
        ("workspace/drive/new.md", {}),
    ],
)
def test_what_cannot_be_read_is_told_and_everything_else_is_backed_up(
    world: FreshBucket, writer: SimulatedInstance, unreadable: str, stand_for_it: dict[str, str]
) -> None:
    now = contents(writer.state)
    with closed(writer.state / unreadable):
        run = writer.backup("--final")
    assert run.code == 4, run.err
    assert f"{unreadable!r}: it cannot be read (Permission denied)" in run.err
    assert f"--accept-gap={unreadable}" in run.err
    assert (run.line["result"], run.line["gaps"], run.line["gap_count"]) == ("gaps", [unreadable], 1)
    assert gaps(world) == {unreadable: False}
    newer = {path: text for path, text in now.items() if path != unreadable and not path.startswith(f"{unreadable}/")}
    second = world.booted("second")
    assert {path: text for path, text in contents(second.state).items() if path != "db.sqlite"} == {
        path: text for path, text in (newer | stand_for_it).items() if path != "db.sqlite"
    }
    stale = {entry.path for entry in world.manifest("latest").entries if entry.stale}
    assert stale == set(stand_for_it)
    assert world.owner()["released"] is False  # by the second one, which has acquired it without waiting


def test_what_can_be_read_again_is_no_gap_any_more(world: FreshBucket, writer: SimulatedInstance) -> None:
    with closed(writer.state / "workspace/drive"):
        assert writer.backup().code == 4
        assert writer.backup("--accept-gap", "workspace/drive").code == 0
    run = writer.backup()
    assert run.code == 0, run.err
    assert gaps(world) == {}
    assert world.get("latest/.openclaw/workspace/drive/new.md") == b"changed since"
    assert not any(entry.stale for entry in world.manifest("latest").entries)
    with closed(writer.state / "workspace/drive"):
        # What was accepted was that gap, not this one.
        writer.write("other.md", "again")
        assert writer.backup().code == 4


@pytest.mark.parametrize("which", ["db.sqlite", "db.sqlite-wal"])
def test_a_database_of_which_a_file_cannot_be_read_is_kept_as_in_the_last_backup_without_the_log_of_now(
    world: FreshBucket, writer: SimulatedInstance, which: str
) -> None:
    held_open = sqlite3.connect(writer.state / "db.sqlite", isolation_level=None)
    held_open.execute("PRAGMA journal_mode=WAL")
    held_open.executemany("INSERT INTO t VALUES (?)", [("y",)] * 5)
    good = world.get("latest/.openclaw/db.sqlite")
    with closed(writer.state / which):
        run = writer.backup()
    held_open.close()
    assert run.code == 4, run.err
    assert set(gaps(world)) == {"db.sqlite"}
    assert world.get("latest/.openclaw/db.sqlite") == good
    assert not [key for key in world.keys("latest/") if key.endswith(("-wal", "-shm"))]
    assert world.get("latest/.openclaw/notes.md") == b"changed since"


def test_a_file_that_the_disk_cannot_read_is_a_gap(
    world: FreshBucket, writer: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_sector = (writer.state / "notes.md").stat().st_ino
    genuine = fcntl.ioctl

    def ioctl(descriptor: int, request: int, argument: Any = 0, *rest: Any) -> Any:
        if isinstance(argument, int) and argument > 2 and os.fstat(argument).st_ino == bad_sector:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return genuine(descriptor, request, argument, *rest)

    with monkeypatch.context() as patching:
        patching.setattr(fcntl, "ioctl", ioctl)
        run = writer.backup()
    assert run.code == 4, run.err
    assert "'notes.md': it cannot be read (Input/output error); the backup keeps what the last one had of it" in run.err
    assert world.get("latest/.openclaw/notes.md") == b"old"
    assert world.get("latest/.openclaw/other.md") == b"changed since"


def test_a_damaged_fixture_is_accepted_once_and_for_the_instances_that_follow(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    fixture = machine.state / "workspace/repo/fixtures/corrupt.sqlite"
    make_database(fixture, 5)
    break_database(fixture)
    machine.write("notes.md", "one")
    first = machine.backup()
    assert first.code == 4, first.err
    assert "'workspace/repo/fixtures/corrupt.sqlite': the database fails its integrity check" in first.err
    assert machine.backup().code == 4
    accepted = machine.backup("--accept-gap", "workspace/repo/")
    assert accepted.code == 0, accepted.err
    assert (accepted.line["result"], accepted.line["gap_count"], accepted.line["gaps_accepted"]) == ("done", 1, 1)
    assert machine.backup().line["result"] == "unchanged"
    machine.write("notes.md", "two")
    assert machine.backup("--final").code == 0
    second = world.booted("second")
    second.write("notes.md", "three")
    run = second.backup()
    assert (run.code, run.line["gap_count"]) == (0, 1), run.err
    assert gaps(world) == {"workspace/repo/fixtures/corrupt.sqlite": True}
    another = second.state / "workspace/repo/fixtures/another.sqlite"
    make_database(another, 5)
    break_database(another)
    assert second.backup().code == 4


def test_accepted_gaps_are_counted_and_open_ones_fail(world: FreshBucket, writer: SimulatedInstance) -> None:
    (writer.disk / "instance.json").write_text(json.dumps({"metric_namespace": world.bucket, "stack": "dev"}))
    writer.environment["OPENCLAW_FREEZER"] = "none"
    with closed(writer.state / "notes.md", writer.state / "other.md"):
        assert writer.backup().code == 4
        assert counted(world) == {"BackupFailed": 1, "Gaps": 2}
        assert writer.backup("--accept-gap", "notes.md", "--accept-gap", str(writer.state / "other.md")).code == 0
    assert counted(world) == {"BackupFailed": 1, "BackupSucceeded": 1, "Gaps": 4}


def counted(world: FreshBucket) -> dict[str, int]:
    cloudwatch = world.aws.client("cloudwatch")
    names = {row["MetricName"] for row in cloudwatch.list_metrics(Namespace=world.bucket)["Metrics"]}
    return {name: int(sum_of(cloudwatch, world.bucket, name)) for name in names}


def sum_of(cloudwatch: Any, namespace: str, name: str) -> float:
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    rows: list[dict[str, float]] = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": "Stack", "Value": "dev"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=7200,
        Statistics=["Sum"],
    )["Datapoints"]
    return sum(row["Sum"] for row in rows)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("other.md", "--accept-gap 'other.md' is not allowed: nothing there is a gap; the gaps are 'notes.md'."),
        ("/etc/passwd", "--accept-gap '/etc/passwd' is not allowed: it must be relative to the state folder"),
        ("a/../..", "--accept-gap 'a/../..' is not allowed: it must be relative to the state folder"),
    ],
)
def test_what_is_no_gap_cannot_be_accepted_and_nothing_is_written(
    world: FreshBucket, writer: SimulatedInstance, path: str, sentence: str
) -> None:
    before = world.picture()
    with closed(writer.state / "notes.md"):
        run = writer.backup("--accept-gap", path)
    assert run.code == 2
    assert sentence in run.err
    assert world.picture() == before


def test_a_gap_of_which_no_content_is_known_costs_latest_no_object(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    """After a restore of something else, or with a damaged record: nothing says what the folder held."""
    (writer.agent / "base-manifest.json").unlink()
    with closed(writer.state / "workspace/drive"):
        run = writer.backup("--overwrite-latest")
    assert run.code == 4, run.err
    assert world.get("latest/.openclaw/workspace/drive/a.md") == b"old"
    with closed(writer.state / "workspace/drive"):
        writer.write("other.md", "again")
        assert writer.backup("--full").code == 4
    assert world.get("latest/.openclaw/workspace/drive/a.md") == b"old"


NAMES = st.sampled_from(["a", "b", "c.sqlite", "c.sqlite-wal"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Entry]:
    """A consistent state: every file's folders are there, some files are databases."""
    entries = {"": Entry("", EntryKind.DIR, 0o700, 0, 0, 0)}
    for path in draw(st.lists(PATHS, max_size=6, unique=True)):
        parts = path.split("/")
        parents = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        if path in entries or any(entries.get(parent, entries[""]).kind is EntryKind.FILE for parent in parents):
            continue
        for parent in parents:
            entries.setdefault(parent, Entry(parent, EntryKind.DIR, 0o700, 0, 0, 0))
        database = path.endswith(".sqlite")
        digest = draw(st.binary(min_size=32, max_size=32))
        entries[path] = Entry(path, EntryKind.FILE, 0o600, 0, 0, 0, size=1, sha256=digest, database=database)
        other = f"{path}-linked"
        if draw(st.booleans()):
            entries[other] = replace(entries[path], path=other, hard_link_to=path)
    return entries


@settings(max_examples=examples(300), deadline=None)
@given(trees(), trees(), st.data())
def test_whatever_cannot_be_read_the_manifest_is_one_that_every_reader_takes_and_keeps_the_rest_as_captured(
    base: dict[str, Entry], there: dict[str, Entry], drawn: st.DataObject
) -> None:
    names = sorted(path for path, entry in there.items() if path and not entry.hard_link_to) or ["x"]
    unreadable = drawn.draw(st.lists(st.sampled_from(names), unique=True))
    # A file cannot be read under any of its names.
    unreadable += [path for path, entry in there.items() if entry.hard_link_to in unreadable and path not in unreadable]
    rows = [Omission(path, "why") for path in unreadable]
    inside = {path for path in there if any(path == row or path.startswith(f"{row}/") for row in unreadable)}
    inside |= {path for path, entry in there.items() if entry.hard_link_to in inside}
    # A folder that cannot be listed is there itself; a file that cannot be read is not captured.
    captured = {
        path: entry
        for path, entry in there.items()
        if path not in inside
        or (entry.kind is EntryKind.DIR and path in unreadable and not is_inside(path, unreadable))
    }
    gaps = with_their_databases(rows, captured)
    entries = list(captured.values())
    put_in_place(entries, carried_over(gaps, captured, base), base)
    entries.sort(key=lambda entry: path_order(entry.path))
    manifest = Manifest("2026-02-27-14-00", "", 1, "i", "s", CaptureMethod.LIVE, 0.0, entries)
    assert decode_manifest(b"".join(encode_manifest(manifest)).splitlines(keepends=True)).by_path().keys()
    after = {entry.path: entry for entry in entries}
    for path, entry in captured.items():
        of_a_gap = any(path == row.path or path.startswith(f"{row.path}-") for row in gaps)
        assert after.get(path) == entry or of_a_gap
    for path in (row.path for row in gaps):
        if path in base and path not in captured and base[path].kind is EntryKind.FILE:
            assert after[path].sha256 == base[path].sha256


def is_inside(path: str, roots: Sequence[str]) -> bool:
    return any(path.startswith(f"{root}/") for root in roots)


def test_gaps_and_verdicts_survive_the_text_of_a_manifest() -> None:
    entry = Entry("a", EntryKind.FILE, 0o600, 0, 0, 0, sha256=bytes(32), database=True, damaged=True, stale=True)
    root = Entry("", EntryKind.DIR, 0o700, 0, 0, 0)
    rows = (Gap("a", "why"), Gap("b", "why", accepted=True, missing=True))
    manifest = Manifest("2026-02-27-14-00", "", 1, "i", "s", CaptureMethod.LIVE, 0.0, (root, entry), gaps=rows)
    read = decode_manifest(b"".join(encode_manifest(manifest)).splitlines(keepends=True))
    assert (read.gaps, read.entries) == (rows, manifest.entries)
