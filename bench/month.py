"""What a month of backups costs, simulated with the agent's own rules: layout of snapshots, retention, prices.

`PYTHONPATH=scripts .venv/bin/python -m bench.month` prints the cases of docs/costs.md by item. Nothing is asked of any
server. A month of 30 days is counted after six weeks that fill the bucket.
"""

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from openclaw_agent.backup.layout import Stock, choose_bases
from openclaw_agent.retention.policy import Snapshot, plan_retention
from openclaw_agent.snapshot.manifest import CaptureMethod, Manifest, SnapshotId, Totals
from openclaw_agent.snapshot.names import format_snapshot_name
from openclaw_agent.store.cost import (
    BYTES_A_GIGABYTE,
    DAYS_A_MONTH,
    DAYS_UNTIL_S3_DELETES,
    REQUEST_PRICES,
    STORAGE_PRICE,
    StoragePlan,
)

BEGIN = datetime(2026, 1, 2, tzinfo=UTC)  # a Friday
FILL_DAYS = 42  # until the weekly tier and the undelete days have come round
# Of a manifest as the agent writes it, by file; with the folder that a file lies in.
ENTRY_BYTES, STORED_IN_BYTES, HEADER_BYTES = 330, 32, 1500
PAGE = 1000

Changes = Callable[[random.Random, int], list[int]]


def same(_chance: random.Random, count: int) -> list[int]:
    """The same files each time: a database, a log, the session that is under way."""
    return list(range(count))


def mostly_hot(chance: random.Random, files: int, count: int = 10) -> list[int]:
    """Eight of forty files that are worked on, and two anywhere."""
    hot = chance.sample(range(min(40, files)), min(8, files))
    return [*hot, *(chance.randrange(files) for _ in range(count - len(hot)))]


def anywhere(chance: random.Random, files: int, count: int = 10) -> list[int]:
    """Ten files anywhere: the worst that there is."""
    return [chance.randrange(files) for _ in range(count)]


@dataclass(slots=True)
class Bill:
    """Dollars by item, and what they are for."""

    requests: Counter[str] = field(default_factory=Counter)
    gigabyte_months: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def rows(self) -> Iterator[tuple[str, float]]:
        """Item and dollars."""
        for kind, count in sorted(self.requests.items()):
            yield f"{kind} {count:,}", count * REQUEST_PRICES[kind.split()[0]]
        for item, amount in self.gigabyte_months.items():
            yield f"{item} {amount:.2f} GB-months", amount * STORAGE_PRICE

    @property
    def total(self) -> float:
        """All of it in dollars."""
        return sum(dollars for _item, dollars in self.rows())


@dataclass(slots=True)
class _Kept:
    identity: SnapshotId
    bases: tuple[SnapshotId, ...]
    own_files: int
    own_bytes: float


