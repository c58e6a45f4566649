import hashlib
import io
import json
import tarfile
from typing import Any

import botocore.exceptions
import pytest

from lab.moto.server import EmbeddedAws

ACCOUNT = "123456789012"
BUCKETS = ["backup_bucket", "scripts_bucket"]


def test_outputs_are_texts_and_name_everything_the_instance_needs(dev: dict[str, Any]) -> None:
    expected = {
        "backup_bucket": f"openclaw-lab-backup-dev-{ACCOUNT}",
        "scripts_bucket": f"openclaw-lab-scripts-dev-{ACCOUNT}",
        "release_key": f"releases/{dev['release_sha256']}/openclaw-release.tar",
        "repository_arn": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/openclaw-lab-dev",
        "alarm_topic_arn": f"arn:aws:sns:us-east-1:{ACCOUNT}:openclaw-lab-alarms-dev",
        "agent_log_group": "/openclaw-lab/dev/agent",
        "gateway_log_group": "/openclaw-lab/dev/gateway",
        "bootstrap_log_group": "/openclaw-lab/dev/bootstrap",
        "log_retention_days": "30",
        "region": "us-east-1",
        "account_id": ACCOUNT,
    }

    assert {name: dev[name] for name in expected} == expected
    assert dev["repository_url"].endswith("/openclaw-lab-dev")


@pytest.mark.parametrize("output", BUCKETS)
def test_buckets_are_closed_to_the_public(aws: EmbeddedAws, dev: dict[str, Any], output: str) -> None:
    block = aws.client("s3").get_public_access_block(Bucket=dev[output])["PublicAccessBlockConfiguration"]

    assert block == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    }


@pytest.mark.parametrize("output", BUCKETS)
def test_buckets_encrypt_by_default_and_belong_to_the_account(
    aws: EmbeddedAws, dev: dict[str, Any], output: str
) -> None:
    s3 = aws.client("s3")

    (rule,) = s3.get_bucket_encryption(Bucket=dev[output])["ServerSideEncryptionConfiguration"]["Rules"]
    (owner,) = s3.get_bucket_ownership_controls(Bucket=dev[output])["OwnershipControls"]["Rules"]

    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert owner == {"ObjectOwnership": "BucketOwnerEnforced"}


@pytest.mark.parametrize("output", BUCKETS)
def test_buckets_are_reached_over_tls_only(aws: EmbeddedAws, dev: dict[str, Any], output: str) -> None:
    (statement, *_) = json.loads(aws.client("s3").get_bucket_policy(Bucket=dev[output])["Policy"])["Statement"]

    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"arn:aws:s3:::{dev[output]}", f"arn:aws:s3:::{dev[output]}/*"]


def test_the_backup_bucket_keeps_old_versions_for_two_weeks(aws: EmbeddedAws, dev: dict[str, Any]) -> None:
    s3 = aws.client("s3")

    assert s3.get_bucket_versioning(Bucket=dev["backup_bucket"])["Status"] == "Enabled"
    rules = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=dev["backup_bucket"])["Rules"]}
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}
    assert rules["expire-old-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"] == 14
    assert rules["expire-old-versions"]["Expiration"]["ExpiredObjectDeleteMarker"] is True
    assert rules["abort-broken-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_the_release_lies_where_its_sum_says_and_is_whole(aws: EmbeddedAws, dev: dict[str, Any]) -> None:
    answer = aws.client("s3").get_object(Bucket=dev["scripts_bucket"], Key=dev["release_key"])
    archive = answer["Body"].read()

    assert hashlib.sha256(archive).hexdigest() == dev["release_sha256"]
    with tarfile.open(fileobj=io.BytesIO(archive)) as release:
        names = set(release.getnames())
    assert {"install.sh", "docker-compose.yaml", "wheels/one-1.0-py3-none-any.whl"} < names
    assert {"agent/openclaw_agent/__init__.py", "agent/bin/openclaw-s3-backup.py"} < names
    assert any(name.startswith("units/") for name in names)
    assert "user-data.yaml.tmpl" not in names


def test_images_are_scanned_fixed_and_bounded(aws: EmbeddedAws, dev: dict[str, Any]) -> None:
    ecr = aws.client("ecr")
    name = dev["repository_arn"].partition("/")[2]

    (repository,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]

    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    assert repository["imageTagMutability"] == "IMMUTABLE"
    rules = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])["rules"]
    assert [rule["selection"]["tagStatus"] for rule in rules] == ["untagged", "any"]


def test_the_alarm_topic_is_for_this_accounts_alarms_over_tls(aws: EmbeddedAws, dev: dict[str, Any]) -> None:
    attributes = aws.client("sns").get_topic_attributes(TopicArn=dev["alarm_topic_arn"])["Attributes"]

    allow, deny = json.loads(attributes["Policy"])["Statement"]
    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allow["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert aws.client("sns").list_subscriptions_by_topic(TopicArn=dev["alarm_topic_arn"])["Subscriptions"] == []


@pytest.mark.parametrize("output", ["agent_log_group", "gateway_log_group", "bootstrap_log_group"])
def test_logs_are_kept_for_a_month(aws: EmbeddedAws, dev: dict[str, Any], output: str) -> None:
    (group,) = aws.client("logs").describe_log_groups(logGroupNamePrefix=dev[output])["logGroups"]

    assert group["retentionInDays"] == 30


@pytest.mark.parametrize(
    "way",
    [
        {"StorageClass": "DEEP_ARCHIVE"},
        {"StorageClass": "GLACIER_IR"},
        {"StorageClass": "ONEZONE_IA"},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:us-east-1:999999999999:key/theirs"},
        {"ServerSideEncryption": "aws:kms:dsse"},
        {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32},
    ],
    ids=str,
)
@pytest.mark.parametrize("output", BUCKETS)
def test_nothing_is_stored_that_the_account_could_not_read_back_at_once(
    aws: EmbeddedAws, dev: dict[str, Any], output: str, way: dict[str, str]
) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=dev[output], Key="latest/as-ever", Body=b"x")
    s3.put_object(
        Bucket=dev[output], Key="latest/said", Body=b"x", StorageClass="STANDARD", ServerSideEncryption="AES256"
    )

    with pytest.raises(botocore.exceptions.ClientError, match="403"):
        s3.put_object(Bucket=dev[output], Key="latest/as-ever", Body=b"x", **way)
    source = {"Bucket": dev[output], "Key": "latest/said"}
    with pytest.raises(botocore.exceptions.ClientError, match="403"):
        s3.copy_object(Bucket=dev[output], Key="latest/as-ever", CopySource=source, **way)
    s3.delete_object(Bucket=dev[output], Key="latest/as-ever")
    s3.delete_object(Bucket=dev[output], Key="latest/said")
