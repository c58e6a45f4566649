"""Handlers of buckets, images, topics, logs and alarms: what stands, what changes in place, what AWS would refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.engine.engine import Engine
from lab.moto.server import EmbeddedAws
from lab.resources.errors import InvalidInput

pytestmark = pytest.mark.subprocess

Write = Callable[..., Path]

BUCKET = """
s3 = aws.s3
days = config.get_int("days") or 3
bucket = s3.Bucket("vault", bucket=f"vault-{stack}")
name = bucket.bucket
s3.BucketVersioning("v", bucket=name, versioning_configuration={"status": "Enabled"})
s3.BucketOwnershipControls("own", bucket=name, rule={"object_ownership": "BucketOwnerEnforced"})
s3.BucketPublicAccessBlock("block", bucket=name, block_public_acls=True, block_public_policy=True,
                           ignore_public_acls=True, restrict_public_buckets=True)
s3.BucketServerSideEncryptionConfiguration("sse", bucket=name, rules=[
    {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}, "bucket_key_enabled": True}])
s3.BucketLifecycleConfiguration("rules", bucket=name, rules=[
    s3.BucketLifecycleConfigurationRuleArgs(
        id="old", status="Enabled", filter={"prefix": "latest/"},
        noncurrent_version_expiration={"noncurrent_days": days}),
    s3.BucketLifecycleConfigurationRuleArgs(
        id="parts", status="Enabled", abort_incomplete_multipart_upload={"days_after_initiation": 1})])
s3.BucketPolicy("policy", bucket=name, policy=bucket.arn.apply(lambda arn: json.dumps({
    "Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, arn + "/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]})))
"""


def test_bucket_and_its_settings(engine: Engine, program: Write, s3: Any) -> None:
    folder = program(BUCKET)
    engine.up(folder, "dev")
    vault = {"Bucket": "vault-dev"}
    assert s3.get_bucket_versioning(**vault)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(**vault)["PublicAccessBlockConfiguration"].values())
    controls = s3.get_bucket_ownership_controls(**vault)["OwnershipControls"]["Rules"]
    assert controls == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encryption,) = s3.get_bucket_encryption(**vault)["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert "aws:SecureTransport" in s3.get_bucket_policy(**vault)["Policy"]
    old, parts = s3.get_bucket_lifecycle_configuration(**vault)["Rules"]
    assert (old["ID"], old["Filter"]["Prefix"], old["NoncurrentVersionExpiration"]["NoncurrentDays"]) == (
        "old",
        "latest/",
        3,
    )
    assert parts["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    engine.up(folder, "dev", {"days": 5})
    old, _ = s3.get_bucket_lifecycle_configuration(**vault)["Rules"]
    assert old["NoncurrentVersionExpiration"]["NoncurrentDays"] == 5
    engine.destroy(folder, "dev")
    assert s3.list_buckets()["Buckets"] == []


REPORTED = """
bucket = aws.s3.Bucket("vault", bucket=f"vault-{stack}")
topic = aws.sns.Topic("told", name=f"told-{stack}")
rows = [row.split("|") for row in (config.get("rows") or "s3:ObjectCreated:*|a/|.json").split(",")]
aws.s3.BucketNotification("tell", bucket=bucket.bucket, topics=[
    {"topic_arn": topic.arn, "events": [event], "filter_prefix": prefix, "filter_suffix": suffix}
    for event, prefix, suffix in rows])
"""


def test_a_bucket_tells_whom_it_is_to(engine: Engine, program: Write, s3: Any) -> None:
    folder = program(REPORTED)
    engine.up(folder, "dev")
    (told,) = s3.get_bucket_notification_configuration(Bucket="vault-dev")["TopicConfigurations"]
    assert told["TopicArn"].endswith(":told-dev")
    assert told["Filter"]["Key"]["FilterRules"] == [
        {"Name": "prefix", "Value": "a/"},
        {"Name": "suffix", "Value": ".json"},
    ]
    engine.up(folder, "dev", {"rows": "s3:ObjectRemoved:*|a/|,s3:ObjectCreated:*|a/|"})
    assert len(s3.get_bucket_notification_configuration(Bucket="vault-dev")["TopicConfigurations"]) == 2
    engine.destroy(folder, "dev")
    assert s3.list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    "rows",
    ["s3:ObjectCreated:*|a/|,s3:ObjectCreated:Put|a/b|", "s3:ObjectCreated:*||.json,s3:ObjectCreated:*|a/|n.json"],
    ids=["prefixes", "suffixes"],
)
def test_two_reports_of_one_event_are_refused_as_by_s3(engine: Engine, program: Write, s3: Any, rows: str) -> None:
    with pytest.raises(InvalidInput, match="could match one key"):
        engine.up(program(REPORTED), "dev", {"rows": rows})


def test_versions_of_an_object_count_as_data(engine: Engine, program: Write, s3: Any) -> None:
    folder = program(BUCKET + 's3.BucketObjectv2("ours", bucket=name, key="ours", content=config.get("text") or "1")')
    engine.up(folder, "dev")
    engine.up(folder, "dev", {"text": "2"})
    assert len(s3.list_object_versions(Bucket="vault-dev")["Versions"]) == 2
    s3.put_object(Bucket="vault-dev", Key="theirs", Body=b"1")
    s3.delete_object(Bucket="vault-dev", Key="theirs")
    with pytest.raises(Exception, match="holds 1 objects"):
        engine.destroy(folder, "dev")
    for found in s3.list_object_versions(Bucket="vault-dev", Prefix="theirs").get("Versions", []):
        s3.delete_object(Bucket="vault-dev", Key="theirs", VersionId=found["VersionId"])
    for found in s3.list_object_versions(Bucket="vault-dev", Prefix="theirs").get("DeleteMarkers", []):
        s3.delete_object(Bucket="vault-dev", Key="theirs", VersionId=found["VersionId"])
    engine.destroy(folder, "dev")
    assert s3.list_buckets()["Buckets"] == []


SERVICES = """
days = config.get_int("days") or 30
repository = aws.ecr.Repository("images", name=f"images-{stack}", image_tag_mutability="IMMUTABLE",
                                image_scanning_configuration={"scan_on_push": True}, tags={"days": str(days)})
