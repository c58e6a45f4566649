"""How a backup may end: its exit code, its sentence, and what it left in the bucket."""

import sqlite3
from pathlib import Path

import pytest

from openclaw_agent.store.bucket import Bucket
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents, picture


def with_files(machine: SimulatedInstance, count: int) -> SimulatedInstance:
    for number in range(count):
        machine.write(f"workspace/{number}.md", f"note {number}\n")
    return machine


@pytest.fixture
def backed_up(machine: SimulatedInstance) -> SimulatedInstance:
    """A machine with ten files, all in S3."""
    run = with_files(machine, 10).backup()
    assert run.code == 0, run.err
    return machine


def break_database(place: Path) -> bytes:
    with place.open("r+b") as out:
        out.seek(100)
        out.write(b"\xff" * 8000)
    return place.read_bytes()


def make_database(place: Path) -> None:
    writer = sqlite3.connect(place, isolation_level=None)
    writer.execute("CREATE TABLE t(a)")
    writer.execute("INSERT INTO t VALUES (1)")
    writer.close()


def test_a_first_backup_is_a_snapshot_and_latest_and_says_what_it_cost(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    with_files(machine, 2)
    run = machine.backup()
    assert (run.code, run.line["result"]) == (0, "done")
    assert "Backed up as snapshot 2026-03-04-08-00." in run.err
    assert world.snapshots() == ["2026-03-04-08-00"]
    assert set(world.keys("latest/")) == {
        "latest/.openclaw/workspace/0.md",
        "latest/.openclaw/workspace/1.md",
        "latest/manifest.json",
    }
    assert world.manifest("latest") == world.manifest("2026-03-04-08-00")
    for name in (
        "snapshot",
        "files",
        "bytes_read",
        "bytes_uploaded",
        "bytes_copied",
        "requests",
        "freeze_ms",
        "seconds",
    ):
        assert name in run.line
    assert run.line["cost_usd"] > 0


def test_an_unchanged_state_writes_nothing(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    before = world.picture()
    run = backed_up.backup()
    assert (run.code, run.line["result"]) == (0, "unchanged")
    assert "Nothing has changed since the last backup." in run.err
    assert world.picture() == before


def test_the_first_backup_of_a_day_is_taken_though_nothing_has_changed(
    world: FreshBucket, backed_up: SimulatedInstance
) -> None:
    world.clock.now = world.clock.now.replace(day=5, hour=0, minute=0)
    run = backed_up.backup()
    assert (run.code, run.line["snapshot"]) == (0, "2026-03-05-00-00")
    assert (run.line["uploaded_files"], run.line["copied_files"]) == (0, 10)


@pytest.mark.parametrize("what", ["missing", "a file", "a dangling symlink"])
def test_a_state_folder_that_is_gone_fails_and_touches_nothing(
    world: FreshBucket, backed_up: SimulatedInstance, what: str
) -> None:
    before = world.picture()
    backed_up.lose_state()
    if what == "a file":
        backed_up.state.write_text("")
    elif what == "a dangling symlink":
        backed_up.state.symlink_to("nowhere")
    run = backed_up.backup("--accept-shrink")
    assert run.code == 1
    assert ("is a file" if what == "a file" else "does not exist") in run.err
    assert world.picture() == before


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        (0, "the state folder is empty, the last backup held 10 files"),
        (5, "the state folder holds 5 files, the last backup held 10"),
    ],
    ids=["empty", "half"],
)
def test_a_state_that_has_lost_its_files_leaves_latest_alone_until_that_is_accepted(
    world: FreshBucket, backed_up: SimulatedInstance, kept: int, sentence: str
) -> None:
    latest = world.picture("latest/")
    for place in sorted((backed_up.state / "workspace").iterdir())[kept:]:
        place.unlink()
    run = backed_up.backup()
    assert run.code == 3
    assert f"Refused to replace latest/: {sentence}." in run.err
    assert "--accept-shrink" in run.err
    assert world.picture("latest/") == latest
    kept_aside = world.manifest(run.line["snapshot"])
    assert kept_aside.totals().files == kept
    assert kept_aside.quarantined
    assert f"snapshots/{run.line['snapshot']}/quarantined" in world.keys("snapshots/")
    assert len(contents(world.booted("another").state)) == 10


