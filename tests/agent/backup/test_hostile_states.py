"""One file never stops the rest: whatever a hostile gateway leaves, every honest file is backed up, and in time."""

import contextlib
import json
import os
import resource
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings

from lab.host.deadline import scaled
from lab.moto.server import EmbeddedAws
from openclaw_agent.sandbox import limits, time_lost
from openclaw_agent.snapshot.manifest import Gap
from tests.support.hostile_databases import indexed_by
from tests.support.hostile_trees import HOSTILE, TIGHT_LIMITS, Hostile, hostile_states
from tests.support.samples import IN_FULL
from tests.support.simulated_instance import FreshBucket, SimulatedInstance

pytestmark = pytest.mark.moto

ENDLESS = indexed_by("instr(zeroblob(x), zeroblob(x/2)||x'01')", 4_000_000)
HONEST = {
    "openclaw.json": "{}",
    "notes.md": "the work of this hour\n",
    "workspace/a/b/deep.md": "deep enough\n",
    "workspace/a.md": "near\n",
    "agents/main/session.jsonl": '{"turn":1}\n',
}
DATABASE = "state.sqlite"
MOST_SECONDS = 60


@pytest.fixture(autouse=True)
def short_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS_FOR_ANY", 0.5)


def limited(machine: SimulatedInstance) -> SimulatedInstance:
    (machine.disk / "instance.json").write_text(json.dumps(TIGHT_LIMITS))
    machine.environment["OPENCLAW_FREEZER"] = "none"
    return machine


def make_honest(machine: SimulatedInstance, *, extra: str = "") -> dict[str, bytes]:
    for path, text in HONEST.items():
        machine.write(path, text + extra)
    with sqlite3.connect(machine.state / DATABASE) as database:
        database.execute("CREATE TABLE IF NOT EXISTS t(a)")
        database.execute("INSERT INTO t VALUES (?)", (extra,))
    database.close()
    return {path: (machine.state / path).read_bytes() for path in HONEST}


def backed_up(world: FreshBucket, honest: dict[str, bytes]) -> None:
    found = {path: world.get(f"latest/.openclaw/{path}") for path in honest}
    assert found == honest
    entries = {entry.path: entry for entry in world.manifest("latest").entries}
    assert not any(entries[path].is_judged_again for path in (*honest, DATABASE))


def rows_of(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as reading:
        return int(reading.execute("SELECT count(*) FROM t").fetchone()[0])


@given(hostile_states())
# Not made smaller: each try is two backups, some of them as slow as they may be.
@settings(max_examples=40 if IN_FULL else 4, phases=[Phase.explicit, Phase.generate])
def test_every_backup_of_a_hostile_state_holds_every_honest_file_and_ends_in_time(
    embedded_aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory, hostile: list[tuple[str, Hostile]]
) -> None:
    world = FreshBucket(embedded_aws, tmp_path_factory.mktemp("world"))
    machine = limited(world.booted("first"))
    for path, row in hostile:
        place = machine.state / path
        place.parent.mkdir(parents=True, exist_ok=True)
        row.make(place)
    for extra in ("", "and more\n"):
        honest = make_honest(machine, extra=extra)
        began = time.monotonic()
        run = machine.backup("--final") if extra else machine.backup()
        assert time.monotonic() - began < scaled(MOST_SECONDS)
        assert run.code in (0, 4), run.err
        assert "Traceback" not in run.err
        backed_up(world, honest)
    if run.code == 4:
        assert run.line["gap_count"] > 0
    second = world.machine("second")
    assert second.boot().code in (0, 4)
    assert {path: (second.state / path).read_bytes() for path in honest} == honest
    assert rows_of(second.state / DATABASE) == 2


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda row: row.what)
def test_each_kind_alone_is_stored_or_told_and_stops_nothing(
    world: FreshBucket, machine: SimulatedInstance, hostile: Hostile
) -> None:
    limited(machine)
    (machine.state / "workspace").mkdir()
    hostile.make(machine.state / "workspace/evil")
    honest = make_honest(machine)
    run = machine.backup()
    assert run.code in (0, 4), run.err
    backed_up(world, honest)
    manifest = world.manifest("latest")
    known = {
        *(entry.path for entry in manifest.entries),
        *(row.path for row in (*manifest.skipped, *manifest.excluded)),
        *(gap.path for gap in manifest.gaps),
    }
    assert "workspace/evil" in known
    assert machine.backup().code == run.code


