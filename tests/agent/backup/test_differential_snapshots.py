"""Differential snapshots: each comes back as it was, and one whose base is not what it was is never leant on."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from openclaw_agent.history.survey import survey
from openclaw_agent.snapshot.codec import encode_manifest
from tests.support.breaking import at_request
from tests.support.simulated_instance import (
    DIFFERENTIAL,
    EVERY_SNAPSHOT_WHOLE,
    FreshBucket,
    Run,
    SimulatedInstance,
    contents,
    picture,
)

# 2026-03-06 is a Friday: a retention week begins.
THURSDAY = datetime(2026, 3, 5, 23, 40, tzinfo=UTC)
FRIDAY, SATURDAY = datetime(2026, 3, 6, tzinfo=UTC), datetime(2026, 3, 7, tzinfo=UTC)
FILES = {f"workspace/{number}.md": f"note {number}" for number in range(6)} | {"openclaw.json": "{}"}


@pytest.fixture
def writer(world: FreshBucket) -> SimulatedInstance:
    """A machine whose budget allows no whole snapshot but where one is due; its first backup is a Thursday's."""
    world.clock.now = THURSDAY
    machine = world.booted("writer")
    machine.environment.update(DIFFERENTIAL)
    for path, text in FILES.items():
        machine.write(path, text)
    world.clock.now = THURSDAY
    assert machine.backup().code == 0
    return machine


def back_up(machine: SimulatedInstance, at: datetime, **changes: str) -> Run:
    """Change notes by their numbers (n0="text"), and back up at an instant."""
    for name, text in changes.items():
        machine.write(f"workspace/{name.removeprefix('n')}.md", text)
    machine.world.clock.now = at
    run = machine.backup()
    assert run.code == 0, run.err
    return run


def own_files(world: FreshBucket, name: str) -> set[str]:
    prefix = f"snapshots/{name}/.openclaw/"
    return {key.removeprefix(prefix) for key in world.keys(prefix)}


def bases(world: FreshBucket, name: str) -> list[str]:
    return [base.snapshot for base in world.manifest(name).bases]


def test_bases_follow_the_retention_tiers(world: FreshBucket, writer: SimulatedInstance) -> None:
    minutes = timedelta(minutes=20)
    back_up(writer, FRIDAY, n0="friday")
    back_up(writer, FRIDAY + minutes, n1="friday too")
    back_up(writer, SATURDAY, n2="saturday")
    back_up(writer, SATURDAY + minutes, n3="saturday too")
    back_up(writer, SATURDAY + 2 * minutes, n4="and more")

    week, day, further = "2026-03-06-00-00", "2026-03-07-00-00", "2026-03-07-00-20"
    assert {name: bases(world, name) for name in world.snapshots()} == {
        "2026-03-05-23-40": [],
        week: [],
        "2026-03-06-00-20": [week],
        day: [week],
        further: [week, day],
        "2026-03-07-00-40": [week, day, further],
    }
    assert own_files(world, week) == {*FILES}
    assert own_files(world, "2026-03-06-00-20") == {"workspace/1.md"}
    # What differs from the week's, which is what the snapshot of Friday 00:20 held and what has changed since.
    assert own_files(world, day) == {"workspace/1.md", "workspace/2.md"}
    assert own_files(world, "2026-03-07-00-40") == {"workspace/4.md"}
    assert own_files(world, "2026-03-06-00-20") < {*FILES}
    assert {key.removeprefix("latest/.openclaw/") for key in world.keys("latest/.openclaw/")} == {*FILES}


