"""What a person asks of the restore command by hand."""

import contextlib
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.support.privileges import root_only
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents, picture


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    """Two snapshots: notes one and two, and a folder with an own mode and a link in it."""
    machine.write("notes.md", "one")
    machine.write("workspace/deep/plan.md", "the plan")
    (machine.state / "workspace/deep").chmod(0o750)
    (machine.state / "workspace/deep/link").symlink_to("plan.md")
    with sqlite3.connect(machine.state / "db.sqlite") as database:
        database.execute("CREATE TABLE t(a)")
        database.execute("INSERT INTO t VALUES (1)")
    database.close()
    assert machine.backup().code == 0
    machine.write("notes.md", "two")
    assert machine.backup().code == 0
    return machine


def value_in(database: Path) -> int:
    reader = sqlite3.connect(database)
    found = reader.execute("SELECT max(a) FROM t").fetchone()[0]
    reader.close()
    return int(found)


def siblings(machine: SimulatedInstance) -> list[str]:
    return sorted(place.name for place in machine.disk.iterdir() if place.name not in ("agent", "state"))


def test_the_list_names_every_restore_point(world: FreshBucket, writer: SimulatedInstance) -> None:
    first, second = world.snapshots()
    world.delete(f"snapshots/{first}/manifest.json")
    world.put("snapshots/no-name/x", "x")
    run = writer.restore("--list")
    assert run.code == 0
    head, latest, newer, older, by_hand = run.out.splitlines()
    assert head.split() == ["snapshot", "age", "files", "size", "own", "complete", "tier", "needs"]
    assert latest.split()[0] == "latest"
    assert latest.split()[-1] == "latest/"
    assert newer.split()[0] == second
    assert " yes" in newer
    assert older.split()[0] == first
    assert " no" in older
    assert by_hand.split() == ["no-name", "1", "1", "1", "no", "manifest"]
    rows = json.loads(writer.restore("--list", "--json").out)
    assert [(row["name"], row["files"], row["complete"]) for row in rows] == [
        ("latest", 3, "yes"),
        (second, 3, "yes"),
        (first, None, "no"),
        ("no-name", 1, "no manifest"),
    ]
    assert rows[0]["size_bytes"] == sum(
        place.stat().st_size for place in writer.state.rglob("*") if place.is_file() and not place.is_symlink()
    )


def test_the_list_marks_what_is_quarantined(world: FreshBucket, writer: SimulatedInstance) -> None:
    world.booted("second")
    writer.write("late")
    assert writer.backup().code == 75
    assert "quarantined" in writer.restore("--list").out.splitlines()[2]
    assert json.loads(writer.restore("--list", "--json").out)[1]["tier"].endswith(", apart")


def test_the_list_of_an_empty_bucket_is_only_its_head(world: FreshBucket) -> None:
    run = world.machine().restore("--list")
    assert (run.code, len(run.out.splitlines())) == (0, 1)


