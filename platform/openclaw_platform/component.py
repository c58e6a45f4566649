"""The platform: what outlives every instance."""

import json
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

from openclaw_platform.bucket_reports import BucketReports, BucketReportsArgs
from openclaw_platform.buckets import PrivateBucket, PrivateBucketArgs, UndeleteWindow, UndeleteWindowArgs
from openclaw_platform.config_keys import PlatformSettings
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs
from openclaw_platform.policies import alarm_topic_policy, image_lifecycle_policy


@dataclass(frozen=True, slots=True)
class PlatformArgs:
    """Where the platform lives, what the user decided, and the release to upload (its key, sum and archive)."""

    scope: Scope
    settings: PlatformSettings
    release_key: str
    release_sha256: str
    release_archive: Path


class Platform(pulumi.ComponentResource):
    """Backup bucket, scripts bucket with the release, image repository, alarm topic and log groups of one stack."""

    outputs: PlatformOutputs[pulumi.Input[str]]

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("openclaw:platform:Platform", name, None, opts)
        scope, settings = args.scope, args.settings
        child = pulumi.ResourceOptions(parent=self)

        # With what is inside: a bucket that outlives a destroy is to stay private and versioned.
        kept = pulumi.ResourceOptions(parent=self, protect=True)
        backup = PrivateBucket(
            "backup",
            PrivateBucketArgs(scope, scope.backup_bucket, disposable=False, kms_key_arn=settings.backup_kms_key_arn),
            kept,
        )
        UndeleteWindow(
            "backup",
            UndeleteWindowArgs(backup.bucket.bucket, settings.undelete_days, settings.backup_object_lock_days),
            kept,
        )
        BucketReports("backup", BucketReportsArgs(scope, backup.bucket.bucket), child)

        scripts = PrivateBucket("scripts", PrivateBucketArgs(scope, scope.scripts_bucket, disposable=True), child)
        release = aws.s3.BucketObjectv2(
            "release",
            bucket=scripts.bucket.bucket,
            key=args.release_key,
            source=pulumi.FileAsset(str(args.release_archive)),
            content_type="application/x-tar",
            # An instance that boots from the older launch template during a change still needs its older release.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )

        repository = aws.ecr.Repository(
            "images",
            name=scope.name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            tags=scope.tags(),
            opts=kept,
        )
        aws.ecr.LifecyclePolicy(
            "images", repository=repository.name, policy=json.dumps(image_lifecycle_policy()), opts=kept
        )

        topic = aws.sns.Topic("alarms", name=scope.alarm_topic, tags=scope.tags(scope.alarm_topic), opts=child)
        aws.sns.TopicPolicy(
            "alarms",
            arn=topic.arn,
            policy=topic.arn.apply(lambda arn: json.dumps(alarm_topic_policy(arn, scope.account_id))),
            opts=child,
        )
        if settings.alarm_email:
            aws.sns.TopicSubscription(
                "alarm-email", topic=topic.arn, protocol="email", endpoint=settings.alarm_email, opts=child
            )

        def log_group(short_name: str, full_name: str) -> pulumi.Output[str]:
            group = aws.cloudwatch.LogGroup(
                short_name,
                name=full_name,
                retention_in_days=settings.log_retention_days,
                tags=scope.tags(full_name),
                opts=child,
            )
            return group.name

        self.outputs = PlatformOutputs(
            backup_bucket=backup.bucket.bucket,
            scripts_bucket=scripts.bucket.bucket,
            release_key=release.key,
            release_sha256=args.release_sha256,
            repository_url=repository.repository_url,
            repository_arn=repository.arn,
            alarm_topic_arn=topic.arn,
            agent_log_group=log_group("agent-log", scope.agent_log_group),
            gateway_log_group=log_group("gateway-log", scope.gateway_log_group),
            bootstrap_log_group=log_group("bootstrap-log", scope.bootstrap_log_group),
            log_retention_days=str(settings.log_retention_days),
            region=scope.region,
            account_id=scope.account_id,
            backup_kms_key_arn=settings.backup_kms_key_arn,
        )
        self.register_outputs(dict(self.outputs.named()))
