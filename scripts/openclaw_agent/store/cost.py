"""What a run costs at list price, so that the bill is known before it comes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

# S3 Standard, us-east-1, USD per request (AWS's price list; DELETE is free). Other regions differ by some 10 %.
REQUEST_PRICES: Mapping[str, float] = {
    "PUT": 0.005 / 1000,
    "COPY": 0.005 / 1000,
    "LIST": 0.005 / 1000,
    "GET": 0.0004 / 1000,
    "HEAD": 0.0004 / 1000,
    "DELETE": 0.0,
}


def request_cost(requests: Mapping[str, int]) -> float:
    """The price in USD of requests by kind; traffic within the region is free."""
    return sum(REQUEST_PRICES[kind] * count for kind, count in requests.items())


# What a backup of N files with d changed asks at most beside its N copies and d uploads.
OTHER_REQUESTS = 6
DAYS_A_MONTH = 30


def changed_backup_cost(files: int, changed: int) -> float:
    """The most, in USD, that a backup of `files` files of which `changed` have changed costs in requests."""
    return request_cost({"COPY": files, "PUT": changed + OTHER_REQUESTS})


# S3 Standard, us-east-1, USD per GB-month; noncurrent versions are billed like any other object.
STORAGE_PRICE = 0.023
# What retention keeps beside the newest 24 to 48 hours: one for each of six days and three weeks, and `latest/`.
COPIES_OF_OLDER_TIERS = 10
# A snapshot of the recent tier is there for 24 to 48 hours, 36 on average; S3 comes by once a day.
RECENT_DAYS = 1.5
DAYS_UNTIL_S3_DELETES = 0.5
BYTES_A_GIGABYTE = 1024**3
DEFAULT_UNDELETE_DAYS = 14


def copies_stored(interval_minutes: int, undelete_days: int = DEFAULT_UNDELETE_DAYS) -> float:
    """How many times the state lies in the bucket if every backup finds changes and so is a whole copy.

    The daily lifecycle keeps the last 24 to 48 hours whole, 36 on average; what it deletes stays for the undelete days,
    and half a day more until S3 comes by.
    """
    copies_a_day = 24 * 60 / interval_minutes
    return copies_a_day * (RECENT_DAYS + undelete_days + DAYS_UNTIL_S3_DELETES) + COPIES_OF_OLDER_TIERS


@dataclass(frozen=True, slots=True)
class StoragePlan:
    """How often the stack backs up, how long the bucket keeps what was deleted, and what whole snapshots may cost.

    The budget is in USD a month.
    """

    interval_minutes: int = 20
    undelete_days: int = DEFAULT_UNDELETE_DAYS
    budget_usd: float = 0.5


def whole_snapshots_month_cost(files: int, size: int, changed: int, plan: StoragePlan) -> float:
    """What a month of whole snapshots and of `latest/` costs at most, in USD: requests and storage of `size` bytes.

    Each backup finds as many files changed as this one.
    """
    backups = DAYS_A_MONTH * 24 * 60 / plan.interval_minutes
    # What has changed is copied to latest/ too.
    requests = backups * changed_backup_cost(files, changed)
    return requests + storage_cost(size / BYTES_A_GIGABYTE, plan.interval_minutes, plan.undelete_days)


def kept_for_a_day_cost(files: int, size: int, plan: StoragePlan) -> float:
    """What it costs to copy so many files of `size` bytes into a snapshot that is kept for a day or two, in USD."""
    days = RECENT_DAYS + plan.undelete_days + DAYS_UNTIL_S3_DELETES
    return request_cost({"COPY": files}) + size / BYTES_A_GIGABYTE * STORAGE_PRICE * days / DAYS_A_MONTH


def storage_cost(gigabytes: float, interval_minutes: int, undelete_days: int = DEFAULT_UNDELETE_DAYS) -> float:
    """What a state of this size costs a month, in USD, to keep stored if every backup finds changes."""
    return gigabytes * copies_stored(interval_minutes, undelete_days) * STORAGE_PRICE
