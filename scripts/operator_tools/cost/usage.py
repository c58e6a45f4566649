"""What a stack uses, looked up: its configuration, today's spot price, and its bucket where there is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from openclaw_agent.catalog.snapshots import snapshot_names
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.manifests import load_header_or_none
from openclaw_ec2_spot.alarm_rules import Metric, alarm_rules
from openclaw_ec2_spot.config_keys import Ec2SpotSettings
from openclaw_platform.config_keys import PlatformSettings
from operator_tools.cost.estimate import (
    IDLE_BYTES,
    IDLE_CHANGED,
    IDLE_FILES,
    LOGS_GB,
    MINUTES_A_DAY,
    Usage,
    idle_stored_bytes,
)
from operator_tools.prices.zone_prices import zone_prices
from operator_tools.settings.stack_config import EC2_SPOT, PLATFORM, read_stack_config
from operator_tools.stack.stack import NotThere, Stack

MOST_VERSION_PAGES = 200
"""Of 1,000 versions each, so that a question for the price costs no dollar itself."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line gives instead of the configuration; None where nothing is given."""

    instance_type: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class _State:
    files: int
    state_bytes: int
    stored_bytes: int
    changed_backups_a_day: float


def look_up_usage(stack: Stack, given: Overrides, now: datetime | None = None) -> Usage:
    """Return what the stack uses; of what is not deployed or configured, the defaults.

    Raises:
        AccountError: AWS could not be asked.
    """
    spot, platform = read_stack_config(EC2_SPOT, stack.name), read_stack_config(PLATFORM, stack.name)
    # A zone is a must for a deployment, and none for a look at what it would cost.
    values: Mapping[str, str] = {"availability_zone": f"{stack.region}a", **spot.values}
    configured = Ec2SpotSettings(values.get)
    interval = configured.backup_interval_minutes
    instance_type = given.instance_type or configured.instance_type[0]
    price, zone = _spot_price(stack.region, instance_type, given.zone or spot.values.get("availability_zone"))
    state = _state(stack, now or datetime.now(UTC))
    changed_a_day = MINUTES_A_DAY / interval
    fresh = _State(
        IDLE_FILES,
        IDLE_BYTES,
        idle_stored_bytes(interval, PlatformSettings(platform.get).undelete_days, changed_a_day),
        changed_a_day,
    )
    found = state or fresh
    return Usage(
        instance_type=instance_type,
        zone=zone,
        spot_hour=price,
        volume_gib=configured.root_volume_size_gib,
        files=found.files,
        state_bytes=found.state_bytes,
        stored_bytes=found.stored_bytes,
        changed_backups_a_day=found.changed_backups_a_day,
        changed_files=IDLE_CHANGED,
        backup_interval_minutes=interval,
        metrics=len(Metric),
        alarms=len(list(alarm_rules(interval))),
        logs_gb=LOGS_GB,
        measured=state is not None,
    )


def _spot_price(region: str, instance_type: str, zone: str | None) -> tuple[float | None, str]:
    """Today's price in a zone, or in the cheapest one where none is chosen."""
    prices = zone_prices(region, instance_type)
    if zone is not None:
        return (float(prices[zone]) if zone in prices else None), zone
    cheapest = min(prices, key=lambda name: (prices[name], name), default=None)
    return (float(prices[cheapest]), cheapest) if cheapest else (None, f"any zone of {region}")


def _state(stack: Stack, now: datetime) -> _State | None:
    """The real state, or None where nothing is deployed or backed up yet."""
    try:
        store = stack.store
    except NotThere:
        return None
    latest = load_header_or_none(store, LATEST_MANIFEST_KEY)
    if latest is None:
        return None
    totals = latest.manifest.totals()
    times = [taken for name in snapshot_names(store) if (taken := parse_snapshot_name(name))]
    day = sum(now - taken < timedelta(days=1) for taken in times)
    return _State(totals.files, totals.bytes, _stored_bytes(stack, store.bucket), float(day))


def _stored_bytes(stack: Stack, bucket: str) -> int:
    """All bytes in the bucket, old versions included, as S3 bills them."""
    size = 0
    pages = stack.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
    with stack.account.told_in_a_sentence("s3", "ListBucketVersions"):
        for number, page in enumerate(pages, start=1):
            size += sum(version["Size"] for version in page.get("Versions", ()))
            if number == MOST_VERSION_PAGES:
                break
    return size
