"""The settings of an S3 bucket: each is a resource of its own, one request to put it and one to take it away."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, resource_inputs
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import INTEGER, JSON, SWITCH, TAGS, TEXT, TEXTS, Shape, an_object, json_text, list_of, to_aws
from lab.resources.values import UNKNOWN, Inputs, known_objects

SIZES = {"objectSizeGreaterThan": INTEGER, "objectSizeLessThan": INTEGER}
RULE = an_object(
    "id status",
    id=TEXT.named("ID"),
    status=TEXT,
    prefix=TEXT,
    abortIncompleteMultipartUpload=an_object(daysAfterInitiation=INTEGER),
    expiration=an_object(date=TEXT, days=INTEGER, expiredObjectDeleteMarker=SWITCH),
    filter=an_object(
        and_=an_object(prefix=TEXT, tags=TAGS, **SIZES),
        prefix=TEXT,
        tag=an_object("key value", key=TEXT, value=TEXT),
        **SIZES,
    ),
    noncurrentVersionExpiration=an_object("noncurrentDays", noncurrentDays=INTEGER, newerNoncurrentVersions=INTEGER),
    noncurrentVersionTransitions=list_of(
        an_object("noncurrentDays storageClass", noncurrentDays=INTEGER, newerNoncurrentVersions=INTEGER,
                  storageClass=TEXT)
    ),
    transitions=list_of(an_object("storageClass", date=TEXT, days=INTEGER, storageClass=TEXT)),
)  # fmt: skip
RULE_ACTIONS = (
    "expiration", "noncurrentVersionExpiration", "noncurrentVersionTransitions", "transitions",
    "abortIncompleteMultipartUpload",
)  # fmt: skip
DEFAULT_ENCRYPTION = an_object("sseAlgorithm", sseAlgorithm=TEXT.named("SSEAlgorithm"),
                               kmsMasterKeyId=TEXT.named("KMSMasterKeyID"))  # fmt: skip
ENCRYPTION_RULE = an_object(
    applyServerSideEncryptionByDefault=DEFAULT_ENCRYPTION, bucketKeyEnabled=SWITCH, blockedEncryptionTypes=TEXTS
)
BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
OWNERSHIP_RULE = an_object("objectOwnership", objectOwnership=TEXT)
LOCK_RULE = an_object("defaultRetention", defaultRetention=an_object(mode=TEXT, days=INTEGER, years=INTEGER))
VERSIONING = an_object("status", status=TEXT, mfaDelete=TEXT.named("MFADelete"))


class BucketSetting(Handler):
    """A setting that is put as a whole, at creation and at every change, and belongs to one bucket for life."""

    replace_on = frozenset({"bucket"})
    unique = True
    remove: ClassVar[str] = ""

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Put the setting; its id is the bucket's name."""
        self.put(cloud, inputs["bucket"], inputs)
        return Created(inputs["bucket"], {"region": cloud.region})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Put the setting again."""
        self.put(cloud, current.id, inputs)
        return {"region": cloud.region}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Take the setting away."""
        with ignoring_gone():
            getattr(cloud.client("s3"), self.remove)(Bucket=current.id)

    @abstractmethod
    def put(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        """Send the request that makes the setting."""


def setting_inputs(required: str, **fields: Shape) -> Shape:
    """Return the shape of a setting's inputs, each with its bucket."""
    return resource_inputs(f"bucket {required}", bucket=TEXT, expectedBucketOwner=TEXT, **fields)


class Versioning(BucketSetting):
    """Versioning; it can be suspended, never taken away, so deletion suspends it as the real provider does."""

    type = "aws:s3/bucketVersioning:BucketVersioning"
    shape = setting_inputs("versioningConfiguration", versioningConfiguration=VERSIONING, mfa=TEXT)

    def put(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        """Switch versioning on or off; `Disabled` may only stand at a bucket that never had it."""
        wanted = to_aws(VERSIONING, inputs["versioningConfiguration"])
        if wanted["Status"] != "Disabled":
            cloud.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration=wanted)

    def delete(self, cloud: Region, current: Resource) -> None:
        """Suspend versioning."""
        with ignoring_gone():
            cloud.client("s3").put_bucket_versioning(Bucket=current.id, VersioningConfiguration={"Status": "Suspended"})


class Encryption(BucketSetting):
    """Encryption by default."""

    type = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    shape = setting_inputs("rules", rules=list_of(ENCRYPTION_RULE))
    remove = "delete_bucket_encryption"

    def put(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        """Put the rules."""
        rules = to_aws(list_of(ENCRYPTION_RULE), inputs["rules"])
        cloud.client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


class PublicAccessBlock(BucketSetting):
    """The four switches against public access."""

    type = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    shape = resource_inputs("bucket", bucket=TEXT, skipDestroy=SWITCH, **dict.fromkeys(BLOCKS, SWITCH))
    remove = "delete_public_access_block"

    def put(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        """Put all four, those not given as false."""
        wanted = {key[0].upper() + key[1:]: bool(inputs.get(key)) for key in BLOCKS}
        cloud.client("s3").put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=wanted)


class Lifecycle(BucketSetting):
    """The rules by which S3 itself expires objects."""

    type = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    shape = setting_inputs("rules", rules=list_of(RULE), transitionDefaultMinimumObjectSize=TEXT)
    remove = "delete_bucket_lifecycle"

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """AWS refuses a rule that does nothing, and two rules of one id; moto takes both."""
        identifiers = [rule.get("id") for rule in known_objects(inputs.get("rules"))]
        for rule in known_objects(inputs.get("rules")):
            if not any(rule.get(action) for action in RULE_ACTIONS):
                raise InvalidInput(f"the lifecycle rule {rule.get('id')} does nothing")
            if rule.get("id") is not UNKNOWN and identifiers.count(rule.get("id")) > 1:
                raise InvalidInput(f"the lifecycle rule {rule.get('id')} is there twice")

    def put(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        """Put the rules; one without a filter covers the whole bucket."""
        rules = [_lifecycle_rule(rule) for rule in inputs["rules"]]
        cloud.client("s3").put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = to_aws(RULE, rule)
    if not written.get("Filter") and "Prefix" not in written:
        written["Filter"] = {"Prefix": ""}
    return written


class Policy(BucketSetting):
    """The bucket's policy."""

    type = "aws:s3/bucketPolicy:BucketPolicy"
    shape = resource_inputs("bucket policy", bucket=TEXT, policy=JSON)
    remove = "delete_bucket_policy"

    def put(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        """Put the document."""
        cloud.client("s3").put_bucket_policy(Bucket=bucket, Policy=json_text(inputs["policy"]))


class OwnershipControls(BucketSetting):
    """Who owns objects that others write."""

    type = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
    shape = resource_inputs("bucket rule", bucket=TEXT, rule=OWNERSHIP_RULE)
    remove = "delete_bucket_ownership_controls"

    def put(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        """Put the one rule."""
        rule = to_aws(OWNERSHIP_RULE, inputs["rule"])
        cloud.client("s3").put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": [rule]})


class ObjectLock(BucketSetting):
    """For how long a version cannot be deleted; it can be switched on, and never off, only emptied."""

    type = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
    shape = setting_inputs("", objectLockEnabled=TEXT, rule=LOCK_RULE, token=TEXT)

    def put(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        """Put the rule."""
        rule = {"Rule": to_aws(LOCK_RULE, inputs["rule"])} if inputs.get("rule") else {}
        cloud.client("s3").put_object_lock_configuration(
            Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", **rule}
        )

    def delete(self, cloud: Region, current: Resource) -> None:
        """Let new versions be without a lock."""
        with ignoring_gone():
            self.put(cloud, current.id, {})


class Notification(BucketSetting):
    """Whom S3 tells of what happens in the bucket."""

    type = "aws:s3/bucketNotification:BucketNotification"
    shape = resource_inputs(
        "bucket",
        bucket=TEXT,
        eventbridge=SWITCH,
        topics=list_of(
            an_object("events topicArn", events=TEXTS, topicArn=TEXT, filterPrefix=TEXT, filterSuffix=TEXT, id=TEXT)
        ),
    )

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """S3 refuses two configurations of which a key and an event could match both; moto takes them."""
        seen: list[tuple[str, str, str]] = []
        for target in known_objects(inputs.get("topics")):
            prefix, suffix = str(target.get("filterPrefix") or ""), str(target.get("filterSuffix") or "")
            for event in target.get("events", []):
                for other, start, end in seen:
                    if _overlap(event.rstrip("*"), other.rstrip("*"), prefix, start, suffix, end):
                        raise InvalidInput(f"two notifications of {event} could match one key below '{prefix}'")
            seen += [(event, prefix, suffix) for event in target.get("events", [])]

    def put(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        """Put all targets, which replaces those before."""
        targets = [_topic_target(target) for target in inputs.get("topics", [])]
        wanted: dict[str, Any] = {"TopicConfigurations": targets}
        if inputs.get("eventbridge"):
            wanted["EventBridgeConfiguration"] = {}
        cloud.client("s3").put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=wanted)

    def delete(self, cloud: Region, current: Resource) -> None:
        """Tell nobody."""
        with ignoring_gone():
            cloud.client("s3").put_bucket_notification_configuration(Bucket=current.id, NotificationConfiguration={})


def _topic_target(target: dict[str, Any]) -> dict[str, Any]:
    filters = [
        {"Name": name, "Value": target[key]}
        for key, name in (("filterPrefix", "prefix"), ("filterSuffix", "suffix"))
        if target.get(key)
    ]
    written: dict[str, Any] = {"TopicArn": target["topicArn"], "Events": target["events"]}
    if target.get("id"):
        written["Id"] = target["id"]
    if filters:
        written["Filter"] = {"Key": {"FilterRules": filters}}
    return written


def _overlap(event: str, other: str, prefix: str, start: str, suffix: str, end: str) -> bool:
    pairs = ((event, other, str.startswith), (prefix, start, str.startswith), (suffix, end, str.endswith))
    return all(within(one, two) or within(two, one) for one, two, within in pairs)


HANDLERS = (
    Versioning(), Encryption(), PublicAccessBlock(), Lifecycle(), Policy(), OwnershipControls(), ObjectLock(),
    Notification(),
)  # fmt: skip
