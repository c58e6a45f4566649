import json
from typing import Any

import pytest

from openclaw_agent.snapshot.keys import MARKER_KEY
from openclaw_ec2_spot.instance_policies import instance_policy, trust_policy
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs
from openclaw_platform.policies import (
    alarm_topic_policy,
    bucket_topic_policy,
    image_lifecycle_policy,
    private_bucket_policy,
)

CANNOT_BE_SCOPED = {
    "LogInToTheRegistry": {"ecr:GetAuthorizationToken"},
    "Measure": {"cloudwatch:PutMetricData"},
    "IsTheHolderAlive": {"ec2:DescribeInstances"},
    "SessionChannels": {
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
    },
}


@pytest.fixture
def statements(scope: Scope, platform: PlatformOutputs[str]) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in instance_policy(scope, platform)["Statement"]}


def _texts(value: Any) -> set[str]:
    return {value} if isinstance(value, str) else set(value)


def test_only_actions_that_aws_cannot_bind_are_unbound(statements: dict[str, dict[str, Any]]) -> None:
    unbound = {
        sid: _texts(statement["Action"])
        for sid, statement in statements.items()
        if "*" in _texts(statement["Resource"])
    }

    assert unbound == CANNOT_BE_SCOPED
    assert statements["Measure"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "OpenClawLab/dev"}}


def test_no_action_is_a_wildcard_and_the_one_deny_is_of_what_no_run_deletes(
    statements: dict[str, dict[str, Any]],
) -> None:
    assert all("*" not in action for statement in statements.values() for action in _texts(statement["Action"]))
    denies = {sid: statement["Resource"] for sid, statement in statements.items() if statement["Effect"] == "Deny"}
    assert denies == {
        "TheNewestManifestStays": "arn:aws:s3:::openclaw-lab-backup-dev-123456789012/latest/manifest.json"
    }


def test_the_state_can_be_written_but_its_old_versions_not_destroyed(statements: dict[str, dict[str, Any]]) -> None:
    bucket = "arn:aws:s3:::openclaw-lab-backup-dev-123456789012"

    assert _texts(statements["BackupsAndTheLease"]["Resource"]) == {
        f"{bucket}/latest/*",
        f"{bucket}/snapshots/*",
        f"{bucket}/owner.json",
    }
    actions = {action for statement in statements.values() for action in _texts(statement["Action"])}
    assert _texts(statements["FilesThatAreGoneAndOldSnapshots"]["Resource"]) == {
        f"{bucket}/latest/*",
        f"{bucket}/snapshots/*",
    }
    assert [sid for sid, statement in statements.items() if "s3:DeleteObject" in _texts(statement["Action"])] == [
        "FilesThatAreGoneAndOldSnapshots",
        "TheNewestManifestStays",
    ]
    assert not {action for action in actions if "Version" in action}
    assert not {action for action in actions if action.startswith(("s3:PutBucket", "s3:PutLifecycle", "iam:"))}


def test_the_marker_that_there_was_a_state_is_written_once_and_deleted_never(
    statements: dict[str, dict[str, Any]],
) -> None:
    marker = "arn:aws:s3:::openclaw-lab-backup-dev-123456789012/had-state.json"
    about = [statement for statement in statements.values() if marker in _texts(statement["Resource"])]

    assert marker.endswith(MARKER_KEY)
    assert [(statement["Action"], statement["Condition"]) for statement in about] == [
        ("s3:PutObject", {"Null": {"s3:if-none-match": "false"}})
    ]


def test_only_the_stacks_own_secrets_are_read_and_decrypted(statements: dict[str, dict[str, Any]]) -> None:
    path = "arn:aws:ssm:me-central-1:123456789012:parameter/openclaw-lab/dev/env"

    assert _texts(statements["SecretsOfTheGateway"]["Resource"]) == {path, f"{path}/*"}
    assert statements["DecryptTheseSecrets"]["Condition"] == {
        "StringEquals": {"kms:ViaService": "ssm.me-central-1.amazonaws.com"},
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/aws/ssm"},
        "StringLike": {"kms:EncryptionContext:PARAMETER_ARN": f"{path}/*"},
    }


def test_logs_go_to_the_three_groups_alone(statements: dict[str, dict[str, Any]]) -> None:
    logs = "arn:aws:logs:me-central-1:123456789012:log-group:/openclaw-lab/dev"

    assert _texts(statements["WriteLogs"]["Resource"]) == {
        f"{logs}/agent:*",
        f"{logs}/gateway:*",
        f"{logs}/bootstrap:*",
    }


