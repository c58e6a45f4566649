"""What backups may cost in a UTC day: a state that is made to change all the time runs up no bill. Pure."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from openclaw_agent.errors import OverBudget
from openclaw_agent.snapshot.manifest import Entry, EntryKind
from openclaw_agent.store.cost import OTHER_REQUESTS, request_cost

GIB = 1024**3
# A last backup is worth the same again: after it nobody can make up for it.
FINAL_SHARE = 2


@dataclass(frozen=True, slots=True)
class Spending:
    """What the backups of a UTC day (YYYY-MM-DD) have asked of S3: requests in USD, bytes sent and copied."""

    day: str
    usd: float = 0.0
    bytes: int = 0

    def on(self, now: datetime) -> "Spending":
        """What has been spent on this day: nothing, when it is another one."""
        day = now.date().isoformat()
        return self if self.day == day else Spending(day)

    def plus(self, more: "Spending") -> "Spending":
        """Both together, on this day."""
        return replace(self, usd=self.usd + more.usd, bytes=self.bytes + more.bytes)


def planned_spending(entries: Iterable[Entry], read: Container[str], now: datetime) -> Spending:
    """The most that a backup of `entries` costs, of which those in `read` have been read to be sent."""
    kept = changed = size = 0
    for entry in entries:
        if entry.kind is not EntryKind.FILE or entry.hard_link_to:
            continue
        size += entry.size
        if entry.path in read:
            changed += 1
            # In the snapshot, and once more in latest/.
            size += entry.size
        else:
            kept += 1
    usd = request_cost({"COPY": kept + changed, "PUT": changed + OTHER_REQUESTS})
    return Spending(now.date().isoformat(), usd, size)


@dataclass(frozen=True, slots=True)
class DailyBudget:
    """What a UTC day may cost; `is_final` is for a last backup, which may use it once more."""

    usd: int
    gib: int
    is_final: bool = False

    def require(self, spent: Spending, planned: Spending) -> None:
        """Refuse what is over it.

        Raises:
            OverBudget: naming what was spent, what it would take, and the key.
        """
        share = FINAL_SHARE if self.is_final else 1
        total = spent.plus(planned)
        if total.usd > self.usd * share:
            raise OverBudget(
                _sentence(
                    f"${spent.usd:,.2f}", f"${planned.usd:,.2f}", f"${self.usd * share:,}", "backup_daily_limit_usd"
                )
            )
        if total.bytes > self.gib * share * GIB:
            allowed = f"{self.gib * share:,} GiB"
            raise OverBudget(_sentence(_gib(spent.bytes), _gib(planned.bytes), allowed, "backup_daily_limit_gib"))


def _sentence(spent: str, planned: str, allowed: str, key: str) -> str:
    return (
        f"Refused: the backups of this UTC day have taken {spent}, this one would take {planned}, and {allowed} a day "
        f"are allowed ({key}). Nothing was written; look at what in the state changes so much, or raise the limit."
    )


def _gib(size: int) -> str:
    return f"{size / GIB:,.1f} GiB"


def _usd(amount: float) -> str:
    return f"${amount:,.2f}"
