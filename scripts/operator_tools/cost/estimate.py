"""What a month costs, from what is used and a price list. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from operator_tools.cost.price_list import PriceList
from operator_tools.prices.offers import HOURS_A_MONTH

GB = 1024**3
DAYS_A_MONTH = 30
MINUTES_A_DAY = 24 * 60

IDLE_FILES = 18
"""What a fresh gateway keeps in a backup (seen in `make lab`)."""
IDLE_BYTES = 2_200_000
IDLE_CHANGED = 4
OTHER_WRITES = 6
"""Requests of a changed backup beside a copy a kept file and an upload a changed one."""
WHOLE_STATE_FILES = 1565
"""Files of a fresh gateway's folder with all that OpenClaw can rebuild, which a plain copy takes too."""
WHOLE_STATE_BYTES = 60_000_000
LOGS_GB = 0.1
"""What the agent, an idle gateway and cloud-init write a month; an assumption."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a stack uses: hourly prices in US dollars (None: not known), sizes in bytes and GiB, counts a day or now.

    `measured` says whether files and bytes are of the real state, and not those of a fresh gateway.
    """

    instance_type: str
    zone: str
    spot_hour: float | None
    volume_gib: int
    files: int
    state_bytes: int
    stored_bytes: int
    changed_backups_a_day: float
    changed_files: int
    backup_interval_minutes: int
    metrics: int
    alarms: int
    logs_gb: float
    measured: bool
    running: bool = True


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the bill: US dollars a month (None: not known), and how it comes about."""

    name: str
    usd: float | None
    because: str


def items(usage: Usage, prices: PriceList) -> list[Item]:
    """Return every item of a month."""
    usd = prices.usd
    hours = HOURS_A_MONTH if usage.running else 0
    writes = usage.changed_backups_a_day * DAYS_A_MONTH * (usage.files + usage.changed_files + OTHER_WRITES)
    looks = MINUTES_A_DAY / usage.backup_interval_minutes * DAYS_A_MONTH * 2 if usage.running else 0
    paid_metrics, paid_alarms = max(0, usage.metrics - prices.free_metrics), max(0, usage.alarms - prices.free_alarms)
    spot = None if usage.spot_hour is None else usage.spot_hour * hours
    price = "no spot price" if usage.spot_hour is None else f"${usage.spot_hour:.4f} an hour now"
    of_state = "measured" if usage.measured else "a fresh gateway's"
    return [
        Item("instance", spot, f"{usage.instance_type} in {usage.zone}, spot, {price}, {hours} h"),
        Item("address", usd["ipv4_hour"] * hours, f"public IPv4, ${usd['ipv4_hour']:g} an hour"),
        Item(
            "volume",
            usd["gp3_gb_month"] * usage.volume_gib if usage.running else 0.0,
            f"{usage.volume_gib} GiB gp3, ${usd['gp3_gb_month']:g} a GB",
        ),
        Item(
            "backup storage",
            usd["s3_gb_month"] * usage.stored_bytes / GB,
            f"{usage.stored_bytes / GB:.3f} GB in S3 with old versions ({of_state})",
        ),
        Item(
            "backup requests",
            usd["s3_write_1000"] * writes / 1000 + usd["s3_read_1000"] * looks / 1000,
            f"{usage.changed_backups_a_day:g} changed backups a day of {usage.files:,} files ({of_state})",
        ),
        Item(
            "logs", usd["logs_gb"] * usage.logs_gb if usage.running else 0.0, f"{usage.logs_gb:g} GB taken in (assumed)"
        ),
        Item(
            "metrics", usd["metric_month"] * paid_metrics, f"{usage.metrics}, of which {prices.free_metrics} are free"
        ),
        Item("alarms", usd["alarm_month"] * paid_alarms, f"{usage.alarms}, of which {prices.free_alarms} are free"),
    ]


def naive_items(usage: Usage, prices: PriceList) -> list[Item]:
    """Return the same month the naive way: on demand, and all of the state copied to a new folder each time."""
    usd = prices.usd
    hour = prices.on_demand.get(usage.instance_type)
    files = max(usage.files, WHOLE_STATE_FILES) if not usage.measured else usage.files + WHOLE_STATE_FILES
    size = max(usage.state_bytes, WHOLE_STATE_BYTES) if not usage.measured else usage.state_bytes + WHOLE_STATE_BYTES
    copies = MINUTES_A_DAY / usage.backup_interval_minutes * DAYS_A_MONTH
    return [
        Item(
            "instance",
            None if hour is None else hour * HOURS_A_MONTH,
            f"{usage.instance_type} on demand" + (f", ${hour:g} an hour" if hour else ": its price is not in the list"),
        ),
        Item("address", usd["ipv4_hour"] * HOURS_A_MONTH, "the same"),
        Item("volume", usd["gp3_gb_month"] * usage.volume_gib, "the same"),
        Item("backup storage", usd["s3_gb_month"] * copies * size / GB, f"{copies:,.0f} whole copies, kept 30 days"),
        Item(
            "backup requests", usd["s3_write_1000"] * copies * files / 1000, f"{files:,} files, each copied each time"
        ),
    ]


def total(rows: Iterable[Item]) -> float:
    """Return the sum of what is known."""
    return sum(row.usd or 0.0 for row in rows)


def idle_stored_bytes(interval_minutes: int, undelete_days: int, changed_backups_a_day: float) -> int:
    """Return the bytes in the bucket of a fresh gateway, in the long run, if so many backups a day change it."""
    days_in_full = 1.5 + undelete_days + 0.5
    copies = min(changed_backups_a_day, MINUTES_A_DAY / interval_minutes) * days_in_full + 10
    return int(copies * IDLE_BYTES)
