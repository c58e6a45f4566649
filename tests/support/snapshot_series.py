"""Series of snapshots and instants that the retention tests share."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from openclaw_agent.retention.policy import RetentionPlan, Rule, Snapshot, plan_retention
from openclaw_agent.snapshot.names import format_snapshot_name

FRIDAY = datetime(2026, 2, 27, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def complete(*names: str) -> list[Snapshot]:
    return [Snapshot(name, complete=True) for name in names]


def every_20_minutes(newest: datetime, span: timedelta) -> list[Snapshot]:
    count = span // timedelta(minutes=20)
    times = (newest - timedelta(minutes=20 * step) for step in range(count))
    return [Snapshot(format_snapshot_name(time), complete=True) for time in times]


def kept_names(plan: RetentionPlan) -> set[str]:
    return {decision.snapshot.name for decision in plan.kept}


def kept_by_the_table(plan: RetentionPlan) -> set[str]:
    """Without the floor, which no tier keeps."""
    floor = (Rule.FLOOR, Rule.FLOOR_PERIOD)
    return {decision.snapshot.name for decision in plan.kept if decision.rule not in floor}


def kept_snapshots(
    snapshots: Iterable[Snapshot], now: datetime, *, latest_complete: bool = True, strict_midnight: bool = False
) -> list[Snapshot]:
    plan = plan_retention(list(snapshots), now, latest_complete=latest_complete, strict_midnight=strict_midnight)
    return [decision.snapshot for decision in plan.kept]
