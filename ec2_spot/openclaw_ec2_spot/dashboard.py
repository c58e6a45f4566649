"""The stack's dashboard: is the state safe, does the instance breathe, what did the agent say."""

from collections.abc import Iterable
from typing import Any

from openclaw_ec2_spot.alarm_rules import FIVE_MINUTES, Metric, measured_in
from openclaw_platform.bucket_events import COMMITS, BucketEvent
from openclaw_platform.names import Scope

_HALF_WIDTH, _FULL_WIDTH, _HEIGHT = 12, 24, 6

_AGENT_QUERY = """SOURCE '{group}'
| fields @timestamp, @message
| sort @timestamp desc
| limit 50"""


def dashboard_body(scope: Scope, agent_log_group: str, alarm_arns: Iterable[str]) -> dict[str, Any]:
    """The dashboard as CloudWatch takes it, from top to bottom in the order of the questions it answers."""
    group = ["AutoScalingGroupName", scope.name]
    return {
        "widgets": [
            {
                "type": "alarm",
                **_place(0, 0, _FULL_WIDTH, 3),
                "properties": {"title": f"Alarms of {scope.name}", "alarms": list(alarm_arns)},
            },
            _graph(
                *("Backups", scope, 0, 3, "Sum"),
                [
                    _own(scope, metric)
                    for metric in (
                        Metric.BACKUP_SUCCEEDED,
                        Metric.BACKUP_FAILED,
                        Metric.BACKUP_REFUSED,
                        Metric.RESTORE_FAILED,
                        Metric.DATABASE_DAMAGED,
                        Metric.GAPS,
                        Metric.SKIPPED,
                        COMMITS,
                    )
                ],
            ),
            _graph(
                *("Memory, disk and swap used (percent)", scope, _HALF_WIDTH, 3, "Average"),
                [
                    _own(scope, metric)
                    for metric in (Metric.MEMORY_USED_PERCENT, Metric.DISK_USED_PERCENT, Metric.SWAP_USED_PERCENT)
                ],
            ),
            _graph(
                *("CPU (percent)", scope, 0, 9, "Average"),
                [["AWS/EC2", "CPUUtilization", *group], ["AWS/EC2", "CPUCreditBalance", *group, {"yAxis": "right"}]],
            ),
            _graph(
                *("Network (bytes)", scope, _HALF_WIDTH, 9, "Sum"),
                [["AWS/EC2", "NetworkIn", *group], ["AWS/EC2", "NetworkOut", *group]],
            ),
            {
                "type": "log",
                **_place(0, 15, _FULL_WIDTH, _HEIGHT),
                "properties": {
                    "title": "What the agent said",
                    "region": scope.region,
                    "view": "table",
                    "query": _AGENT_QUERY.format(group=agent_log_group),
                },
            },
        ]
    }


def _own(scope: Scope, metric: Metric | BucketEvent) -> list[Any]:
    found = measured_in(scope, metric)
    return [found.namespace, found.metric_name, found.dimension, found.value]


def _graph(title: str, scope: Scope, x: int, y: int, statistic: str, metrics: list[list[Any]]) -> dict[str, Any]:
    return {
        "type": "metric",
        **_place(x, y, _HALF_WIDTH, _HEIGHT),
        "properties": {
            "title": title,
            "region": scope.region,
            "view": "timeSeries",
            "stat": statistic,
            "period": FIVE_MINUTES,
            "metrics": metrics,
        },
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "width": width, "height": height}
