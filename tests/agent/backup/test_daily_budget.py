"""The daily budget: what is over it is refused before anything is written, and a last backup has a share of its own."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from openclaw_agent.agent_dir.records import Records
from openclaw_agent.backup.daily_budget import GIB, DailyBudget, Spending, planned_spending
from openclaw_agent.errors import OverBudget
from openclaw_agent.snapshot.manifest import Entry, EntryKind
from tests.support.simulated_instance import FIRST_BACKUP, FreshBucket, SimulatedInstance

NOW = datetime(2026, 3, 4, 23, 59, tzinfo=UTC)
TODAY = "2026-03-04"


@pytest.mark.parametrize(
    ("spent", "planned", "final", "key"),
    [
        pytest.param((0, 0), (9.99, GIB), False, "", id="within"),
        pytest.param((10, 0), (0, 0), False, "", id="all of it"),
        pytest.param((9.5, 0), (0.51, 0), False, "backup_daily_limit_usd", id="dollars"),
        pytest.param((9.5, 0), (0.51, 0), True, "", id="dollars of a final backup"),
        pytest.param((19.5, 0), (0.51, 0), True, "backup_daily_limit_usd", id="a final backup has a limit too"),
        pytest.param((0, 99 * GIB), (0, 2 * GIB), False, "backup_daily_limit_gib", id="bytes"),
        pytest.param((0, 99 * GIB), (0, 2 * GIB), True, "", id="bytes of a final backup"),
        pytest.param((0, 199 * GIB), (0, 2 * GIB), True, "backup_daily_limit_gib", id="its bytes have a limit too"),
    ],
)
def test_a_day_may_cost(spent: tuple[float, int], planned: tuple[float, int], final: bool, key: str) -> None:
    budget = DailyBudget(10, 100, is_final=final)
    if not key:
        budget.require(Spending(TODAY, *spent), Spending(TODAY, *planned))
        return
    with pytest.raises(OverBudget, match=key) as refused:
        budget.require(Spending(TODAY, *spent), Spending(TODAY, *planned))
    assert "Nothing was written" in str(refused.value)


def test_the_next_utc_day_begins_with_nothing_spent() -> None:
    spent = Spending(TODAY, 9.0, 5)
    assert spent.on(NOW) == spent
    assert spent.on(NOW + timedelta(minutes=1)) == Spending("2026-03-05")


def files(sizes: Iterable[int]) -> list[Entry]:
    return [Entry(f"{n}", EntryKind.FILE, 0o600, 0, 0, 0, size, b"\1" * 32) for n, size in enumerate(sizes)]


def test_what_a_backup_will_cost_counts_what_is_sent_and_what_is_copied() -> None:
    planned = planned_spending(files([100, 200, 300]), {"0"}, NOW)
    assert planned.bytes == 700
    assert planned.usd == pytest.approx((3 + 1 + 6) * 0.005 / 1000)


@pytest.fixture
def spender(machine: SimulatedInstance) -> SimulatedInstance:
    (machine.disk / "instance.json").write_text(json.dumps({"backup_daily_limit_usd": 1}))
    machine.environment["OPENCLAW_FREEZER"] = "none"
    machine.write("notes.md")
    assert machine.backup().code == 0
    return machine


def test_a_run_is_counted_by_what_it_really_asked(spender: SimulatedInstance) -> None:
    day, usd, size = spender.agent_dir.records.spent()
    line = spender.backup().line
    assert day == f"{FIRST_BACKUP:%Y-%m-%d}"
    assert 0 < usd < 0.001
    # Beside the file, twice: the manifests.
    assert 2 * len("text\n") < size < 10_000
    assert line["result"] == "unchanged"
    assert spender.agent_dir.records.spent() == (day, usd, size)


def test_a_backup_over_the_days_budget_writes_nothing_and_has_an_exit_code_of_its_own(
    world: FreshBucket, spender: SimulatedInstance
) -> None:
    spender.agent_dir.records.remember_spent(f"{FIRST_BACKUP:%Y-%m-%d}", 0.99999, 0)
    before = world.picture()
    spender.write("notes.md", "changed")
    run = spender.backup()
    assert (run.code, run.line["result"]) == (5, "over-budget")
    assert "have taken $1.00" in run.err
    assert "backup_daily_limit_usd" in run.err
    assert world.picture() == before
    assert world.owner()["released"] is False

    # Nobody can make up for a last one.
    assert spender.backup("--final").code == 0
    assert world.get("latest/.openclaw/notes.md") == b"changed"


def test_a_final_backup_that_is_refused_keeps_the_lease(world: FreshBucket, spender: SimulatedInstance) -> None:
    spender.agent_dir.records.remember_spent(f"{FIRST_BACKUP:%Y-%m-%d}", 1.99999, 0)
    spender.write("notes.md", "changed")
    assert spender.backup("--final").code == 5
    assert world.owner()["released"] is False


def test_a_run_that_is_killed_has_spent_what_it_planned(
    spender: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[tuple[str, float, int]] = []
    monkeypatch.setattr(Records, "remember_spent", lambda _self, *spent: noted.append(spent))
    spender.write("notes.md", "changed")
    assert spender.backup().code == 0
    planned, real = noted
    assert planned[1] > 0
    assert real[1] <= planned[1]


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"day": 1}', '{"day":"x","usd":"y","bytes":0}'])
def test_a_damaged_record_counts_as_none(spender: SimulatedInstance, kept: str) -> None:
    (spender.agent / "spent.json").write_text(kept)
    assert spender.agent_dir.records.spent() == ("", 0.0, 0)
    spender.write("notes.md", "changed")
    assert spender.backup().code == 0
