"""S3 itself reports on the backup bucket: a real backup is counted without a word of the agent's, and so is a loss."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.moto.server import EmbeddedAws
from tests.support.simulated_instance import FreshBucket

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks

STACK = "reported"
TOPICS = {event: f"openclaw-lab-{event}-{STACK}" for event in ("commits", "losses")}


@pytest.fixture(scope="module")
def bucket(stacks: Stacks) -> str:
    name = stacks.platform(STACK)["backup_bucket"]
    assert isinstance(name, str)
    return name


@pytest.fixture
def queues(aws: EmbeddedAws, bucket: str) -> Iterator[dict[str, str]]:
    """A queue behind each topic, which shows what CloudWatch would count."""
    sqs, sns = aws.client("sqs"), aws.client("sns")
    made = {event: sqs.create_queue(QueueName=name)["QueueUrl"] for event, name in TOPICS.items()}
    found = {topic["TopicArn"].rpartition(":")[2]: topic["TopicArn"] for topic in sns.list_topics()["Topics"]}
    for name in TOPICS.values():
        queue = f"arn:aws:sqs:{aws.region}:123456789012:{name}"
        sns.subscribe(TopicArn=found[name], Protocol="sqs", Endpoint=queue)
    yield made
    for url in made.values():
        sqs.delete_queue(QueueUrl=url)


def published(aws: EmbeddedAws, queue: str) -> list[tuple[str, str]]:
    """The events and keys that came since the last look."""
    seen: list[tuple[str, str]] = []
    while messages := aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            aws.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            records = json.loads(json.loads(message["Body"])["Message"]).get("Records", [])
            seen += [(record["eventName"], record["s3"]["object"]["key"].replace("%2F", "/")) for record in records]
    return seen


def test_each_snapshot_is_reported_once_and_a_deletion_of_what_nothing_deletes(
    aws: EmbeddedAws, bucket: str, queues: dict[str, str], tmp_path: Path
) -> None:
    world = FreshBucket(aws, tmp_path, bucket)
    machine = world.booted("i-one")
    for n in range(3):
        machine.write("workspace/page.md", f"version {n}\n")
        machine.write(f"workspace/{n}.md")
        assert machine.backup().code == 0
    (machine.state / "workspace/0.md").unlink()
    assert machine.backup().code == 0

    assert published(aws, queues["commits"]) == [
        ("ObjectCreated:Put", f"snapshots/{name}/manifest.json") for name in world.snapshots()
    ]
    assert published(aws, queues["losses"]) == []

    for key in ("latest/.openclaw/workspace/1.md", "latest/manifest.json", "owner.json"):
        world.delete(key)
    assert published(aws, queues["commits"]) == []
    assert published(aws, queues["losses"]) == [
        ("ObjectRemoved:DeleteMarkerCreated", "latest/manifest.json"),
        ("ObjectRemoved:DeleteMarkerCreated", "owner.json"),
    ]


def test_the_alarms_look_at_the_topics_that_there_are(aws: EmbeddedAws, dev: dict[str, Any]) -> None:
    topics = {topic["TopicArn"].rpartition(":")[2] for topic in aws.client("sns").list_topics()["Topics"]}
    alarms: dict[str, Any] = {
        alarm["AlarmName"].removeprefix("openclaw-lab-dev-"): alarm
        for alarm in aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="openclaw-lab-dev-")["MetricAlarms"]
        if alarm["Namespace"] == "AWS/SNS"
    }
    assert set(alarms) == {"no-snapshot-in-s3", "backups-deleted"}
    for alarm in alarms.values():
        (dimension,) = alarm["Dimensions"]
        assert dimension["Name"] == "TopicName"
        assert dimension["Value"] in topics
    assert alarms["no-snapshot-in-s3"]["Period"] * alarms["no-snapshot-in-s3"]["EvaluationPeriods"] == 26 * 3600
