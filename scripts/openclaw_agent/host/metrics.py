"""Counters in CloudWatch, which the alarms are set on."""

from collections import Counter

from openclaw_agent.settings import Settings


def count_metrics(settings: Settings, names: list[str]) -> str | None:
    """Add to each metric in CloudWatch how often it is named; return why it could not be done, or None."""
    if not settings.metric_namespace or not names:
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
                    "Value": count,
                    "Unit": "Count",
                }
                for name, count in Counter(names).items()
            ],
        )
    except (BotoCoreError, ClientError) as problem:
        return f"The metrics {', '.join(dict.fromkeys(names))} could not be sent ({type(problem).__name__})."
    return None
