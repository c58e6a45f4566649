"""Folders that a stranger puts below snapshots/: a boot asks for a bounded number of them, and says so."""

from datetime import UTC, datetime, timedelta

import pytest

from openclaw_agent.catalog.restore_points import MOST_OF_THE_FUTURE, MOST_OF_THE_PAST, worth_asking
from openclaw_agent.snapshot.names import format_snapshot_name
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    machine.write("openclaw.json", "{}")
    assert machine.backup("--final").code == 0
    return machine


def decoys(since: datetime, number: int) -> list[str]:
    return [format_snapshot_name(since + timedelta(minutes=minute)) for minute in range(number)]


@pytest.mark.parametrize("lost", [(), ("latest/",)], ids=["latest/ is there", "latest/ is gone"])
@pytest.mark.parametrize("text", ["x", ""], ids=["invalid", "empty"])
def test_decoys_of_the_future_cost_a_boot_a_bounded_number_of_requests(
    world: FreshBucket, writer: SimulatedInstance, lost: tuple[str, ...], text: str
) -> None:
    world.put_all({f"snapshots/{name}/manifest.json": text for name in decoys(FAR, 500)})
    for prefix in lost:
        world.delete(*world.keys(prefix))
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    assert contents(second.state) == contents(writer.state)
    assert run.total_requests < 3 * MOST_OF_THE_FUTURE + 20
    assert "500 snapshots have names of the future ('2100-01-01-08-19'" in run.err
    assert "480 of 501 snapshots were not asked for" in run.err
    assert run.line["future_snapshots"] == 500


def test_the_future_takes_nothing_from_what_is_asked_of_the_past() -> None:
    past, future = decoys(NOW - timedelta(days=9), 400)[::-1], decoys(NOW + timedelta(days=2), 400)[::-1]
    asked = list(worth_asking([*future, *past], NOW))
    assert asked == future[:MOST_OF_THE_FUTURE] + past[:MOST_OF_THE_PAST]


def test_a_clock_that_is_wrong_by_hours_makes_no_future() -> None:
    names = decoys(NOW + timedelta(hours=20), 100)[::-1]
    assert list(worth_asking(names, NOW)) == names


def test_the_lifecycle_says_what_it_will_never_delete(world: FreshBucket, writer: SimulatedInstance) -> None:
    world.put_all({f"snapshots/{name}/manifest.json": "x" for name in decoys(FAR, 2)})
    run = writer.lifecycle()
    assert run.code == 0
    assert "2 names of the future (2100-01-01-00-01 first) will never be deleted" in run.err
