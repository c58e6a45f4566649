"""What a run tells: sentences on stderr for a person, one JSON line in a log file, and counters in CloudWatch."""

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from openclaw_agent.settings import Settings
from openclaw_agent.store.cost import request_cost
from openclaw_agent.store.transfers import Traffic
from openclaw_agent.streams import print_error


@dataclass(slots=True)
class RunLog:
    """One run of one command: its facts are collected on the way and written once, whatever the result."""

    command: str
    settings: Settings
    began: float = field(default_factory=time.monotonic)
    facts: dict[str, object] = field(default_factory=dict)

    def say(self, sentence: str) -> None:
        """Tell the person (or the journal) what happens."""
        print_error(sentence)

    def add(self, **facts: object) -> None:
        """Remember facts for the line."""
        self.facts.update(facts)

    def add_traffic(self, traffic: Traffic) -> None:
        """Remember what the run asked of S3 and what that costs."""
        self.add(
            requests=dict(sorted(traffic.requests.items())),
            bytes_uploaded=traffic.uploaded_bytes,
            bytes_copied=traffic.copied_bytes,
            bytes_downloaded=traffic.downloaded_bytes,
            cost_usd=round(request_cost(traffic.requests), 7),
        )

    def line(self, result: str) -> dict[str, object]:
        """The run as one JSON object."""
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "command": self.command,
            "stack": self.settings.stack,
            "bucket": self.settings.bucket,
            "result": result,
            "seconds": round(time.monotonic() - self.began, 3),
            **self.facts,
        }

    def write(self, result: str) -> dict[str, object]:
        """Append the run's line to its log file; a full or missing disk costs the line, never the run."""
        line = self.line(result)
        target: Path = self.settings.log_dir / f"{self.command}.log"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("a") as out:
                out.write(json.dumps(line) + "\n")
        except OSError as problem:
            self.say(f"The log {target} cannot be written ({problem.strerror}); the run itself is not affected.")
        return line


def count_metrics(settings: Settings, names: list[str]) -> str | None:
    """Add one to each named metric in CloudWatch; return why it could not be done, or None."""
    if not settings.metric_namespace or not names:
        return None
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
                    "Value": 1,
                    "Unit": "Count",
                }
                for name in names
            ],
        )
    except (BotoCoreError, ClientError) as problem:
        return f"The metrics {', '.join(names)} could not be sent ({type(problem).__name__})."
    return None
