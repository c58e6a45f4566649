"""Buckets without manifests: nothing is dropped without a word, and nothing that was left is deleted."""

import pytest

from tests.support.simulated_instance import FreshBucket, contents

UPLOADS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "keys that no disk holds": (
        {
            "latest/.openclaw/openclaw.json": "{}",
            "latest/.openclaw/a//b": "x",
            "latest/.openclaw/../escape": "x",
            "latest/.openclaw/w": "file and folder",
            "latest/.openclaw/w/inner": "y",
            "latest/.openclaw/" + "n" * 300: "long",
            "latest/.openclaw/tab\tx": "t",
            "latest/.encoded/abc": "a name that only a manifest knows",
        },
        {"openclaw.json": "{}", "w/inner": "y"},
    ),
    "names that look odd and are none": (
        {"latest/.openclaw/openclaw.json": "{}", "latest/.openclaw/a%20b": "1", "latest/.openclaw/q?x#y\\é": "2"},
        {"openclaw.json": "{}", "a%20b": "1", "q?x#y\\é": "2"},
    ),
    "a stray file in latest": (
        {"latest/README.txt": "put things here", ".openclaw/openclaw.json": "{}", ".openclaw/notes.md": "hello"},
        {"openclaw.json": "{}", "notes.md": "hello"},
    ),
    "a snapshot whose name is no time": (
        {"snapshots/before-upgrade/.openclaw/notes.md": "hello"},
        {"notes.md": "hello"},
    ),
}


@pytest.mark.parametrize(("uploaded", "state"), UPLOADS.values(), ids=UPLOADS)
def test_what_cannot_be_restored_is_named_and_never_deleted_by_a_backup(
    world: FreshBucket, uploaded: dict[str, str], state: dict[str, str]
) -> None:
    for key, text in uploaded.items():
        world.put(key, text)
    first = world.machine()
    run = first.boot()
    assert run.code == 0, run.err
    assert contents(first.state) == state
    assert not (first.disk / "escape").exists()
    taken = {key for key in uploaded if any(key.endswith(f"/{path}") for path in state)}
    left = sorted(set(uploaded) - taken)
    if left:
        assert f"{len(left)} objects are not part of it and stay where they are" in run.err
        assert run.line["unrestorable_count"] == len(left)
        assert set(run.line["unrestorable"]) <= set(left)
    for text in ("one", "two"):
        first.write("later", text)
        assert first.backup().code == 0
    assert {key: world.get(key).decode() for key in left} == {key: uploaded[key] for key in left}
    # Nor by one of another machine, which was not there when they were left.
    assert first.backup("--final").code == 0
    second = world.machine("second")
    assert second.boot().code == 0
    second.write("later", "three")
    assert second.backup("--full").code == 0
    assert {key: world.get(key).decode() for key in left} == {key: uploaded[key] for key in left}


@pytest.mark.parametrize("command", [("--boot", "--owner-wait", "0"), ("--force",), ("--verify",)])
def test_a_bucket_of_which_no_state_can_be_made_is_no_first_start(world: FreshBucket, command: tuple[str, ...]) -> None:
    world.put("latest/.openclaw/a//b", "x")
    first = world.machine()
    first.write("mine", "local")
    run = first.restore(*command)
    assert run.code == 1
    assert "holds 1 objects ('latest/.openclaw/a//b'), but nothing that can be restored by itself" in run.err
    assert contents(first.state) == {"mine": "local"}
    assert first.restore("--before-start").code == 3


def test_a_bucket_that_holds_only_a_quarantined_snapshot_is_no_first_start(world: FreshBucket) -> None:
    first, second = world.booted("first"), world.booted("second")
    first.write("notes.md", "made before the bucket was lost")
    assert first.backup().code == 75
    (name,) = world.snapshots()
    third = world.machine("third")
    assert third.boot().code == 1
    assert third.restore("--snapshot", name).code == 0
    assert contents(third.state) == contents(first.state)
    assert contents(second.state) == {}


def test_the_list_shows_what_has_no_manifest_and_what_cannot_be_read(world: FreshBucket) -> None:
    world.put("latest/.openclaw/openclaw.json", "{}")
    world.put("openclaw.json", "{}")
    world.put("snapshots/before-upgrade/.openclaw/notes.md", "hello")
    world.put("snapshots/2026-01-01-00-00/.openclaw/notes.md", "hello")
    looker = world.machine()
    rows = {line.split()[0]: line for line in looker.restore("--list").out.splitlines()[1:]}
    assert set(rows) == {"latest", "(root)", "before-upgrade", "2026-01-01-00-00"}
    assert all("no manifest" in row for row in rows.values())
    world.put("latest/manifest.json", "<html>")
    listed = looker.restore("--list").out
    assert "invalid" in listed


@pytest.mark.parametrize("flags", [("--diff", "latest"), ("--path", "notes.md")])
def test_what_needs_a_manifest_says_that_there_is_none(world: FreshBucket, flags: tuple[str, ...]) -> None:
    world.put("latest/.openclaw/notes.md", "hello")
    run = world.machine().restore(*flags)
    assert run.code == 1
    assert "holds no restore point with a manifest" in run.err


def test_a_database_that_was_damaged_before_its_upload_is_restored_with_a_warning(world: FreshBucket) -> None:
    body = b"SQLite format 3\0" + b"\x10\x00\x01\x01" + b"\xff" * 8172
    world.put("latest/.openclaw/db.sqlite", body)
    first = world.machine()
    run = first.boot()
    assert run.code == 0, run.err
    assert "Warning: the database 'db.sqlite' fails its integrity check" in run.err
    assert (first.state / "db.sqlite").read_bytes() == body


def test_an_empty_folder_of_an_upload_comes_back_and_its_marker_stays_as_long_as_it_is_in_the_state(
    world: FreshBucket,
) -> None:
    for key, text in (("openclaw.json", "{}"), ("workspace/a.md", "a"), ("inbox/", ""), ("archive/2025/", "")):
        world.put(f"latest/.openclaw/{key}", text)
    first = world.booted()
    assert (first.state / "archive/2025").is_dir()
    (first.state / "inbox").rmdir()
    first.write("workspace/b.md")
    for flags in ((), ("--full",)):
        run = first.backup(*flags)
        assert run.code == 0, run.err
        assert {key for key in world.keys("latest/") if key.endswith("/")} == {"latest/.openclaw/archive/2025/"}
    second = world.booted("second")
    assert sorted(place.name for place in second.state.rglob("*") if place.is_dir()) == ["2025", "archive", "workspace"]