def test_every_bound_statement_names_the_stack_or_the_account(statements: dict[str, dict[str, Any]]) -> None:
    for sid, statement in statements.items():
        for resource in _texts(statement["Resource"]) - {"*"}:
            assert "123456789012" in resource, sid


def test_the_policy_fits_into_an_inline_policy(scope: Scope, platform: PlatformOutputs[str]) -> None:
    assert len(json.dumps(instance_policy(scope, platform)).replace(" ", "")) < 10_240


def test_only_ec2_takes_the_role() -> None:
    assert [statement["Principal"] for statement in trust_policy()["Statement"]] == [{"Service": "ec2.amazonaws.com"}]


def test_buckets_refuse_everybody_without_tls() -> None:
    statement = private_bucket_policy("aws", "bucket")["Statement"][0]

    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]


def test_a_condition_on_a_header_never_refuses_a_request_that_has_no_such_header() -> None:
    for statement in private_bucket_policy("aws", "bucket")["Statement"][1:]:
        absent = {key for key, value in statement["Condition"]["Null"].items() if value == "false"}
        judged = {key for operator, block in statement["Condition"].items() if operator != "Null" for key in block}
        assert absent
        assert judged <= absent


def test_with_a_key_of_the_users_no_other_is_named() -> None:
    refused = {
        statement["Sid"]: statement["Condition"]
        for statement in private_bucket_policy("aws", "b", OWN_KEY)["Statement"]
    }
    assert refused["RefuseOtherEncryption"]["StringNotEquals"] == {"s3:x-amz-server-side-encryption": "aws:kms"}
    assert refused["RefuseOtherKeys"]["StringNotEquals"] == {"s3:x-amz-server-side-encryption-aws-kms-key-id": OWN_KEY}


def test_only_this_accounts_alarms_publish_to_the_topic() -> None:
    allow, deny = alarm_topic_policy("arn:topic", "123456789012")["Statement"]

    assert allow["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allow["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert deny["Effect"] == "Deny"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_s3_alone_reports_on_its_bucket_and_nobody_else_publishes() -> None:
    policy = bucket_topic_policy("arn:topic", "arn:aws:s3:::bucket", "123456789012")
    allow, deny = policy["Statement"]

    assert allow["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allow["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::bucket"},
    }
    assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")


def test_images_are_bounded_in_age_and_number() -> None:
    selections = [rule["selection"] for rule in image_lifecycle_policy()["rules"]]

    assert [(selection["tagStatus"], selection["countNumber"]) for selection in selections] == [
        ("untagged", 7),
        ("any", 10),
    ]


OWN_KEY = "arn:aws:kms:me-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_a_key_of_the_users_decrypts_these_secrets_through_ssm_alone(
    scope: Scope, platform: PlatformOutputs[str], statements: dict[str, dict[str, Any]]
) -> None:
    policy = instance_policy(scope, platform, OWN_KEY)["Statement"]
    assert "DecryptWithTheUsersKey" not in statements
    (added,) = [statement for statement in policy if statement not in statements.values()]

    assert (added["Action"], added["Resource"]) == ("kms:Decrypt", OWN_KEY)
    assert added["Condition"] == {
        "StringEquals": {"kms:ViaService": "ssm.me-central-1.amazonaws.com"},
        "StringLike": {
            "kms:EncryptionContext:PARAMETER_ARN": (
                "arn:aws:ssm:me-central-1:123456789012:parameter/openclaw-lab/dev/env/*"
            )
        },
    }


def test_an_object_that_somebody_put_there_with_tags_can_be_copied(statements: dict[str, dict[str, Any]]) -> None:
    copies = statements["CopiesOfTaggedObjects"]
    assert _texts(copies["Action"]) == {"s3:GetObjectTagging", "s3:PutObjectTagging"}
    places = {"latest/*", "snapshots/*"}
    assert {resource.split("/", 1)[1] for resource in _texts(copies["Resource"])} == places


def test_the_instance_may_let_its_own_group_go_on_and_no_other(statements: dict[str, dict[str, Any]]) -> None:
    hook = statements["EndAfterTheFinalBackup"]
    assert _texts(hook["Action"]) == {
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:RecordLifecycleActionHeartbeat",
    }
    assert hook["Resource"].endswith(":autoScalingGroup:*:autoScalingGroupName/openclaw-lab-dev")
