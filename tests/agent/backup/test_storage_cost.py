from datetime import timedelta
from statistics import mean

import pytest

from openclaw_agent.retention.policy import Snapshot
from openclaw_agent.snapshot.names import format_snapshot_name
from openclaw_agent.store.cost import STORAGE_PRICE, copies_stored, storage_cost
from tests.support.snapshot_series import FRIDAY, kept_snapshots

DAYS = 40


@pytest.mark.parametrize(("interval", "undelete_days"), [(20, 3), (60, 3), (30, 7), (20, 1)])
def test_what_storage_is_said_to_cost_is_what_retention_and_the_undelete_days_keep(
    interval: int, undelete_days: int
) -> None:
    """Every backup of 40 days finds changes, the lifecycle runs each midnight, S3 takes versions at the day's end."""
    kept: list[Snapshot] = []
    gone_at: list[int] = []
    copies = []
    for day in range(DAYS):
        midnight = FRIDAY + timedelta(days=day)
        left = kept_snapshots(kept, midnight)
        gone_at += [day] * (len(kept) - len(left))
        made = [midnight + timedelta(minutes=minute) for minute in range(0, 24 * 60, interval)]
        kept = left + [Snapshot(format_snapshot_name(time), complete=True) for time in made]
        # In the middle of the day half of its backups are made; `latest/` is one copy, and its old versions are others.
        live = len(left) + len(made) / 2 + 1
        noncurrent = sum(1 for since in gone_at if day - since <= undelete_days)
        copies.append(live + noncurrent)

    assert copies_stored(interval, undelete_days) == pytest.approx(mean(copies[-7:]), rel=0.15)


def test_a_gigabyte_that_keeps_changing_costs_more_than_a_small_spot_instance() -> None:
    assert storage_cost(1, 20, 3) == pytest.approx(370 * STORAGE_PRICE) == pytest.approx(8.51)
    assert storage_cost(1, 20) == pytest.approx(1162 * STORAGE_PRICE)
