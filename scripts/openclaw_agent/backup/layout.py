"""Whether a snapshot is whole or differential, and which folders a differential one leans on. Pure (docs/adr/0017).

The bases follow the retention tiers, so that what a snapshot needs outlives it: a week's first snapshot is whole, a
day's first holds what differs from its week's, any other what differs from its day's, or from one further base within
the day where that is cheaper.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from openclaw_agent.backup.plan import same_content
from openclaw_agent.retention.tiers import DAY, WEEK
from openclaw_agent.snapshot.manifest import Manifest, SnapshotId, Totals
from openclaw_agent.snapshot.names import DAY_LENGTH, parse_snapshot_name
from openclaw_agent.store.cost import StoragePlan, kept_for_a_day_cost, whole_snapshots_month_cost

NOTHING = Totals(0, 0)


@dataclass(frozen=True, slots=True)
class Stock:
    """Where the content of a new snapshot lies already: totals by the name of the folder, and what has changed."""

    held: Mapping[str, Totals]
    changed: Totals

    @property
    def all(self) -> Totals:
        """The totals of the whole state."""
        rows = (*self.held.values(), self.changed)
        return Totals(sum(row.files for row in rows), sum(row.bytes for row in rows))

    def outside(self, folders: Collection[str]) -> Totals:
        """What a differential snapshot on these folders has to copy."""
        rows = [row for name, row in self.held.items() if name not in folders]
        return Totals(sum(row.files for row in rows), sum(row.bytes for row in rows))


def take_stock(manifest: Manifest, last: Manifest) -> Stock:
    """Look at the files of a new snapshot in the folders of the last one and of its bases."""
    known = last.by_path()
    held: dict[str, list[int]] = {}
    changed = [0, 0]
    for entry in manifest.files():
        before = known.get(entry.path)
        lies_there = before is not None and same_content(before, entry) and before.relative_key == entry.relative_key
        row = held.setdefault(before.stored_in or last.snapshot, [0, 0]) if before and lies_there else changed
        row[0] += 1
        row[1] += entry.size
    return Stock({name: Totals(*row) for name, row in held.items()}, Totals(*changed))


def choose_bases(name: str, stock: Stock, last: Manifest, plan: StoragePlan) -> tuple[SnapshotId, ...]:
    """The bases of the new snapshot `name`, oldest first; none for a whole one.

    `last` is the snapshot before, whose folder and bases are known to hold what it says. The first of the bases is
    always the week's whole one, the next, where there is one, the day's.
    """
    if whole_snapshots_month_cost(stock.all.files, stock.all.bytes, stock.changed.files, plan) <= plan.budget_usd:
        return ()
    taken_at, rows = parse_snapshot_name(name), (*last.bases, last.identity)
    times = [parse_snapshot_name(row.snapshot) for row in rows]
    if taken_at is None or not all(time is not None and time < taken_at for time in times):
        # A clock that was set back.
        return ()
    dated = [(row, time) for row, time in zip(rows, times, strict=True) if time is not None]
    week, began = dated[0]
    if WEEK.number(began) != WEEK.number(taken_at) or not stock.held.get(week.snapshot, NOTHING).files:
        return ()
    today = [row for row, time in dated if DAY.number(time) == DAY.number(taken_at)]
    if not today:
        return (week,)
    outer = tuple(dict.fromkeys((week, today[0])))
    inner = [row for row in today if row not in outer]
    return (*outer, *_further_base(outer, inner, stock, taken_at, plan))


def is_first_of_its_day(name: str, bases: Sequence[SnapshotId]) -> bool:
    """Whether a differential snapshot is the first of a UTC day."""
    return all(base.snapshot[:DAY_LENGTH] != name[:DAY_LENGTH] for base in bases)


def _further_base(
    outer: tuple[SnapshotId, ...], inner: list[SnapshotId], stock: Stock, taken_at: datetime, plan: StoragePlan
) -> list[SnapshotId]:
    """One further base within the day: the one there is, the last snapshot in its place, or none for a new beginning.

    Each snapshot copies what the one before held in its own folder, and so ever more until a new beginning, which
    copies all that the day has changed. It is due when what was copied since the last one has cost as much.
    """
    if len(inner) < 2:
        # The last snapshot holds all that differs from the day's.
        return inner
    further, last = inner[0], inner[-1]
    outside = {row.snapshot for row in outer}
    dear = _cost(stock, outside, plan)
    to_keep = _cost(stock, {*outside, further.snapshot}, plan)
    if not stock.held.get(further.snapshot, NOTHING).files:
        return [last]
    began = parse_snapshot_name(further.snapshot)
    cycles = (taken_at - began) / timedelta(minutes=plan.interval_minutes) if began else 0.0
    # What is copied grows with each cycle from nothing to this: on average half of it.
    return [] if cycles * to_keep / 2 >= dear else [further]


def _cost(stock: Stock, folders: Collection[str], plan: StoragePlan) -> float:
    copied = stock.outside(folders)
    return kept_for_a_day_cost(copied.files, copied.bytes, plan)
