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
