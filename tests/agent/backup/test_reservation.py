"""Every instant gets a name of its own, and none of the future: where a minute is full the next one is waited for."""

from datetime import UTC, datetime, timedelta

import pytest

from openclaw_agent.agent_dir.records import BootRecord
from openclaw_agent.backup.reservation import reserve_name
from openclaw_agent.errors import AgentError
from openclaw_agent.snapshot.names import format_snapshot_name, parse_snapshot_name
from tests.support.simulated_instance import FreshBucket

MINUTE = datetime(2026, 2, 28, 23, 59, tzinfo=UTC)
BOOT = BootRecord("boot", "i-1", "bucket", 1, restored=True)


class Clock:
    """A clock that only waiting moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.waited = 0.0

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        self.now += timedelta(seconds=seconds)


def reserved(world: FreshBucket, clock: Clock, began: datetime) -> str:
    return reserve_name(world.store(), began, BOOT, clock=clock, wait=clock.wait)


@pytest.mark.parametrize(
    ("taken", "second", "name", "waited"),
    [
        ([], 59, "2026-02-28-23-59", 0.0),
        ([0], 59, "2026-02-28-23-59-59", 0.0),
        ([0, 59], 58, "2026-02-28-23-59-58", 0.0),
        ([0, 59], 59, "2026-03-01-00-00", 0.75),
        ([0, 58, 59], 58, "2026-03-01-00-00", 1.75),
        ([0, 59, 60], 59, "2026-03-01-00-00-01", 0.75),
        ([0, *range(50, 60)], 50, "2026-03-01-00-00", 9.75),
    ],
)
def test_a_backup_waits_for_the_next_minute_where_its_own_has_no_name_left(
    world: FreshBucket, taken: list[int], second: int, name: str, waited: float
) -> None:
    for offset in taken:
        world.put(f"snapshots/{format_snapshot_name(MINUTE + timedelta(seconds=offset))}/reserved", "another")
    clock = Clock(MINUTE + timedelta(seconds=second + 0.25))
    assert (reserved(world, clock, clock.now), clock.waited) == (name, waited)
    instant = parse_snapshot_name(name)
    assert instant is not None
    # By less than a second: of a name that is free the fraction is dropped.
    assert instant <= clock.now + timedelta(seconds=1)


def test_a_capture_that_took_longer_than_its_minute_waits_for_nothing(world: FreshBucket) -> None:
    world.put("snapshots/2026-02-28-23-59/reserved", "another")
    world.put("snapshots/2026-02-28-23-59-59/reserved", "another")
    clock = Clock(MINUTE + timedelta(minutes=7))
    assert reserved(world, clock, MINUTE + timedelta(seconds=59)) == "2026-03-01-00-00"
    assert clock.waited == 0.0


def test_two_full_minutes_end_the_run_in_one_sentence(
    world: FreshBucket,
) -> None:
    for second in (0, 59, 60, *range(61, 120)):
        world.put(f"snapshots/{format_snapshot_name(MINUTE + timedelta(seconds=second))}/reserved", "another")
    clock = Clock(MINUTE + timedelta(seconds=59))
    with pytest.raises(AgentError, match="No snapshot name is free"):
        reserved(world, clock, clock.now)
