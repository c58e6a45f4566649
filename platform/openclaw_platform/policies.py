"""The documents that guard what the platform owns; plain values in, JSON-ready values out."""

from typing import Any

PolicyDocument = dict[str, Any]
"""A document in AWS's own JSON form: a resource policy, or an image lifecycle policy."""

KEPT_IMAGES = 10
"""How many tagged images the repository keeps."""

UNTAGGED_IMAGE_DAYS = 7
"""After how many days the repository drops an image without a tag."""

_WITHOUT_TLS = {"Bool": {"aws:SecureTransport": "false"}}


def private_bucket_policy(partition: str, bucket: str, kms_key_arn: str = "") -> PolicyDocument:
    """Refuse every request without TLS, and every object that the account could not read back at once.

    Whoever holds the instance's role might else overwrite backups with objects under a key of their own, or in a
    storage class that takes half a day to thaw. A condition on a header comes with `Null`: a negated operator alone is
    satisfied by a request that has no such header (IAM reference, "Condition operators"). With a key of the user's,
    that one is the only other that may be named.
    """
    arn = f"arn:{partition}:s3:::{bucket}"
    store: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{arn}/*"}
    customer_key = "s3:x-amz-server-side-encryption-customer-algorithm"
    encryption = "s3:x-amz-server-side-encryption"
    key = f"{encryption}-aws-kms-key-id"
    refuse_other_keys: dict[str, Any] = {
        "Sid": "RefuseOtherKeys",
        **store,
        "Condition": {"Null": {key: "false"}, "StringNotEquals": {key: kms_key_arn}},
    }
    storage_class = "s3:x-amz-storage-class"
    return _document(
        {
            "Sid": "RefuseWithoutTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": _WITHOUT_TLS,
        },
        {"Sid": "RefuseKeysOfTheSender", **store, "Condition": {"Null": {customer_key: "false"}}},
        {
            "Sid": "RefuseOtherEncryption",
            **store,
            "Condition": {
                "Null": {encryption: "false"},
                "StringNotEquals": {encryption: "aws:kms" if kms_key_arn else "AES256"},
            },
        },
        *([refuse_other_keys] if kms_key_arn else []),
        {
            "Sid": "RefuseColdStorage",
            **store,
            "Condition": {"Null": {storage_class: "false"}, "StringNotEquals": {storage_class: "STANDARD"}},
        },
    )


def alarm_topic_policy(topic_arn: str, account_id: str) -> PolicyDocument:
    """Let this account's CloudWatch alarms publish to the topic, and nobody without TLS."""
    return _document(
        {
            "Sid": "AlarmsOfThisAccountPublish",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": account_id}},
        },
        _publish_over_tls(topic_arn),
    )


def bucket_topic_policy(topic_arn: str, bucket_arn: str, account_id: str) -> PolicyDocument:
    """Let S3 report events of one bucket of this account to the topic; nobody else publishes to it."""
    return _document(
        {
            "Sid": "TheBucketReports",
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": {
                "StringEquals": {"aws:SourceAccount": account_id},
                "ArnEquals": {"aws:SourceArn": bucket_arn},
            },
        },
        _publish_over_tls(topic_arn),
    )


def image_lifecycle_policy() -> PolicyDocument:
    """Bound what the image repository costs: untagged images go after a week, and the newest ten tagged ones stay."""
    return {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Drop images without a tag",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": UNTAGGED_IMAGE_DAYS,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": "Keep the newest images",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
                "action": {"type": "expire"},
            },
        ]
    }


def _publish_over_tls(topic_arn: str) -> dict[str, Any]:
    return {
        "Sid": "RefuseWithoutTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": _WITHOUT_TLS,
    }


def _document(*statements: dict[str, Any]) -> PolicyDocument:
    return {"Version": "2012-10-17", "Statement": list(statements)}
