"""A stack that is paused for weeks and resumed: backups and the lifecycle together, with the clock moved."""

from datetime import UTC, datetime, timedelta

import pytest

from openclaw_agent.snapshot.names import parse_snapshot_name
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents

EVERY = timedelta(hours=8)
PAUSED = datetime(2026, 3, 4, 21, 30, tzinfo=UTC)
DAY = timedelta(days=1)


def runs_for(machine: SimulatedInstance, span: timedelta, note: str) -> datetime:
    """Work, backups every few hours and the daily lifecycle, as the timers run them; returns the end."""
    world = machine.world
    began = world.clock.now
    lifecycle_at = began + timedelta(minutes=10)
    while world.clock.now < began + span:
        machine.write("notes.md", f"{note} at {world.clock.now}")
        assert machine.backup().code == 0
        if world.clock.now >= lifecycle_at:
            assert machine.lifecycle("--now", world.clock.now.isoformat()).code == 0
            lifecycle_at = (world.clock.now + DAY).replace(hour=0, minute=0)
        world.clock.now += EVERY
    return world.clock.now


@pytest.mark.parametrize("paused_for", [timedelta(days=40)], ids=["40 days"])
def test_after_a_long_pause_a_restore_point_of_before_outlives_the_first_days(
    world: FreshBucket, paused_for: timedelta
) -> None:
    world.clock.now = PAUSED - 2 * DAY
    first = world.booted("before")
    runs_for(first, 2 * DAY, "before the pause")
    last_words = contents(first.state)
    assert first.backup("--final").code == 0

    world.clock.now += paused_for
    resumed_at = world.clock.now
    second = world.booted("after")
    assert contents(second.state) == last_words
    for days in (1, 2):
        runs_for(second, DAY, f"day {days} after the pause")
        left = [name for name in world.snapshots() if _taken(name) < resumed_at]
        # On the first day it is all there is to go back to; on the second, days of after the pause take its place.
        assert left or days > 1
        if left:
            look = second.disk / f"look-{days}"
            run = second.run_restore("--bucket", world.bucket, "run", "--snapshot", left[-1], "--to", str(look))
            assert run.code == 0, run.err
            assert contents(look) == last_words
    older_than_a_day = [name for name in world.snapshots() if _taken(name) < world.clock.now - DAY]
    assert older_than_a_day


def _taken(name: str) -> datetime:
    taken = parse_snapshot_name(name)
    assert taken is not None
    return taken
