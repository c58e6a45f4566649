"""When somebody is told: one row an alarm."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from openclaw_platform.bucket_events import COMMITS, LOSSES, BucketEvent
from openclaw_platform.names import Scope

FIVE_MINUTES = 300
ONE_HOUR = 3600
NO_GOOD_BACKUP = "no-good-backup"
NO_SNAPSHOT_IN_S3 = "no-snapshot-in-s3"
ALARMS_OF_ABSENCE = (NO_GOOD_BACKUP, NO_SNAPSHOT_IN_S3)
"""The alarms that the absence of an instance sets off, and so those that a pause silences."""

HOURS_WITHOUT_SNAPSHOT = 26
"""A running gateway makes the first snapshot of each UTC day, changed or not, within an interval: an hour at most."""


class Metric(Enum):
    """What the instance measures in the stack's namespace: the first seven by the agent, the rest by CloudWatch's."""

    BACKUP_SUCCEEDED = "BackupSucceeded"
    BACKUP_FAILED = "BackupFailed"
    BACKUP_REFUSED = "BackupRefused"
    RESTORE_FAILED = "RestoreFailed"
    DATABASE_DAMAGED = "DatabaseDamaged"
    GAPS = "Gaps"
    SKIPPED = "Skipped"
    MEMORY_USED_PERCENT = "mem_used_percent"
    DISK_USED_PERCENT = "disk_used_percent"
    SWAP_USED_PERCENT = "swap_used_percent"


class MissingMetric(Enum):
    """What it means that nothing was measured (CloudWatch's own words)."""

    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """One alarm: it fires when `periods` periods of `period` seconds in a row are beyond the threshold.

    `metric` is one of the instance's, or an event of the bucket that S3 itself counts.
    """

    name: str
    metric: Metric | BucketEvent
    statistic: str
    comparison: str
    threshold: float
    periods: int
    missing: MissingMetric
    meaning: str
    period: int = FIVE_MINUTES


def alarm_rules(backup_interval_minutes: int) -> Iterator[AlarmRule]:
    """Every alarm of a stack."""
    minutes = minutes_without_backup(backup_interval_minutes)
    yield AlarmRule(
        name=NO_GOOD_BACKUP,
        metric=Metric.BACKUP_SUCCEEDED,
        statistic="Sum",
        comparison="LessThanThreshold",
        threshold=1,
        # Many short periods slide with the clock; one long period would be aligned to it and fire late.
        periods=minutes * 60 // FIVE_MINUTES,
        missing=MissingMetric.BREACHING,
        meaning=f"No backup has succeeded for {minutes} minutes, or each had gaps that nobody has accepted.",
    )
    yield AlarmRule(
        name=NO_SNAPSHOT_IN_S3,
        metric=COMMITS,
        statistic="Sum",
        comparison="LessThanThreshold",
        threshold=1,
        periods=HOURS_WITHOUT_SNAPSHOT,
        missing=MissingMetric.BREACHING,
        meaning=f"S3 has taken no snapshot for {HOURS_WITHOUT_SNAPSHOT} hours, whatever the instance reports.",
        period=ONE_HOUR,
    )
    yield _any_event(
        "backups-deleted", LOSSES, "Somebody deleted the newest manifest or the lease, which no run of ours deletes."
    )
    yield _any_event(
        "backup-refused", Metric.BACKUP_REFUSED, "A guard refused a backup, or another instance owns them."
    )
    yield _any_event(
        "restore-failed",
        Metric.RESTORE_FAILED,
        "A restore failed, and OpenClaw does not start; or a restore drill did.",
    )
    yield _any_event(
        "database-damaged", Metric.DATABASE_DAMAGED, "A database of OpenClaw's failed its integrity check."
    )
    yield _above("disk-full", Metric.DISK_USED_PERCENT, 85, "The root volume is more than 85 % full.")
    # The gateway alone may take 85 % (cloud_init/instance_files.py), and the system needs some on top.
    yield _above("memory-full", Metric.MEMORY_USED_PERCENT, 95, "The memory is more than 95 % used.")


@dataclass(frozen=True, slots=True)
class Measured:
    """Where CloudWatch keeps a metric: its namespace, its name, and its one dimension with the value."""

    namespace: str
    metric_name: str
    dimension: str
    value: str


def measured_in(scope: Scope, metric: Metric | BucketEvent) -> Measured:
    """Where to look a metric up. SNS counts what S3 publishes, and nobody but SNS can write to its namespace."""
    if isinstance(metric, BucketEvent):
        return Measured("AWS/SNS", "NumberOfMessagesPublished", "TopicName", scope.bucket_topic(metric.name))
    return Measured(scope.metric_namespace, metric.value, "Stack", scope.stack)


def alarm_name(stack_name: str, rule_name: str) -> str:
    """The name of a rule's alarm in AWS, for the stack of which `Scope.name` is given."""
    return f"{stack_name}-{rule_name}"


def minutes_without_backup(backup_interval_minutes: int) -> int:
    """How long no backup may succeed: three intervals, and at least an hour."""
    return max(60, 3 * backup_interval_minutes)


def _any_event(name: str, metric: Metric | BucketEvent, meaning: str) -> AlarmRule:
    return AlarmRule(name, metric, "Sum", "GreaterThanThreshold", 0, 1, MissingMetric.NOT_BREACHING, meaning)


def _above(name: str, metric: Metric, percent: float, meaning: str) -> AlarmRule:
    return AlarmRule(name, metric, "Average", "GreaterThanThreshold", percent, 3, MissingMetric.NOT_BREACHING, meaning)