aws.ecr.LifecyclePolicy("expire", repository=repository.name, policy=json.dumps({"rules": [{
    "rulePriority": 1, "action": {"type": "expire"},
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 3}}]}))
topic = aws.sns.Topic("alarms", name=f"alarms-{stack}", tags={"days": str(days)})
aws.sns.TopicPolicy("who", arn=topic.arn, policy=topic.arn.apply(lambda arn: json.dumps({
    "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish",
        "Resource": arn}]})))
aws.sns.TopicSubscription("mail", topic=topic.arn, protocol="email", endpoint="lab@example.org")
logs = aws.cloudwatch.LogGroup("log", name=f"/lab/{stack}/agent", retention_in_days=days, tags={"days": str(days)})
aws.cloudwatch.LogMetricFilter("failed", log_group_name=logs.name, name="failed", pattern='{ $.result = "failed" }',
                               metric_transformation={"name": "Failed", "namespace": "Lab", "value": "1"})
alarm = aws.cloudwatch.MetricAlarm(
    "late", name=f"late-{stack}", namespace="Lab", metric_name="BackupAge", dimensions={"Stack": stack},
    statistic="Maximum", comparison_operator=config.get("comparison") or "GreaterThanThreshold", threshold=3600,
    period=config.get_int("period") or 300, evaluation_periods=1, treat_missing_data="breaching",
    alarm_actions=[topic.arn], ok_actions=[topic.arn])
aws.cloudwatch.MetricAlarm(
    "share", name=f"share-{stack}", comparison_operator="GreaterThanThreshold", threshold=0.5, evaluation_periods=2,
    metric_queries=[
        {"id": "share", "expression": "used / 2", "label": "Share", "return_data": True},
        {"id": "used", "metric": {"metric_name": "Used", "namespace": "Lab", "period": 60, "stat": "Average",
                                  "dimensions": {"Stack": stack}}}])
aws.cloudwatch.Dashboard("board", dashboard_name=f"board-{stack}",
                         dashboard_body=alarm.arn.apply(lambda arn: json.dumps({"widgets": [], "about": arn})))
pulumi.export("url", repository.repository_url)
pulumi.export("log", logs.arn)
pulumi.export("alarm", alarm.arn)
"""


def test_other_services_stand_change_and_go(engine: Engine, program: Write, aws: EmbeddedAws) -> None:
    ecr, sns, logs, watch = (aws.client(name) for name in ("ecr", "sns", "logs", "cloudwatch"))
    folder = program(SERVICES)
    assert engine.up(folder, "dev") == {
        "url": "123456789012.dkr.ecr.us-east-1.amazonaws.com/images-dev",
        "log": "arn:aws:logs:us-east-1:123456789012:log-group:/lab/dev/agent",
        "alarm": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:late-dev",
    }
    (repository,) = ecr.describe_repositories()["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert "imageCountMoreThan" in ecr.get_lifecycle_policy(repositoryName="images-dev")["lifecyclePolicyText"]
    (topic,) = sns.list_topics()["Topics"]
    assert "cloudwatch.amazonaws.com" in sns.get_topic_attributes(**topic)["Attributes"]["Policy"]
    assert [each["Endpoint"] for each in sns.list_subscriptions()["Subscriptions"]] == ["lab@example.org"]
    late, share = (watch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0] for name in ("late-dev", "share-dev"))
    assert (late["TreatMissingData"], late["Dimensions"]) == ("breaching", [{"Name": "Stack", "Value": "dev"}])
    assert late["AlarmActions"] == late["OKActions"] == [topic["TopicArn"]]
    assert [each["Id"] for each in share["Metrics"]] == ["share", "used"]
    assert share["Metrics"][1]["MetricStat"]["Metric"]["MetricName"] == "Used"
    assert json.loads(watch.get_dashboard(DashboardName="board-dev")["DashboardBody"])["about"] == late["AlarmArn"]
    assert [each["filterName"] for each in logs.describe_metric_filters()["metricFilters"]] == ["failed"]

    engine.up(folder, "dev", {"days": 7, "period": 60})
    assert [each["retentionInDays"] for each in logs.describe_log_groups()["logGroups"]] == [7]
    assert watch.describe_alarms(AlarmNames=["late-dev"])["MetricAlarms"][0]["Period"] == 60
    assert engine.preview(folder, "dev", {"days": 7, "period": 60}) == []

    engine.destroy(folder, "dev")
    assert ecr.describe_repositories()["repositories"] == []
    assert (sns.list_topics()["Topics"], sns.list_subscriptions()["Subscriptions"]) == ([], [])
    assert (logs.describe_log_groups()["logGroups"], watch.describe_alarms()["MetricAlarms"]) == ([], [])
    assert watch.list_dashboards()["DashboardEntries"] == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"days": 31}, "logs are kept for one of 1, 3, 5, 7"),
        ({"period": 45}, "an alarm's period is 10, 20, 30 or a multiple of 60 seconds, not 45"),
        ({"comparison": "More"}, "comparisonOperator is one of"),
    ],
    ids=["retention", "period", "comparison"],
)
def test_limits_of_other_services(
    engine: Engine, program: Write, aws: EmbeddedAws, config: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        engine.up(program(SERVICES), "dev", config)
    assert aws.client("sns").list_topics()["Topics"] == []
