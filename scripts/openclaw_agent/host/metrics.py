"""Counters in CloudWatch, which the alarms are set on."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

from openclaw_agent.settings import Settings

NO_COUNTS: Mapping[str, int] = MappingProxyType({})


def count_metrics(settings: Settings, names: list[str], counts: Mapping[str, int] = NO_COUNTS) -> str | None:
    """Add to each metric in CloudWatch how often it is named, and what was counted; return why it could not be done."""
    values = Counter(names) | Counter(counts)
    if not settings.metric_namespace or not values:
        return None
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        boto3.client(
            "cloudwatch",
            region_name=settings.region,
            config=Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3}),
        ).put_metric_data(
            Namespace=settings.metric_namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": "Stack", "Value": settings.stack}],
                    "Value": value,
                    "Unit": "Count",
                }
                for name, value in values.items()
            ],
        )
    except (BotoCoreError, ClientError) as problem:
        return f"The metrics {', '.join(values)} could not be sent ({type(problem).__name__})."
    return None
