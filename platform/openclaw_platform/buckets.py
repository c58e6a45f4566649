"""A bucket that nobody but this account reads, and only over TLS."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from openclaw_platform.names import Scope
from openclaw_platform.policies import private_bucket_policy


@dataclass(frozen=True, slots=True)
class PrivateBucketArgs:
    """One private bucket; `disposable` lets a destroy empty it, else Pulumi protects it and never empties it.

    It is encrypted with S3's own key, or with the user's.
    """

    scope: Scope
    bucket_name: str
    disposable: bool
    kms_key_arn: str = ""


class PrivateBucket(pulumi.ComponentResource):
    """A bucket, private, encrypted by default, owned by the account, TLS only."""

    bucket: aws.s3.Bucket

    def __init__(self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("openclaw:platform:PrivateBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        self.bucket = aws.s3.Bucket(
            name,
            bucket=args.bucket_name,
            force_destroy=args.disposable,
            tags=args.scope.tags(args.bucket_name),
            opts=pulumi.ResourceOptions(parent=self, protect=not args.disposable),
        )
        access_block = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=self.bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            name,
            bucket=self.bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=self.bucket.bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="aws:kms" if args.kms_key_arn else "AES256",
                            kms_master_key_id=args.kms_key_arn or None,
                        )
                    ),
                    # Else each object would be a request to KMS.
                    bucket_key_enabled=bool(args.kms_key_arn) or None,
                )
            ],
            opts=child,
        )
        # S3 refuses two configuration changes of one bucket at once (OperationAborted), and these two do collide.
        aws.s3.BucketPolicy(
            name,
            bucket=self.bucket.bucket,
            policy=json.dumps(private_bucket_policy(args.scope.partition, args.bucket_name, args.kms_key_arn)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[access_block]),
        )
        self.register_outputs({"bucket": self.bucket.bucket})


@dataclass(frozen=True, slots=True)
class UndeleteWindowArgs:
    """For how many days a bucket keeps what was overwritten or deleted in it, and locks what is written (0: not)."""

    bucket: pulumi.Input[str]
    days: int
    lock_days: int = 0


class UndeleteWindow(pulumi.ComponentResource):
    """Versioning on a bucket, bounded: old versions expire, and so does what a broken upload left behind."""

    def __init__(self, name: str, args: UndeleteWindowArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("openclaw:platform:UndeleteWindow", name, None, opts)

        versioning = aws.s3.BucketVersioning(
            name,
            bucket=args.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        if args.lock_days:
            aws.s3.BucketObjectLockConfiguration(
                name,
                bucket=args.bucket,
                rule=aws.s3.BucketObjectLockConfigurationRuleArgs(
                    default_retention=aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
                        # Compliance mode would let nobody out of it, the account's owner included.
                        mode="GOVERNANCE",
                        days=args.lock_days,
                    )
                ),
                # S3 locks versions alone. Not protected: one may do without the lock again.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning], protect=False),
            )
        rule = aws.s3.BucketLifecycleConfigurationRuleArgs
        everything = aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=args.bucket,
            rules=[
                rule(
                    id="expire-old-versions",
                    status="Enabled",
                    filter=everything,
                    noncurrent_version_expiration=(
                        aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                            noncurrent_days=args.days
                        )
                    ),
                    expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
                ),
                rule(
                    id="abort-broken-uploads",
                    status="Enabled",
                    filter=everything,
                    abort_incomplete_multipart_upload=(
                        aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                            days_after_initiation=1
                        )
                    ),
                ),
            ],
            # Without versioning first, S3 refuses a rule about versions that are not current.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        self.register_outputs({})