def test_an_accepted_shrink_replaces_latest(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    for place in (backed_up.state / "workspace").iterdir():
        place.unlink()
    assert backed_up.backup().code == 3
    accepted = backed_up.backup("--accept-shrink")
    assert (accepted.code, accepted.line["result"]) == (0, "done")
    assert world.keys("latest/") == ["latest/manifest.json"]
    assert backed_up.backup().line["result"] == "unchanged"


def test_nine_of_ten_files_are_no_shrink(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    (backed_up.state / "workspace/3.md").unlink()
    assert backed_up.backup().code == 0
    assert "latest/.openclaw/workspace/3.md" not in world.keys("latest/")


def test_no_backup_before_a_restore(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    before = world.picture()
    second = with_files(world.machine("second"), 3)
    run = second.backup()
    assert run.code == 3
    assert "Backup refused: this boot has not completed a restore from" in run.err
    assert world.picture() == before


def test_no_backup_between_a_reboot_and_its_restore(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    before = world.picture()
    backed_up.boot_number += 1
    backed_up.write("new")
    run = backed_up.backup()
    assert (run.code, world.picture()) == (3, before)
    assert backed_up.boot().code == 0
    assert backed_up.backup().code == 0


def test_a_laptop_may_adopt_a_bucket_that_nobody_has_used(world: FreshBucket) -> None:
    laptop = world.machine("laptop")
    run = laptop.backup()
    assert run.code == 3
    assert "there is nothing to back up yet" in run.err
    assert world.keys() == []
    assert with_files(laptop, 1).backup().code == 0
    assert world.owner() == {**world.owner(), "epoch": 1, "instance_id": "laptop", "released": False}


def test_a_fenced_instance_leaves_latest_byte_identical(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    second = world.booted("second")
    second.write("workspace/second.md")
    assert second.backup().code == 0
    latest, owner = world.picture("latest/"), world.get("owner.json")
    bodies = {key: world.get(key) for key in latest}
    backed_up.write("workspace/late.md")
    run = backed_up.backup()
    assert run.code == 75
    assert run.line["result"] == "fenced"
    assert "Fenced:" in run.err
    assert "(epoch 2; ours was 1). Nothing was written to latest/." in run.err
    assert world.picture("latest/") == latest
    assert {key: world.get(key) for key in latest} == bodies
    assert world.get("owner.json") == owner
    assert world.manifest(run.line["snapshot"]).quarantined.startswith("Fenced")


@pytest.mark.parametrize("flags", [("--accept-shrink",), ("--overwrite-latest",), ("--full",), ("--final",)])
def test_no_flag_lets_a_fenced_instance_through(
    world: FreshBucket, backed_up: SimulatedInstance, flags: tuple[str, ...]
) -> None:
    world.booted("second")
    latest, owner = world.picture("latest/"), world.get("owner.json")
    backed_up.write("late")
    assert backed_up.backup(*flags).code == 75
    assert world.picture("latest/") == latest
    assert world.get("owner.json") == owner


def test_a_fenced_instance_without_changes_is_told_so_too_and_writes_nothing(
    world: FreshBucket, backed_up: SimulatedInstance
) -> None:
    world.booted("second")
    before = world.picture()
    assert backed_up.backup().code == 75
    assert world.picture() == before


def test_a_bucket_that_lost_its_owner_record_is_refused_but_nobody_is_fenced(
    world: FreshBucket, backed_up: SimulatedInstance
) -> None:
    """Exit code 75 would stop the gateway, though no other one runs."""
    world.delete("owner.json")
    latest = world.picture("latest/")
    backed_up.write("late")
    run = backed_up.backup()
    assert run.code == 3
    assert f"owner.json of {world.bucket} is gone" in run.err
    assert world.picture("latest/") == latest
    assert backed_up.reboot().code == 0
    assert backed_up.backup().code == 0


def test_an_owner_record_that_is_none_is_an_error(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    world.put("owner.json", "{}")
    latest = world.picture("latest/")
    backed_up.write("late")
    run = backed_up.backup()
    assert run.code == 1
    assert "owner.json in the bucket is no owner record" in run.err
    assert world.picture("latest/") == latest


def require_exact_latest(world: FreshBucket, machine: SimulatedInstance) -> None:
    """`latest/` holds the state's files, all of them and nothing else, byte for byte."""
    prefix = "latest/.openclaw/"
    held = {key.removeprefix(prefix): world.get(key).decode() for key in world.keys(prefix)}
    assert held == contents(machine.state)
    assert world.keys("latest/") == sorted([*(prefix + path for path in held), "latest/manifest.json"])


def foreign_latest(world: FreshBucket, first: SimulatedInstance) -> None:
    """An operator copies an older snapshot over latest/."""
    assert first.backup("--full").code == 0
    name = world.snapshots()[0]
    world.put("latest/manifest.json", world.get(f"snapshots/{name}/manifest.json") + b" ")


@pytest.mark.parametrize("changed", [True, False], ids=["changed state", "unchanged state"])
def test_a_latest_that_somebody_else_has_changed_is_not_replaced(
    world: FreshBucket, backed_up: SimulatedInstance, changed: bool
) -> None:
    foreign_latest(world, backed_up)
    latest = world.picture("latest/")
    if changed:
        backed_up.write("new")
    run = backed_up.backup()
    assert run.code == 3
    assert "latest/ was modified by someone else since our last backup" in run.err
    assert world.picture("latest/") == latest
    backed_up.write("newer")
    overwritten = backed_up.backup("--overwrite-latest")
    assert overwritten.code == 0, overwritten.err
    assert world.manifest("latest").snapshot == overwritten.line["snapshot"]
    assert backed_up.backup().line["result"] == "unchanged"


def test_a_latest_that_was_deleted_by_hand_is_written_anew(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    """There is nothing to protect, and the next instance would get an old state."""
    world.delete(*world.keys("latest/"))
    backed_up.write("new")
    assert backed_up.backup().code == 0
    require_exact_latest(world, backed_up)


def test_a_latest_without_its_manifest_may_be_an_upload_under_way(
    world: FreshBucket, backed_up: SimulatedInstance
) -> None:
    world.delete("latest/manifest.json")
    backed_up.write("new")
    assert backed_up.backup().code == 3
    assert backed_up.backup("--overwrite-latest").code == 0
    assert set(contents(world.booted("second").state)) == set(contents(backed_up.state))
    require_exact_latest(world, backed_up)


def test_a_latest_that_somebody_else_has_changed_is_written_anew_when_asked_though_nothing_changed_here(
    world: FreshBucket, backed_up: SimulatedInstance
) -> None:
    """Every object, not only what differs from the last backup: what the other hand did is unknown."""
    foreign_latest(world, backed_up)
    changed = next(key for key in world.keys("latest/") if not key.endswith("manifest.json"))
    world.put(changed, "another hand's")
    world.put("latest/.openclaw/another hand's", "file")
    assert backed_up.backup().code == 3
    run = backed_up.backup("--overwrite-latest")
    assert (run.code, run.line["result"]) == (0, "done"), run.err
    require_exact_latest(world, backed_up)
    assert backed_up.backup().line["result"] == "unchanged"


def test_a_final_backup_lets_the_bucket_go(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    backed_up.write("last words")
    run = backed_up.backup("--final")
    assert run.code == 0
    assert "Released the lease." in run.err
    assert world.owner()["released"]
    assert world.owner()["epoch"] == 1
    second = world.machine("second")
    boot = second.restore("--boot", "--owner-wait", "3600")
    assert boot.code == 0
    assert "first released the bucket" in boot.err
    assert (second.state / "last words").exists()


def test_a_final_backup_of_an_unchanged_state_lets_go_too(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    assert backed_up.backup("--final").line["result"] == "unchanged"
    assert world.owner()["released"]


def test_a_final_backup_that_is_refused_by_a_guard_lets_go_too(
    world: FreshBucket, backed_up: SimulatedInstance
) -> None:
    for place in (backed_up.state / "workspace").iterdir():
        place.unlink()
    assert backed_up.backup("--final").code == 3
    assert world.owner()["released"]


def test_full_reads_everything_and_finds_what_the_times_hid(world: FreshBucket, backed_up: SimulatedInstance) -> None:
    assert backed_up.backup("--full").line["bytes_read"] == sum(
        place.stat().st_size for place in (backed_up.state / "workspace").iterdir()
    )
    again = backed_up.backup("--full")
    assert (again.line["result"], again.line["copied_files"]) == ("done", 0)


def test_a_damaged_database_fails_the_run_and_latest_keeps_the_last_good_copy(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    database = machine.state / "db.sqlite"
    make_database(database)
    machine.write("notes", "one")
    assert machine.backup().code == 0
    good = world.get("latest/.openclaw/db.sqlite")
    damaged = break_database(database)
    machine.write("notes", "two")
    run = machine.backup()
    assert run.code == 4
    assert "'db.sqlite': the database fails its integrity check" in run.err
    assert "latest/ keeps the last good copy" in run.err
    assert world.get("latest/.openclaw/db.sqlite") == good
    assert world.get("latest/.openclaw/notes") == b"two"
    row = world.manifest("latest").damaged[0]
    assert (row.path, row.last_good) == ("db.sqlite", "2026-03-04-08-00")
    # SQLite's live copy counts its own change in the header's first 100 bytes.
    assert world.get(f"snapshots/{run.line['snapshot']}/{row.stored_as}")[100:] == damaged[100:]
    again = machine.backup()
    assert again.code == 4
    assert world.snapshots()[-1] == run.line["snapshot"]
    restored = world.booted("second")
    assert (restored.state / "db.sqlite").read_bytes() == good


def test_a_mended_database_is_backed_up_again(world: FreshBucket, machine: SimulatedInstance) -> None:
    database = machine.state / "db.sqlite"
    make_database(database)
    assert machine.backup().code == 0
    break_database(database)
    assert machine.backup().code == 4
    assert machine.restore("--path", "db.sqlite").code == 0
    run = machine.backup()
    assert run.code == 0, run.err
    assert world.manifest("latest").damaged == ()


def test_a_snapshot_whose_objects_were_deleted_is_sent_again_whole(
    world: FreshBucket, backed_up: SimulatedInstance
) -> None:
    name = world.snapshots()[0]
    world.delete(*(key for key in world.keys(f"snapshots/{name}/") if key.endswith(".md")))
    backed_up.write("new")
    run = backed_up.backup()
    assert run.code == 0, run.err
    assert "Sending everything again." in run.err
    assert run.line["uploaded_files"] == 11
    assert contents(world.booted("second").state) == contents(backed_up.state)


def test_two_runs_at_once_are_one_too_many(backed_up: SimulatedInstance) -> None:
    with backed_up.agent_dir.locked(wait=False):
        run = backed_up.backup()
    assert run.code == 3
    assert "Another backup or restore is running on this machine" in run.err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--bucket", "X"), "The bucket name 'X' is not allowed"),
        (("--region", "nowhere"), "The region 'nowhere' is not allowed"),
        (("--no-such-flag",), "unrecognized arguments: --no-such-flag"),
    ],
)
def test_wrong_usage(backed_up: SimulatedInstance, flags: tuple[str, ...], sentence: str) -> None:
    run = backed_up.backup(*flags)
    assert run.code == 2
    assert sentence in run.err
    assert "Traceback" not in run.err


def test_a_bucket_that_does_not_exist_fails_with_a_sentence(backed_up: SimulatedInstance) -> None:
    backed_up.write("new")
    backed_up.world.empty()
    backed_up.world.s3.delete_bucket(Bucket=backed_up.world.bucket)
    run = backed_up.backup()
    assert run.code == 1
    assert f"The bucket {backed_up.world.bucket!r} does not exist" in run.err


def test_another_bucket_needs_a_restore_first(backed_up: SimulatedInstance) -> None:
    run = backed_up.backup("--bucket", "another-bucket")
    assert run.code == 3
    assert "this boot has not completed a restore from another-bucket yet" in run.err


def test_a_machine_that_is_moved_to_an_empty_bucket_backs_up_everything(
    world: FreshBucket, backed_up: SimulatedInstance
) -> None:
    world.s3.create_bucket(Bucket=world.bucket + "-2")
    world.bucket += "-2"
    assert backed_up.boot().code == 0
    run = backed_up.backup()
    assert (run.code, run.line["result"]) == (0, "done"), run.err
    assert contents(world.booted("second").state) == contents(backed_up.state)


def test_a_backup_does_not_touch_the_state_folder(backed_up: SimulatedInstance) -> None:
    make_database(backed_up.state / "db.sqlite")
    before = picture(backed_up.state)
    assert backed_up.backup().code == 0
    assert picture(backed_up.state) == before
    assert not (backed_up.agent / "clone").exists()


def test_deletions_that_s3_refuses_key_by_key_fail_the_run_and_are_made_up_for_by_the_next(
    world: FreshBucket, backed_up: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = "latest/.openclaw/workspace/3.md"
    (backed_up.state / "workspace/3.md").unlink()
    with monkeypatch.context() as meanwhile:
        # S3 answers DeleteObjects with 200 and an error for each key that it keeps.
        meanwhile.setattr(Bucket, "delete", lambda _self, keys: dict.fromkeys(keys, "AccessDenied"))
        run = backed_up.backup()
    assert run.code == 1
    assert f"S3 refused to delete 1 objects under latest/, '{gone}' among them (AccessDenied)." in run.err
    assert gone in world.keys("latest/")
    looker = world.machine()
    assert looker.restore("--to", str(looker.disk / "copy")).code == 0
    assert not (looker.disk / "copy/workspace/3.md").exists()

    run = backed_up.backup()
    assert (run.code, run.line["result"]) == (0, "done"), run.err
    assert gone not in world.keys("latest/")
