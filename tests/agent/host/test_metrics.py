import json
from pathlib import Path

import boto3
import pytest

from openclaw_agent.host.metrics import count_metrics
from openclaw_agent.settings import Settings
from tests.support.simulated_instance import FreshBucket


def test_metrics_carry_the_stack_and_a_failure_to_send_them_is_only_told(
    world: FreshBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(
        "bucket", world.aws.region, tmp_path, tmp_path, tmp_path, stack=world.bucket, metric_namespace="OpenClawLab"
    )
    assert count_metrics(settings, ["BackupSucceeded"]) is None
    rows = boto3.client("cloudwatch", region_name=world.aws.region).list_metrics(Namespace="OpenClawLab")["Metrics"]
    mine = [row for row in rows if {"Name": "Stack", "Value": world.bucket} in row["Dimensions"]]
    assert [row["MetricName"] for row in mine] == ["BackupSucceeded"]
    assert count_metrics(settings, []) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert "could not be sent" in (count_metrics(settings, ["BackupFailed"]) or "")


def test_a_backup_whose_metrics_cannot_be_sent_is_done_and_says_so(world: FreshBucket) -> None:
    writer = world.booted("writer")
    writer.write("notes.md")
    (writer.disk / "instance.json").write_text(json.dumps({"metric_namespace": "OpenClawLab", "stack": "dev"}))
    writer.environment |= {"AWS_ENDPOINT_URL_CLOUDWATCH": "http://127.0.0.1:1", "OPENCLAW_FREEZER": "none"}
    run = writer.backup()
    assert run.code == 0, run.err
    assert "The metrics BackupSucceeded could not be sent (EndpointConnectionError)." in run.err