OVER_A_LIMIT = {
    "15 TB of nothing": ("workspace/evil", "backup_max_file_gib"),
    "300 folders deep": ("workspace/evil/d/d/d/d/d/d/d/d", "backup_max_depth"),
    "400 files in a folder": ("workspace/evil", "backup_max_entries"),
    "endless database": ("workspace/evil", "its check was given up: it took more than"),
    "greedy database": ("workspace/evil", "MiB of memory"),
}


@pytest.mark.parametrize("hostile", [row for row in HOSTILE if row.what in OVER_A_LIMIT], ids=lambda row: row.what)
def test_what_is_over_a_limit_is_a_gap_with_its_reason_until_it_is_accepted(
    world: FreshBucket, machine: SimulatedInstance, hostile: Hostile
) -> None:
    path, reason = OVER_A_LIMIT[hostile.what]
    limited(machine)
    machine.write("workspace/honest.md", "honest")
    hostile.make(machine.state / "workspace/evil")
    run = machine.backup()
    assert (run.code, run.line["result"], run.line["gap_count"]) == (4, "gaps", 1)
    assert f"{path!r}: " in run.err
    assert reason in run.err
    (gap,) = world.manifest("latest").gaps
    assert (gap.path, gap.accepted) == (path, False)
    assert machine.backup("--accept-gap", path).code == 0
    assert machine.backup().code == 0
    assert world.booted("second").state.joinpath("workspace/honest.md").read_text() == "honest"


def test_what_was_in_the_last_backup_is_kept_where_a_folder_has_too_many(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    limited(machine)
    machine.write("workspace/flooded/zz-mine.md", "mine")
    assert machine.backup().code == 0
    for number in range(500):
        (machine.state / f"workspace/flooded/{number}").touch()
    machine.write("workspace/flooded/zz-mine.md", "mine, and changed")
    assert machine.backup().code == 4
    assert world.get("latest/.openclaw/workspace/flooded/zz-mine.md") == b"mine, and changed"
    assert len(world.manifest("latest").entries) < 2 * TIGHT_LIMITS["backup_max_entries"]


def test_a_file_that_has_grown_over_the_limit_is_kept_as_it_was(world: FreshBucket, machine: SimulatedInstance) -> None:
    limited(machine)
    grown = machine.write("workspace/log.txt", "small\n")
    assert machine.backup().code == 0
    os.truncate(grown, 2 * 2**30)
    run = machine.backup()
    assert run.code == 4
    assert "the backup keeps what the last one had of it" in run.err
    assert world.get("latest/.openclaw/workspace/log.txt") == b"small\n"


def test_a_final_backup_with_many_endless_databases_ends_in_time_and_gives_the_lease_back(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_lost, "MOST_SECONDS_LOST", 2.0)
    for number in range(20):
        ENDLESS(machine.write(f"workspace/{number}", ""))
    honest = make_honest(machine)
    began = time.monotonic()
    run = machine.backup("--final")
    assert time.monotonic() - began < scaled(20)
    assert run.code == 4
    backed_up(world, honest)
    assert world.owner()["released"] is True
    gaps = world.manifest("latest").gaps
    assert len(gaps) == 20
    assert all(isinstance(gap, Gap) and "nobody knows" in gap.reason for gap in gaps)


def test_a_hostile_state_costs_little_memory(machine: SimulatedInstance, tmp_path: Path) -> None:
    limited(machine)
    for number, row in enumerate(HOSTILE):
        row.make(machine.state / f"evil-{number}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert machine.backup().code == 4
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 300 * 1024