class Month:
    """One bucket and one machine, cycle by cycle."""

    def __init__(
        self, files: int, size: float, changes: Callable[[random.Random], list[int]], plan: StoragePlan
    ) -> None:
        self._files, self._plan, self._changes = files, plan, changes
        self._file_bytes = size / files
        self._chance = random.Random(1)  # noqa: S311
        self._folder_of: list[str] = [""] * files
        self._held: dict[str, set[int]] = {}
        self._kept: dict[str, _Kept] = {}
        self._last: _Kept | None = None
        self._manifest_bytes = 0.0
        # What is no current object any more, by the day on which S3 takes it.
        self._gone: dict[float, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.bill = Bill()
        self.peak_folders = 0

    def run(self) -> Bill:
        """Count the last 30 days."""
        step = timedelta(minutes=self._plan.interval_minutes)
        at, counted = BEGIN, BEGIN + timedelta(days=FILL_DAYS)
        end = counted + timedelta(days=DAYS_A_MONTH)
        days = step / timedelta(days=1)
        while at < end:
            if at == counted:
                self.bill = Bill()
            self._back_up(at)
            if at.hour == 0 and at.minute < self._plan.interval_minutes:
                self._prune(at)
            self._store(at, days)
            at += step
        return self.bill

    def _back_up(self, at: datetime) -> None:
        name, changed = format_snapshot_name(at), set(self._changes(self._chance))
        bases = self._bases(name, changed, self._last) if self._last else ()
        folders = {base.snapshot for base in bases}
        own = changed.union(*(held for folder, held in self._held.items() if folder not in folders), set())
        if not self._last:
            own = set(range(self._files))
        uploaded = len(changed) if self._last else self._files
        for number in own:
            self._held.get(self._folder_of[number], set()).discard(number)
            self._folder_of[number] = name
        self._held = {folder: held for folder, held in self._held.items() if held and folder in folders}
        self._held[name] = own
        self.peak_folders = max(self.peak_folders, len(self._held))
        manifest = HEADER_BYTES + self._files * (ENTRY_BYTES + (STORED_IN_BYTES if bases else 0))
        count = self.bill.requests
        count["PUT uploads"] += uploaded
        count["COPY to the snapshot"] += len(own) - uploaded
        count["COPY to latest/"] += uploaded
        count["PUT names and manifests"] += 3
        count["GET"] += 1 + 2 * (len(self._last.bases) + 1 if self._last and self._last.bases else 0)
        count["HEAD"] += 1
        later = self._taken_by_s3(at)
        self._gone[later]["old versions of latest/"] += uploaded * self._file_bytes + self._manifest_bytes
        self._manifest_bytes = manifest
        identity = SnapshotId(name, "", 1, "i")
        self._last = self._kept[name] = _Kept(identity, bases, len(own), len(own) * self._file_bytes + manifest)

    def _bases(self, name: str, changed: set[int], last: _Kept) -> tuple[SnapshotId, ...]:
        held = {
            folder: Totals(count, int(count * self._file_bytes))
            for folder, files in self._held.items()
            if (count := len(files - changed))
        }
        manifest = Manifest(
            last.identity.snapshot, "", 1, "i", "s", CaptureMethod.LIVE, 0.0, (), bases=last.bases, header_totals=None
        )
        stock = Stock(held, Totals(len(changed), int(len(changed) * self._file_bytes)))
        return choose_bases(name, stock, manifest, self._plan)

    def _prune(self, at: datetime) -> None:
        rows = [
            Snapshot(name, complete=True, bases=tuple(base.snapshot for base in kept.bases))
            for name, kept in self._kept.items()
        ]
        plan = plan_retention(rows, at, latest_complete=True)
        objects = sum(kept.own_files + 2 for kept in self._kept.values())
        self.bill.requests["LIST by the lifecycle"] += -(-objects // PAGE) + len(plan.removed)
        self.bill.requests["GET"] += 2 * len(plan.kept) + 2 * len(plan.relied_on)
        later = self._taken_by_s3(at)
        for decision in plan.removed:
            kept = self._kept.pop(decision.snapshot.name)
            self._gone[later]["deleted snapshots"] += kept.own_bytes

    def _taken_by_s3(self, at: datetime) -> float:
        return (at - BEGIN) / timedelta(days=1) + self._plan.undelete_days + DAYS_UNTIL_S3_DELETES

    def _store(self, at: datetime, days: float) -> None:
        now = (at - BEGIN) / timedelta(days=1)
        amounts: dict[str, float] = defaultdict(float)
        amounts["latest/"] = self._files * self._file_bytes + self._manifest_bytes
        amounts["snapshots"] = sum(kept.own_bytes for kept in self._kept.values())
        for taken in [taken for taken in self._gone if taken <= now]:
            del self._gone[taken]
        for rows in self._gone.values():
            for item, size in rows.items():
                amounts[item] += size
        for item, size in amounts.items():
            self.bill.gigabyte_months[item] += size / BYTES_A_GIGABYTE * days / DAYS_A_MONTH


CASES: tuple[tuple[str, int, float, Callable[[random.Random], list[int]]], ...] = (
    ("a fresh gateway, 10 files, 2 MB", 10, 2e6, lambda chance: same(chance, 3)),
    ("10,000 files, 100 MB, the same ten", 10_000, 1e8, lambda chance: same(chance, 10)),
    ("10,000 files, 100 MB, eight of 40 and two anywhere", 10_000, 1e8, lambda chance: mostly_hot(chance, 10_000)),
    ("10,000 files, 100 MB, ten anywhere", 10_000, 1e8, lambda chance: anywhere(chance, 10_000)),
    ("10,000 files, 2 GB, eight of 40 and two anywhere", 10_000, 2e9, lambda chance: mostly_hot(chance, 10_000)),
    ("100,000 files, 1 GB, eight of 40 and two anywhere", 100_000, 1e9, lambda chance: mostly_hot(chance, 100_000)),
    ("100,000 files, 1 GB, ten anywhere", 100_000, 1e9, lambda chance: anywhere(chance, 100_000)),
)


def main() -> None:
    """Print every case, by item."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--undelete-days", type=int, default=14)
    parser.add_argument("--interval", type=int, default=20)
    parser.add_argument("--budget", type=float, default=0.5)
    options = parser.parse_args()
    plan = StoragePlan(options.interval, options.undelete_days, options.budget)
    for name, files, size, changes in CASES:
        month = Month(files, size, changes, plan)
        bill = month.run()
        print(f"{name}: ${bill.total:.2f} (in {month.peak_folders} folders at most)")
        for item, dollars in bill.rows():
            if dollars >= 0.0005:
                print(f"    ${dollars:8.3f}  {item}")


if __name__ == "__main__":
    main()