def test_every_snapshot_of_many_days_comes_back_as_it_was_and_lies_in_four_folders_at_most(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    taken = {}
    at = FRIDAY - timedelta(hours=5)
    for number in range(24):
        at += timedelta(hours=3, minutes=20 * (number % 3))
        if number % 5 == 4:
            (writer.state / f"workspace/{number % 3}.md").unlink(missing_ok=True)
        if number % 7 == 3:
            (writer.state / "workspace/5.md").rename(writer.write("moved/x", "").with_name(f"5-{number}.md"))
            writer.write("workspace/5.md", "another 5")
        run = back_up(writer, at, **{f"n{number % 6}": f"text {number // 2}", f"n{number + 10}": "new"})
        taken[run.line["snapshot"]] = picture(writer.state)
    assert any(len(bases(world, name)) == 3 for name in taken)
    for number, (name, was) in enumerate(taken.items()):
        manifest = world.manifest(name)
        assert len({entry.stored_in or name for entry in manifest.files()}) <= 4
        target = writer.disk / f"target-{number}"
        run = writer.restore("run", "--snapshot", name, "--to", str(target))
        assert run.code == 0, run.err
        assert picture(target) == was
    listed = {row["name"]: row for row in json.loads(writer.restore("list", "--json").out)}
    for name in taken:
        own = world.manifest(name).own_totals()
        assert (own.files, listed[name]["own_bytes"]) == (len(own_files(world, name)), own.bytes)
        assert listed[name]["bases"] == bases(world, name)


def test_plain_tools_bring_a_snapshot_back_out_of_its_folders_in_their_order(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    back_up(writer, FRIDAY, n0="one")
    back_up(writer, FRIDAY + timedelta(minutes=20), n0="two", n1="one")
    back_up(writer, SATURDAY, n0="one", n2="one")
    name = back_up(writer, SATURDAY + timedelta(hours=1), n1="note 1").line["snapshot"]
    synced: dict[str, str] = {}
    for folder in (*bases(world, name), name):
        prefix = f"snapshots/{folder}/.openclaw/"
        synced |= {key.removeprefix(prefix): world.get(key).decode() for key in world.keys(prefix)}
    assert synced == contents(writer.state)


def test_a_backup_that_finds_nothing_changed_does_not_forget_where_its_files_lie(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    back_up(writer, FRIDAY, n0="one")
    # Too young to be trusted, these are read again by the backup that finds nothing changed.
    back_up(writer, FRIDAY + timedelta(minutes=20), n1="one", n2="one")
    assert back_up(writer, FRIDAY + timedelta(minutes=40)).line["result"] == "unchanged"
    name = back_up(writer, FRIDAY + timedelta(minutes=60), n3="one").line["snapshot"]
    assert bases(world, name) == ["2026-03-06-00-00", "2026-03-06-00-20"]
    assert own_files(world, name) == {"workspace/3.md"}
    world.delete(*world.keys("latest/"))
    assert contents(world.booted("second").state) == contents(writer.state)


def manifest_is_gone(world: FreshBucket, name: str) -> None:
    world.delete(f"snapshots/{name}/manifest.json")


def manifest_is_torn(world: FreshBucket, name: str) -> None:
    world.put(f"snapshots/{name}/manifest.json", world.get(f"snapshots/{name}/manifest.json")[:-9])


def all_is_gone(world: FreshBucket, name: str) -> None:
    world.delete(*world.keys(f"snapshots/{name}/"))


def is_of_another_life(world: FreshBucket, name: str) -> None:
    """Another run has made a snapshot of this name, of a state with the same paths and sizes."""
    for key in world.keys(f"snapshots/{name}/.openclaw/"):
        world.put(key, b"?" * len(world.get(key)))
    theirs = replace(world.manifest(name), epoch=0, instance_id="another")
    world.put(f"snapshots/{name}/manifest.json", b"".join(encode_manifest(theirs)))


def is_somebody_s_page(world: FreshBucket, name: str) -> None:
    world.put(f"snapshots/{name}/manifest.json", b"<html>no such thing</html>")


@pytest.mark.parametrize(
    "broken", [manifest_is_gone, manifest_is_torn, all_is_gone, is_of_another_life, is_somebody_s_page]
)
@pytest.mark.parametrize("which", [0, 1])
def test_a_base_that_is_not_what_it_was_is_never_leant_on_and_yields_no_wrong_file(
    world: FreshBucket, writer: SimulatedInstance, broken: Callable[[FreshBucket, str], None], which: int
) -> None:
    back_up(writer, FRIDAY, n0="one")
    older = [{**FILES}, contents(writer.state)]
    back_up(writer, SATURDAY, n1="one")
    older.append(contents(writer.state))
    newest = back_up(writer, SATURDAY + timedelta(minutes=20), n2="one").line["snapshot"]
    base = bases(world, newest)[which]
    broken(world, base)

    # No restore point that needs it is complete: to the list, to a restore by name, to a boot.
    rows = {row["name"]: row for row in json.loads(writer.restore("list", "--json").out)}
    assert rows[newest]["complete"] == "base gone"
    by_name = writer.restore("run", "--snapshot", newest, "--to", str(writer.disk / "by-name"))
    assert by_name.code != 0
    assert f"it needs snapshot {base}" in by_name.err
    kept = {key: world.get(key) for key in world.keys("latest/")}
    world.delete(*kept)
    second = world.machine("second")
    booted = second.boot()
    assert f"it needs snapshot {base}" in booted.err
    assert contents(second.state) in older
    # The next backup of the writer leans on nothing.
    world.put_all(kept)
    world.put("owner.json", world.get("owner.json").replace(b'"second"', b'"writer"'))
    writer.boot_number += 1
    assert writer.restore("boot", "--owner-wait", "0").code == 0
    run = back_up(writer, SATURDAY + timedelta(minutes=40), n3="one")
    assert bases(world, run.line["snapshot"]) == []
    assert own_files(world, run.line["snapshot"]) == {*FILES}
    world.delete(*world.keys("latest/"))
    third = world.booted("third")
    assert contents(third.state) == contents(writer.state)


def test_a_base_of_which_objects_are_gone_is_found_out_by_the_lifecycle_and_by_the_next_day(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    back_up(writer, FRIDAY, n0="one")
    back_up(writer, SATURDAY, n1="one")
    world.delete("snapshots/2026-03-06-00-00/.openclaw/workspace/3.md")
    run = writer.lifecycle("--now", (SATURDAY + timedelta(hours=2)).isoformat())
    assert (run.code, run.line["broken"]) == (0, ["2026-03-06-00-00"])
    run = back_up(writer, SATURDAY + timedelta(hours=3), n2="one")
    assert bases(world, run.line["snapshot"]) == []
    assert own_files(world, run.line["snapshot"]) == {*FILES}
    # Of the whole one that took its place one is lost too, and no lifecycle runs.
    world.delete(f"snapshots/{run.line['snapshot']}/.openclaw/workspace/3.md")
    run = back_up(writer, SATURDAY + timedelta(days=1), n2="two")
    assert "Sending everything again." in run.err
    assert bases(world, run.line["snapshot"]) == []
    world.delete(*world.keys("latest/"))
    assert contents(world.booted("second").state) == contents(writer.state)


def test_the_lifecycle_keeps_what_a_kept_snapshot_needs_and_says_so(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    minutes = timedelta(minutes=20)
    back_up(writer, FRIDAY, n0="one")
    for number in range(4):
        last = back_up(writer, SATURDAY + number * minutes, **{f"n{number + 1}": "one"}).line["snapshot"]
    after_a_pause = SATURDAY + timedelta(days=40)
    assert len(bases(world, last)) == 3
    needed = sorted({*bases(world, last), *(base for name in bases(world, last) for base in bases(world, name))})
    planned = writer.lifecycle("--dry-run", "--now", after_a_pause.isoformat())
    for name in needed:
        # The one that represents the day stays as such.
        assert f"{name} " in planned.out
    assert f"needed by {last}" in planned.out
    ends = {row.name: row.expires for row in survey(world.store(), after_a_pause)}
    assert [ends[name] for name in (*needed, last)] == [None] * (len(needed) + 1), "the list knows what is needed, too"
    assert writer.lifecycle("--now", after_a_pause.isoformat()).code == 0
    assert world.snapshots() == [*needed, last]
    world.delete(*world.keys("latest/"))
    assert contents(world.booted("second").state) == contents(writer.state)


def test_what_a_machine_restores_it_leans_on_and_no_more_is_sent_than_has_changed(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    back_up(writer, FRIDAY, n0="one")
    back_up(writer, SATURDAY, n1="one")
    second = world.booted("second")
    second.environment.update(DIFFERENTIAL)
    run = back_up(second, SATURDAY + timedelta(minutes=20), n2="one")
    assert bases(world, run.line["snapshot"]) == ["2026-03-06-00-00", "2026-03-07-00-00"]
    assert (run.line["bytes_stored"], run.line["storage_usd"]) == (len("one"), pytest.approx(0, abs=1e-6))
    assert own_files(world, run.line["snapshot"]) == {"workspace/2.md"}


@pytest.mark.parametrize("flag", ["--full", "budget", "clock set back"])
def test_a_snapshot_is_whole_where_it_has_to_be(world: FreshBucket, writer: SimulatedInstance, flag: str) -> None:
    back_up(writer, FRIDAY, n0="one")
    back_up(writer, SATURDAY, n1="one")
    if flag == "budget":
        writer.environment.update(EVERY_SNAPSHOT_WHOLE)
    world.clock.now = SATURDAY + (timedelta(hours=-1) if flag == "clock set back" else timedelta(hours=1))
    writer.write("workspace/2.md", "two")
    run = writer.backup(*([flag] if flag == "--full" else []))
    assert (run.code, bases(world, run.line["snapshot"])) == (0, [])
    assert own_files(world, run.line["snapshot"]) == {*FILES}


def test_a_differential_snapshot_is_made_whole_and_what_leans_on_it_goes_on(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    back_up(writer, FRIDAY, n0="one")
    day = back_up(writer, SATURDAY, n1="one").line["snapshot"]
    was = contents(writer.state)
    last = back_up(writer, SATURDAY + timedelta(minutes=20), n2="one").line["snapshot"]
    run = writer.run_restore("make-whole", day, "--bucket", world.bucket)
    assert run.code == 0, run.err
    assert f"Snapshot {day} is whole: 6 files" in run.err
    assert own_files(world, day) == {*FILES}
    assert bases(world, day) == []
    assert "whole already" in writer.run_restore("--make-whole", day, "--bucket", world.bucket).err
    # Its bases may go now; what leans on it still needs the week's.
    for name, state in ((day, was), (last, contents(writer.state))):
        target = writer.disk / f"of-{name}"
        assert writer.restore("run", "--snapshot", name, "--to", str(target)).code == 0
        assert contents(target) == state
    run = back_up(writer, SATURDAY + timedelta(minutes=40), n3="one")
    assert bases(world, run.line["snapshot"]) == ["2026-03-06-00-00", day, last]


def test_what_cannot_be_made_whole_stays_as_it_is_and_says_why(world: FreshBucket, writer: SimulatedInstance) -> None:
    back_up(writer, FRIDAY, n0="one")
    day = back_up(writer, SATURDAY, n1="one").line["snapshot"]
    flags = ("--bucket", world.bucket)
    assert "is always whole" in writer.run_restore("make-whole", "latest", *flags).err
    assert "no complete snapshot 2026-03-08-00-00" in writer.run_restore("make-whole", "2026-03-08-00-00", *flags).err
    before = world.get(f"snapshots/{day}/manifest.json")
    other = before.replace(b'"stack":"local"', b'"stack":"other"')
    with at_request("PUT", lambda: world.put(f"snapshots/{day}/manifest.json", other)):
        run = writer.run_restore("make-whole", day, *flags)
    assert run.code == 1
    assert "somebody has changed or deleted it meanwhile" in run.err
    world.put(f"snapshots/{day}/manifest.json", before)
    world.put("snapshots/2026-03-06-00-00/.openclaw/workspace/3.md", "another size")
    run = writer.run_restore("make-whole", day, *flags)
    assert "was not made whole" in run.err
    assert world.get(f"snapshots/{day}/manifest.json") == before
    manifest_is_gone(world, "2026-03-06-00-00")
    assert "needs snapshot 2026-03-06-00-00, which is gone" in writer.run_restore("make-whole", day, *flags).err