def test_a_named_snapshot_is_restored_and_the_old_state_kept_until_the_next_backup(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    run = writer.restore("--snapshot", world.snapshots()[0])
    assert run.code == 0, run.err
    assert contents(writer.state)["notes.md"] == "one"
    assert "because it was asked for" in run.err
    (kept,) = siblings(writer)
    assert kept.startswith("state.before-restore-")
    assert contents(writer.disk / kept)["notes.md"] == "two"
    backup = writer.backup()
    assert backup.code == 0, backup.err
    assert siblings(writer) == []
    assert contents(world.booted("second").state)["notes.md"] == "one"


def test_a_quarantined_snapshot_can_be_asked_for(world: FreshBucket, writer: SimulatedInstance) -> None:
    second = world.booted("second")
    writer.write("notes.md", "fenced words")
    assert writer.backup().code == 75
    run = second.restore("--snapshot", world.snapshots()[-1])
    assert run.code == 0, run.err
    assert contents(second.state)["notes.md"] == "fenced words"


@pytest.mark.parametrize("name", ["2026-01-01-00-00", "2020-02-30-00-00", "yesterday", "../latest"])
@pytest.mark.parametrize("flag", ["--snapshot", "--diff"])
def test_a_snapshot_that_is_not_there_changes_nothing(
    world: FreshBucket, writer: SimulatedInstance, name: str, flag: str
) -> None:
    before, bucket = picture(writer.state), world.picture()
    run = writer.restore(flag, name)
    if name == "2026-01-01-00-00":
        assert run.code == 1
        assert "There is no complete snapshot 2026-01-01-00-00; openclaw-s3-restore.py list shows" in run.err
    else:
        assert run.code == 2
        assert "is no snapshot name; it must look like 2026-02-27-14-00" in run.err
    assert picture(writer.state) == before
    assert world.picture() == bucket
    assert writer.backup().code == 0


def test_local_changes_are_not_replaced_without_force(world: FreshBucket, writer: SimulatedInstance) -> None:
    writer.write("notes.md", "three")
    bucket = world.picture()
    run = writer.restore()
    assert run.code == 3
    assert "1 paths there are newer than S3 ('notes.md' among them)" in run.err
    assert contents(writer.state)["notes.md"] == "three"
    assert world.picture() == bucket
    forced = writer.restore("--force")
    assert forced.code == 0
    assert contents(writer.state)["notes.md"] == "two"
    assert contents(writer.disk / siblings(writer)[0])["notes.md"] == "three"


def test_rows_that_lie_only_in_a_databases_log_are_local_changes_too(writer: SimulatedInstance) -> None:
    database = sqlite3.connect(writer.state / "db.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=wal")
    assert writer.backup().code == 0
    database.execute("INSERT INTO t VALUES (2)")
    run = writer.restore()
    database.close()
    assert run.code == 3
    assert "db.sqlite" in run.err


def test_a_database_that_is_only_read_is_no_local_change(writer: SimulatedInstance) -> None:
    database = sqlite3.connect(writer.state / "db.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=wal")
    database.close()
    assert writer.backup().code == 0
    database = sqlite3.connect(writer.state / "db.sqlite", isolation_level=None)
    assert database.execute("SELECT max(a) FROM t").fetchone() == (1,)
    assert (writer.state / "db.sqlite-shm").exists()
    run = writer.restore()
    database.close()
    assert run.code == 0, run.err


def test_verify_checks_every_byte_and_changes_nothing(world: FreshBucket, writer: SimulatedInstance) -> None:
    before, bucket = picture(writer.state), world.picture()
    run = writer.restore("--verify")
    assert run.code == 0
    assert "Checked 3 files" in run.err
    assert run.requests["GET"] >= 3
    assert picture(writer.state) == before
    assert world.picture() == bucket
    name = world.snapshots()[0]
    world.put(f"snapshots/{name}/.openclaw/notes.md", "rot")
    rotten = writer.restore("--verify", "--snapshot", name)
    assert rotten.code == 1
    assert f"s3://{world.bucket}/snapshots/{name}/.openclaw/notes.md is corrupt" in rotten.err
    assert siblings(writer) == []


def test_verify_of_an_empty_bucket_fails(world: FreshBucket) -> None:
    run = world.machine().restore("--verify")
    assert run.code == 1
    assert "there is nothing to restore" in run.err


@pytest.mark.parametrize("exists", [True, False])
def test_a_state_is_built_elsewhere(world: FreshBucket, writer: SimulatedInstance, exists: bool) -> None:
    target = writer.disk / "elsewhere"
    if exists:
        target.mkdir()
    writer.write("notes.md", "unsaved")
    before, bucket = picture(writer.state), world.picture()
    run = writer.restore("--to", str(target), "--snapshot", world.snapshots()[0])
    assert run.code == 0, run.err
    assert contents(target)["notes.md"] == "one"
    assert picture(writer.state) == before
    assert world.picture() == bucket
    assert siblings(writer) == ["elsewhere"]


@pytest.mark.parametrize("taken", ["folder", "file"])
def test_a_target_that_is_taken_is_refused(writer: SimulatedInstance, taken: str) -> None:
    target = writer.disk / "elsewhere"
    if taken == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    for flags in ((), ("--path", "notes.md")):
        run = writer.restore("--to", str(target), *flags)
        assert run.code == 2
        assert "--to needs an empty or new folder" in run.err
    assert "mine" in (target.read_text() if taken == "file" else (target / "mine").read_text())


def test_another_machine_may_look_without_owning(world: FreshBucket, writer: SimulatedInstance) -> None:
    del writer
    looker = world.machine("laptop")
    owner = world.get("owner.json")
    for flags in (("--list",), ("--verify",), ("--to", str(looker.disk / "copy")), ("--diff", "latest")):
        assert looker.restore(*flags).code == 0
    assert world.get("owner.json") == owner


def test_the_difference_tells_a_database_by_its_rows_and_a_file_by_kind_size_and_owner(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    database = writer.state / "db.sqlite"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as rows:
        rows.execute("PRAGMA journal_mode=WAL")
        assert writer.backup().code == 0
        # A database that is open, and whose rows are as in the snapshot, does not differ.
        assert "db.sqlite" not in writer.restore("--diff", "latest").out
        rows.execute("CREATE TABLE since (row)")
        writer.write("notes.md", "of another size")
        deep = writer.state / "workspace/deep/link"
        deep.unlink()
        deep.write_text("a file now")
        lines = writer.restore("--diff", "latest").out.splitlines()
    assert "change  'db.sqlite'  (content)" in lines
    assert "change  'notes.md'  (content)" in lines
    assert "change  'workspace/deep/link'  (file becomes symlink)" in lines


def test_a_database_that_is_damaged_here_differs(writer: SimulatedInstance) -> None:
    database = writer.state / "db.sqlite"
    body = bytearray(database.read_bytes())
    body[100:4096] = b"\xff" * 3996
    database.write_bytes(body)
    assert "change  'db.sqlite'  (content)" in writer.restore("--diff", "latest").out.splitlines()


@root_only("only root gives files away")
def test_the_difference_tells_owners(writer: SimulatedInstance) -> None:
    os.chown(writer.state / "notes.md", 1234, 1234)
    assert f"(owner 1234:1234 becomes 0:{os.getegid()})" in writer.restore("--diff", "latest").out


def test_the_difference_to_the_present_state(world: FreshBucket, writer: SimulatedInstance) -> None:
    writer.write("new.md", "new")
    (writer.state / "workspace/deep/link").unlink()
    (writer.state / "workspace/deep/link").symlink_to("elsewhere")
    (writer.state / "workspace/deep").chmod(0o700)
    (writer.state / "db.sqlite").unlink()
    before = picture(writer.state)
    run = writer.restore("--diff", world.snapshots()[0])
    assert run.code == 0
    assert run.out.splitlines() == [
        "add     'db.sqlite'",
        "remove  'new.md'",
        "change  'notes.md'  (content)",
        "change  'workspace/deep'  (mode 0700 becomes 0750)",
        "change  'workspace/deep/link'  (target)",
        f"5 differences to {world.snapshots()[0]}.",
    ]
    assert picture(writer.state) == before
    document = json.loads(writer.restore("--diff", "latest", "--json").out)
    assert {"action": "remove", "path": "new.md", "respects": ""} in document


def test_no_difference(writer: SimulatedInstance) -> None:
    (writer.state / "db.sqlite").unlink()
    assert writer.backup().code == 0
    assert writer.restore("--diff", "latest").out.startswith("No difference to 2026-03-04-")


def test_a_single_file_comes_back_and_nothing_else_changes(world: FreshBucket, writer: SimulatedInstance) -> None:
    writer.write("other.md", "unsaved")
    before = picture(writer.state)
    run = writer.restore("--path", "notes.md", "--snapshot", world.snapshots()[0])
    assert run.code == 0, run.err
    after = picture(writer.state)
    assert {path for path in after if after[path] != before.get(path)} <= {"notes.md", ""}
    assert contents(writer.state)["notes.md"] == "one"
    (kept,) = siblings(writer)
    assert contents(writer.disk / kept) == {"notes.md": "two"}


def test_a_folder_comes_back_as_it_was(writer: SimulatedInstance) -> None:
    before = picture(writer.state)
    writer.write("workspace/deep/plan.md", "scribble")
    writer.write("workspace/deep/more", "scribble")
    (writer.state / "workspace/deep").chmod(0o700)
    run = writer.restore("--path", "workspace/deep")
    assert run.code == 0, run.err
    after = picture(writer.state)
    below = {path for path in before if path.startswith("workspace/deep")}
    assert {path: after[path] for path in below} == {path: before[path] for path in below}
    assert "workspace/deep/more" not in after


def test_a_path_whose_folders_are_gone_gets_them_back(writer: SimulatedInstance) -> None:
    shutil.rmtree(writer.state / "workspace")
    run = writer.restore("--path", "./workspace//deep/plan.md")
    assert run.code == 0, run.err
    assert contents(writer.state)["workspace/deep/plan.md"] == "the plan"
    assert (writer.state / "workspace/deep").stat().st_mode & 0o7777 == 0o750
    assert siblings(writer) == []


def test_parents_that_come_back_have_their_owner(writer: SimulatedInstance) -> None:
    if os.geteuid() != 0:
        return
    for place in ("workspace", "workspace/deep", "workspace/deep/plan.md"):
        os.chown(writer.state / place, 1000, 1001)
    assert writer.backup().code == 0
    shutil.rmtree(writer.state / "workspace")
    assert writer.restore("--path", "workspace/deep/plan.md").code == 0
    for place in ("workspace", "workspace/deep", "workspace/deep/plan.md"):
        status = (writer.state / place).stat()
        assert (status.st_uid, status.st_gid) == (1000, 1001), place


def test_a_database_comes_back_without_the_log_of_the_other(writer: SimulatedInstance) -> None:
    database = sqlite3.connect(writer.state / "db.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=wal")
    database.execute("INSERT INTO t VALUES (2)")
    assert (writer.state / "db.sqlite-wal").exists()
    run = writer.restore("--path", "db.sqlite")
    assert run.code == 0, run.err
    assert not (writer.state / "db.sqlite-wal").exists()
    assert value_in(writer.state / "db.sqlite") == 1
    (kept,) = siblings(writer)
    assert set(contents(writer.disk / kept)) == {"db.sqlite", "db.sqlite-wal", "db.sqlite-shm"}
    database.close()


def test_several_paths_at_once_into_another_folder(writer: SimulatedInstance) -> None:
    target = writer.disk / "elsewhere"
    before = picture(writer.state)
    run = writer.restore("--path", "notes.md", "--path", "workspace/deep", "--to", str(target))
    assert run.code == 0, run.err
    assert set(contents(target)) == {"notes.md", "workspace/deep/plan.md"}
    assert picture(writer.state) == before


@pytest.mark.parametrize(
    ("path", "code", "sentence"),
    [
        ("/etc/passwd", 2, "must be relative to the state folder"),
        ("../x", 2, "must be relative to the state folder"),
        ("a/../../x", 2, "must be relative to the state folder"),
        (".", 2, "must be relative to the state folder"),
        ("no/such", 1, "holds no 'no/such'"),
    ],
)
def test_a_path_that_is_none_is_refused(writer: SimulatedInstance, path: str, code: int, sentence: str) -> None:
    before = picture(writer.state)
    run = writer.restore("--path", path)
    assert run.code == code
    assert sentence in run.err
    assert picture(writer.state) == before
    assert siblings(writer) == []


def test_a_corrupt_object_leaves_a_single_file_in_place(world: FreshBucket, writer: SimulatedInstance) -> None:
    name = world.snapshots()[0]
    world.put(f"snapshots/{name}/.openclaw/notes.md", "rot")
    run = writer.restore("--path", "notes.md", "--snapshot", name)
    assert run.code == 1
    assert "is corrupt" in run.err
    assert contents(writer.state)["notes.md"] == "two"


def test_a_backup_follows_a_single_file_restore(world: FreshBucket, writer: SimulatedInstance) -> None:
    assert writer.restore("--path", "notes.md", "--snapshot", world.snapshots()[0]).code == 0
    run = writer.backup()
    assert (run.code, run.line["uploaded_files"]) == (0, 1)
    assert contents(world.booted("second").state)["notes.md"] == "one"


def test_the_restore_of_a_lost_state_by_hand(writer: SimulatedInstance) -> None:
    # SQLite's live copy of a database counts its own change; every other byte is the same.
    (writer.state / "db.sqlite").unlink()
    assert writer.backup().code == 0
    before = picture(writer.state)
    writer.lose_state()
    assert writer.restore("--before-start").code == 3
    assert writer.restore().code == 0
    assert picture(writer.state) == before
    assert writer.restore("--before-start").code == 0
    assert writer.backup().line["result"] == "unchanged"


@pytest.mark.parametrize("flags", [("--list", "--verify"), ("--boot", "--diff", "latest"), ("--owner-wait", "-1")])
def test_flags_that_do_not_go_together(writer: SimulatedInstance, flags: tuple[str, ...]) -> None:
    assert writer.restore(*flags).code == 2
