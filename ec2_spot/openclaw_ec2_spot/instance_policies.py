"""What the instance may do in AWS: one list of statements, each bound to this stack's own things."""

from typing import Any

from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs

Statement = dict[str, Any]


def trust_policy() -> dict[str, Any]:
    """Let EC2 instances, and nothing else, take the role."""
    return _document(
        {
            "Sid": "InstancesTakeTheRole",
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    )


def instance_policy(scope: Scope, platform: PlatformOutputs[str], kms_key_arn: str = "") -> dict[str, Any]:
    """Everything the instance's role allows; the key is the user's own for the secrets, empty for the account's."""
    return _document(
        *backup_statements(scope, platform.backup_bucket),
        *backup_key_statements(scope, platform.backup_bucket, platform.backup_kms_key_arn),
        *release_statements(scope, platform.scripts_bucket),
        *secret_statements(scope, kms_key_arn),
        *image_statements(platform.repository_arn),
        *watching_statements(scope, platform),
        *lease_statements(),
        *lifecycle_statements(scope),
        *session_statements(scope),
    )


def backup_statements(scope: Scope, bucket: str) -> list[Statement]:
    """Read and write backups; what is overwritten or deleted stays for the undelete window.

    No action on object versions is among them, so a stolen role cannot destroy the last of the state. What no run
    deletes cannot be deleted either; why snapshots can is decided in docs/adr/0013.
    """
    arn = f"arn:{scope.partition}:s3:::{bucket}"
    return [
        {
            "Sid": "BackupsAndTheLease",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
            "Resource": [f"{arn}/latest/*", f"{arn}/snapshots/*", f"{arn}/owner.json"],
        },
        {
            "Sid": "FilesThatAreGoneAndOldSnapshots",
            "Effect": "Allow",
            "Action": "s3:DeleteObject",
            "Resource": [f"{arn}/latest/*", f"{arn}/snapshots/*"],
        },
        # Objects of latest/ go with their files, whatever they are called; its manifest is only ever overwritten.
        {
            "Sid": "TheNewestManifestStays",
            "Effect": "Deny",
            "Action": "s3:DeleteObject",
            "Resource": f"{arn}/latest/manifest.json",
        },
        # Once: it says that the bucket has held a state, and whoever wipes it with this role cannot take that back.
        {
            "Sid": "MarkerThatThereWasAState",
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": f"{arn}/had-state.json",
            "Condition": {"Null": {"s3:if-none-match": "false"}},
        },
        # Without them S3 refuses to copy an object that somebody has put there with tags.
        {
            "Sid": "CopiesOfTaggedObjects",
            "Effect": "Allow",
            "Action": ["s3:GetObjectTagging", "s3:PutObjectTagging"],
            "Resource": [f"{arn}/latest/*", f"{arn}/snapshots/*"],
        },
        # A state that a person has uploaded, wherever in the bucket, is restored as found.
        {
            "Sid": "UnmanagedObjects",
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"{arn}/*",
        },
        # Without it S3 answers 403 for a missing object, and an empty bucket looks like a forbidden one.
        {
            "Sid": "WhatBackupsThereAre",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": arn,
        },
    ]


def backup_key_statements(scope: Scope, bucket: str, kms_key_arn: str) -> list[Statement]:
    """Use the user's own key for backups, where there is one, through S3 and for this bucket alone."""
    arn = f"arn:{scope.partition}:s3:::{bucket}"
    if not kms_key_arn:
        return []
    return [
        {
            "Sid": "EncryptBackups",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": kms_key_arn,
            "Condition": {
                "StringEquals": {"kms:ViaService": f"s3.{scope.region}.amazonaws.com"},
                # With a bucket key the context is the bucket, without one the object.
                "StringLike": {"kms:EncryptionContext:aws:s3:arn": [arn, f"{arn}/*"]},
            },
        }
    ]


def release_statements(scope: Scope, bucket: str) -> list[Statement]:
    """Download releases."""
    return [
        {
            "Sid": "Releases",
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"arn:{scope.partition}:s3:::{bucket}/releases/*",
        }
    ]


def secret_statements(scope: Scope, kms_key_arn: str = "") -> list[Statement]:
    """Read the gateway's secrets, and decrypt nothing but them."""
    path = f"arn:{scope.partition}:ssm:{scope.region}:{scope.account_id}:parameter{scope.secrets_path.rstrip('/')}"
    of_these_secrets = {
        "StringEquals": {"kms:ViaService": f"ssm.{scope.region}.amazonaws.com"},
        "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{path}/*"},
    }
    by_the_users_key: Statement = {
        "Sid": "DecryptWithTheUsersKey",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": kms_key_arn,
        "Condition": of_these_secrets,
    }
    return [
        {
            "Sid": "SecretsOfTheGateway",
            "Effect": "Allow",
            "Action": ["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            "Resource": [path, f"{path}/*"],
        },
        # The id of the account's own key for SSM is unknown before its first use; its alias and SSM's encryption
        # context (PARAMETER_ARN) name what may be decrypted instead.
        {
            "Sid": "DecryptTheseSecrets",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": f"arn:{scope.partition}:kms:{scope.region}:{scope.account_id}:key/*",
            "Condition": {**of_these_secrets, "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/aws/ssm"}},
        },
        *([by_the_users_key] if kms_key_arn else []),
    ]


def image_statements(repository_arn: str) -> list[Statement]:
    """Pull images from the stack's repository; asking for a login cannot be bound to one."""
    return [
        {
            "Sid": "PullImages",
            "Effect": "Allow",
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": repository_arn,
        },
        {"Sid": "LogInToTheRegistry", "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
    ]


def watching_statements(scope: Scope, platform: PlatformOutputs[str]) -> list[Statement]:
    """Write to the three log groups, and measure in one namespace."""
    logs = f"arn:{scope.partition}:logs:{scope.region}:{scope.account_id}:log-group"
    groups = (platform.agent_log_group, platform.gateway_log_group, platform.bootstrap_log_group)
    return [
        {
            "Sid": "WriteLogs",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            "Resource": [f"{logs}:{group}:*" for group in groups],
        },
        # Metrics have no ARN: the namespace is all that CloudWatch lets one bind this to.
        {
            "Sid": "Measure",
            "Effect": "Allow",
            "Action": "cloudwatch:PutMetricData",
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": scope.metric_namespace}},
        },
    ]


def lease_statements() -> list[Statement]:
    """See whether the holder of the lease still runs; EC2 binds no Describe action to a resource."""
    return [
        {"Sid": "IsTheHolderAlive", "Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"},
    ]


def lifecycle_statements(scope: Scope) -> list[Statement]:
    """Hold the end of the group's instance while its final backup runs, and let it go on then."""
    groups = f"arn:{scope.partition}:autoscaling:{scope.region}:{scope.account_id}:autoScalingGroup"
    return [
        {
            "Sid": "EndAfterTheFinalBackup",
            "Effect": "Allow",
            "Action": ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"],
            "Resource": f"{groups}:*:autoScalingGroupName/{scope.name}",
        }
    ]


def session_statements(scope: Scope) -> list[Statement]:
    """Take part in Session Manager, which is how one connects without an open port; its channels have no ARN."""
    return [
        {
            "Sid": "BeReachable",
            "Effect": "Allow",
            "Action": "ssm:UpdateInstanceInformation",
            "Resource": f"arn:{scope.partition}:ec2:{scope.region}:{scope.account_id}:instance/*",
        },
        {
            "Sid": "SessionChannels",
            "Effect": "Allow",
            "Action": [
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "Resource": "*",
        },
    ]


def _document(*statements: Statement) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
