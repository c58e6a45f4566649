"""What a backup does at its edges: another run's freeze, a full disk at the last moment, damage, what it tidies up."""

import contextlib
import errno
import hashlib
import sqlite3
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from openclaw_agent.backup import run as backup_module
from openclaw_agent.capture.capture import Capture, capture_state
from openclaw_agent.fs import atomic
from openclaw_agent.host.freezer import ComposeFreezer, Gateway, GatewayUnknown, UnitFreezer
from openclaw_agent.snapshot.names import format_snapshot_name
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents, let_clock_tick


def previous_states(machine: SimulatedInstance) -> list[Path]:
    return list(machine.disk.glob("state.before-restore-*"))


def make_database(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(place) as database:
        database.execute("CREATE TABLE rows (text)")
        database.executemany("INSERT INTO rows VALUES (?)", [("x" * 1000,)] * 20)
    database.close()


def damage(place: Path) -> None:
    body = bytearray(place.read_bytes())
    body[4096:8192] = b"\xff" * 4096
    place.write_bytes(body)


@pytest.fixture
def thawed(machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch) -> list[Gateway]:
    """Every gateway that was thawed; the machine's is a unit."""
    machine.environment["OPENCLAW_FREEZER"] = "systemd:gateway.service"
    asked: list[Gateway] = []
    monkeypatch.setattr("openclaw_agent.backup.final.thaw", asked.append)
    return asked


def test_a_thaw_by_hand_thaws(machine: SimulatedInstance, thawed: list[Gateway]) -> None:
    assert machine.backup("--thaw").code == 0
    assert len(thawed) == 1


def test_a_thaw_needs_no_folder_of_the_agent(machine: SimulatedInstance, thawed: list[Gateway]) -> None:
    (machine.disk / "a-file-is-in-the-way").touch()
    machine.environment["OPENCLAW_AGENT_DIR"] = str(machine.disk / "a-file-is-in-the-way")
    assert machine.backup("--thaw").code == 0
    assert len(thawed) == 1


@pytest.mark.parametrize(("kind", "code"), [("systemd:gateway.service", 0), ("compose:gateway", 1)])
def test_a_thaw_needs_to_know_the_containers_but_of_a_unit_no_more_than_its_name(
    machine: SimulatedInstance, thawed: list[Gateway], monkeypatch: pytest.MonkeyPatch, kind: str, code: int
) -> None:
    def unknown(_self: object) -> bool:
        raise GatewayUnknown("nobody answers.")

    monkeypatch.setattr(UnitFreezer, "running_gateway", unknown)
    monkeypatch.setattr(ComposeFreezer, "running_gateway", unknown)
    machine.environment["OPENCLAW_FREEZER"] = kind
    assert machine.backup("--thaw").code == code
    assert len(thawed) == 1 - code


def test_the_thaw_of_a_run_that_was_refused_leaves_another_run_s_freeze_alone(
    machine: SimulatedInstance, thawed: list[Gateway]
) -> None:
    """ExecStopPost= runs however the run ended; a thaw in the midst of another capture would tear it."""
    with machine.agent_dir.locked(wait=False):
        assert machine.backup("--thaw").code == 0
    assert thawed == []


def test_a_disk_that_is_full_when_the_manifest_is_written_is_told_and_nothing_is_lost(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("notes", "one")
    assert machine.backup().code == 0
    machine.write("notes", "two")
    real = atomic.replace_file

    def full(path: Path, chunks: Iterable[bytes], *, mode: int = 0o600) -> None:
        def torn() -> Iterable[bytes]:
            yield next(iter(chunks))
            raise OSError(errno.ENOSPC, "No space left on device")

        real(path, torn(), mode=mode)

    with monkeypatch.context() as patching:
        patching.setattr("openclaw_agent.backup.run.replace_file", full)
        run = machine.backup()
    assert run.code == 1
    assert "cannot be written (No space left on device); free some space" in run.err
    assert "unexpected" not in run.err
    assert machine.backup().code == 0
    assert contents(world.booted("second").state) == {"notes": "two"}


def test_the_bytes_of_each_damaged_database_are_kept_apart(world: FreshBucket, machine: SimulatedInstance) -> None:
    paths = ["a/b.sqlite", "a_b.sqlite"]
    for path in paths:
        make_database(machine.state / path)
        damage(machine.state / path)
        with (machine.state / path).open("r+b") as body:
            body.seek(5000)
            body.write(path.encode())
    run = machine.backup()
    assert run.code == 4
    stored = {row.path: row.stored_as for row in world.manifest("latest").damaged}
    assert set(stored) == set(paths)
    for path, key in stored.items():
        assert key == f".damaged/{hashlib.sha256(path.encode()).hexdigest()}"
        assert path.encode() in world.get(f"snapshots/{run.line['snapshot']}/{key}")


def test_the_state_before_a_restore_is_kept_until_a_backup_without_damage(machine: SimulatedInstance) -> None:
    machine.write("notes", "one")
    make_database(machine.state / "db.sqlite")
    let_clock_tick()
    assert machine.backup().code == 0
    machine.write("notes", "not saved")
    assert machine.restore("--force").code == 0
    assert len(previous_states(machine)) == 1
    damage(machine.state / "db.sqlite")
    machine.write("notes", "two")
    assert machine.backup().code == 4
    assert len(previous_states(machine)) == 1
    make_database(machine.state / "another.sqlite")
    (machine.state / "db.sqlite").unlink()
    assert machine.backup().code == 0
    assert previous_states(machine) == []


def test_a_gateway_that_may_still_stand_still_fails_the_run_after_everything_is_backed_up(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("notes", "one")

    def with_a_problem(*arguments: Any, **options: Any) -> Capture:
        capture = capture_state(*arguments, **options)
        capture.thaw_problem = "The gateway may still be frozen."
        return capture

    with monkeypatch.context() as patching:
        patching.setattr(backup_module, "capture_state", with_a_problem)
        run = machine.backup()
    assert run.code == 1
    assert "Everything is backed up, but the gateway may still be frozen" in run.err
    assert "openclaw-s3-backup.py --thaw" in run.err
    assert contents(world.booted("second").state) == {"notes": "one"}


def test_a_database_that_nobody_here_can_judge_is_backed_up_with_a_warning(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    """A view in a syntax of SQLite 3.44, as the gateway may write it, read by 3.40 or by whatever runs this test."""
    place = machine.state / "db.sqlite"
    make_database(place)
    with contextlib.closing(sqlite3.connect(place, isolation_level=None)) as database:
        database.execute("CREATE VIEW newer AS SELECT group_concat(text) FROM rows")
        database.execute("PRAGMA writable_schema=ON")
        newer = "CREATE VIEW newer AS SELECT group_concat(text ORDER NEWLY BY text) FROM rows"
        database.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'newer'", (newer,))
    run = machine.backup()
    assert run.code == 0, run.err
    assert "Warning: the database 'db.sqlite' could not be verified" in run.err
    assert run.line["unverified"] == ["db.sqlite"]
    restored = world.booted("second").state / "db.sqlite"
    with contextlib.closing(sqlite3.connect(restored)) as database:
        database.execute("PRAGMA writable_schema=ON")
        assert database.execute("SELECT sql FROM sqlite_master WHERE name = 'newer'").fetchone() == (newer,)
        assert database.execute("SELECT count(*) FROM rows").fetchone() == (20,)


def test_a_name_that_another_run_has_taken_gets_its_seconds(world: FreshBucket, machine: SimulatedInstance) -> None:
    machine.write("notes", "one")
    taken = format_snapshot_name(world.clock.now)
    world.put(f"snapshots/{taken}/reserved", "another instance\n")
    world.clock.now = world.clock.now.replace(second=7)
    assert machine.backup().line["snapshot"] == f"{taken}-07"


def test_a_backup_in_the_last_second_of_a_minute_whose_names_are_taken_is_made_all_the_same(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    machine.write("notes", "one")
    last = world.clock.now.replace(second=59)
    world.put(f"snapshots/{format_snapshot_name(last.replace(second=0))}/reserved", "another instance\n")
    world.put(f"snapshots/{format_snapshot_name(last)}/reserved", "another instance\n")
    world.clock.now = last
    run = machine.backup()
    assert run.code == 0, run.err
    assert run.line["snapshot"] == format_snapshot_name(last + timedelta(seconds=1))


def test_what_a_restore_has_put_aside_is_removed_by_a_backup_that_finds_nothing_changed(
    machine: SimulatedInstance,
) -> None:
    machine.write("notes", "saved")
    machine.write("plan", "saved")
    assert machine.backup().code == 0
    machine.write("notes", "lost")
    assert machine.restore("run", "--path", "notes").code == 0
    kept = [place for place in machine.disk.rglob("*notes*") if place.is_file() and place.read_text() == "lost"]
    assert len(kept) == 1
    let_clock_tick()
    run = machine.backup()
    assert (run.code, "Nothing has changed since the last backup." in run.err) == (0, True), run.err
    assert not kept[0].exists()
