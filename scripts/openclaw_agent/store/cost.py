"""What a run costs at list price, so that the bill is known before it comes. Pure."""

from collections.abc import Mapping

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
DEFAULT_UNDELETE_DAYS = 3


def copies_stored(interval_minutes: int, undelete_days: int = DEFAULT_UNDELETE_DAYS) -> float:
    """How many times the state lies in the bucket if every backup finds changes and so is a whole copy.

    The daily lifecycle keeps the last 24 to 48 hours whole, 36 on average; what it deletes stays for the undelete days,
    and half a day more until S3 comes by.
    """
    copies_a_day = 24 * 60 / interval_minutes
    return copies_a_day * (1.5 + undelete_days + 0.5) + COPIES_OF_OLDER_TIERS


def storage_cost(gigabytes: float, interval_minutes: int, undelete_days: int = DEFAULT_UNDELETE_DAYS) -> float:
    """What a state of this size costs a month, in USD, to keep stored if every backup finds changes."""
    return gigabytes * copies_stored(interval_minutes, undelete_days) * STORAGE_PRICE
