"""Every policy of both stacks, judged by AWS's own tables of actions, resources and conditions."""

from dataclasses import replace
from typing import Any

import pytest

from openclaw_ec2_spot.endpoint_policy import s3_endpoint_policy
from openclaw_ec2_spot.instance_policies import instance_policy, trust_policy
from openclaw_ec2_spot.unbound_actions import UNBOUND_ACTIONS
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs
from openclaw_platform.policies import alarm_topic_policy, bucket_topic_policy, private_bucket_policy
from tests.support.policy_evaluator import texts
from tests.support.policy_linter import findings, names_nothing

ACCOUNT, TOPIC = "123456789012", "arn:aws:sns:us-east-1:123456789012:topic"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
RESOURCE_POLICIES = {
    "buckets": private_bucket_policy("aws", "bucket"),
    "buckets under a key of one's own": private_bucket_policy("aws", "bucket", KEY),
    "alarms": alarm_topic_policy(TOPIC, ACCOUNT),
    "reports of the bucket": bucket_topic_policy(TOPIC, "arn:aws:s3:::bucket", ACCOUNT),
    "endpoint": s3_endpoint_policy(ACCOUNT),
    "trust": trust_policy(),
}


@pytest.mark.parametrize("key", ["", KEY], ids=["the account's key", "a key of one's own"])
def test_the_linter_has_nothing_to_say_of_the_role(scope: Scope, platform: PlatformOutputs[str], key: str) -> None:
    assert findings(instance_policy(scope, replace(platform, backup_kms_key_arn=key), key)) == []


@pytest.mark.parametrize("policy", RESOURCE_POLICIES.values(), ids=RESOURCE_POLICIES)
def test_the_linter_has_nothing_to_say_of(policy: dict[str, Any]) -> None:
    assert findings(policy) == []


def test_each_action_on_everything_has_a_reason_and_aws_has_nothing_to_bind_it_to(
    scope: Scope, platform: PlatformOutputs[str]
) -> None:
    on_everything = {
        action
        for statement in instance_policy(scope, platform)["Statement"]
        if "*" in texts(statement["Resource"])
        for action in texts(statement["Action"])
    }
    assert on_everything == set(UNBOUND_ACTIONS)
    assert all(names_nothing(action) for action in on_everything)


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ({"Action": "s3:GetObjekt", "Resource": "arn:aws:s3:::b/x"}, "AWS knows no action s3:GetObjekt"),
        ({"Action": "s3:*", "Resource": "*"}, "s3:* is everything of a service"),
        ({"Action": "s3:GetObject", "Resource": "*"}, "s3:GetObject can be bound to a resource, and is not"),
        ({"Action": "s3:ListBucket", "Resource": "arn:aws:sns:::b"}, "s3:ListBucket cannot name arn:aws:sns:::b"),
        (
            {
                "Action": "s3:ListBucket",
                "Resource": "arn:aws:s3:::b",
                "Condition": {"StringEquals": {"s3:prefixx": "x"}},
            },
            "s3:ListBucket knows no condition s3:prefixx",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_would_speak_up(statement: dict[str, Any], finding: str) -> None:
    assert findings({"Statement": [{"Sid": "S", "Effect": "Allow", **statement}]}) == [f"S: {finding}"]
