"""What the instance's role must not do, row by row: by real requests where the embedded AWS judges what they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from lab.moto.server import EmbeddedAws
from openclaw_ec2_spot.instance_policies import instance_policy
from openclaw_platform.names import Scope
from openclaw_platform.outputs import OUTPUT_NAMES, PlatformOutputs
from tests.support.enforced_iam import client, enforced, roles_keys
from tests.support.policy_evaluator import is_allowed

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks

ACCOUNT, REGION = "123456789012", "us-east-1"
BACKUPS, SCRIPTS = f"openclaw-lab-backup-dev-{ACCOUNT}", f"openclaw-lab-scripts-dev-{ACCOUNT}"
THEIR_BACKUPS, THEIR_SCRIPTS = BACKUPS.replace("dev", "other"), SCRIPTS.replace("dev", "other")
ROLE, THEIR_GROUP = "openclaw-lab-dev-instance", "openclaw-lab-other"
MANIFEST = {"Bucket": BACKUPS, "Key": "latest/manifest.json"}
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:openclaw-lab-alarms-dev"
DENIED = {"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"}

Row = tuple[str, str, dict[str, Any]]
REQUESTS: Mapping[str, Row] = {
    # What would end the last of the state.
    "read an old version": ("s3", "get_object", {**MANIFEST, "VersionId": "x"}),
    "delete a version": ("s3", "delete_object", {**MANIFEST, "VersionId": "x"}),
    "list versions": ("s3", "list_object_versions", {"Bucket": BACKUPS}),
    "delete the newest manifest": ("s3", "delete_object", MANIFEST),
    "delete the lease": ("s3", "delete_object", {"Bucket": BACKUPS, "Key": "owner.json"}),
    "suspend versioning": (
        "s3",
        "put_bucket_versioning",
        {"Bucket": BACKUPS, "VersioningConfiguration": {"Status": "Suspended"}},
    ),
    "let versions expire in a day": (
        "s3",
        "put_bucket_lifecycle_configuration",
        {
            "Bucket": BACKUPS,
            "LifecycleConfiguration": {
                "Rules": [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]
            },
        },
    ),
    "take the lifecycle away": ("s3", "delete_bucket_lifecycle", {"Bucket": BACKUPS}),
    "delete the bucket": ("s3", "delete_bucket", {"Bucket": BACKUPS}),
    # What would open the bucket, or hide what is done in it.
    "change its policy": ("s3", "put_bucket_policy", {"Bucket": BACKUPS, "Policy": "{}"}),
    "take its policy away": ("s3", "delete_bucket_policy", {"Bucket": BACKUPS}),
    "read its policy": ("s3", "get_bucket_policy", {"Bucket": BACKUPS}),
    "open it by an access list": ("s3", "put_bucket_acl", {"Bucket": BACKUPS, "ACL": "public-read"}),
    "open an object by an access list": ("s3", "put_object_acl", {**MANIFEST, "ACL": "public-read"}),
    "silence what S3 reports": (
        "s3",
        "put_bucket_notification_configuration",
        {"Bucket": BACKUPS, "NotificationConfiguration": {}},
    ),
    "tag the bucket": ("s3", "put_bucket_tagging", {"Bucket": BACKUPS, "Tagging": {"TagSet": []}}),
    "let web pages in": ("s3", "delete_bucket_cors", {"Bucket": BACKUPS}),
    # The rest of the bucket.
    "write beside what is ours": ("s3", "put_object", {"Bucket": BACKUPS, "Key": "elsewhere/x", "Body": b"x"}),
    "write to the top": ("s3", "put_object", {"Bucket": BACKUPS, "Key": "owner.json.bak", "Body": b"x"}),
    "delete a person's upload": ("s3", "delete_object", {"Bucket": BACKUPS, "Key": "elsewhere/x"}),
    # Code for the next instance.
    "replace a release": ("s3", "put_object", {"Bucket": SCRIPTS, "Key": "releases/x", "Body": b"x"}),
    "delete a release": ("s3", "delete_object", {"Bucket": SCRIPTS, "Key": "releases/x"}),
    "list releases": ("s3", "list_objects_v2", {"Bucket": SCRIPTS}),
    "read what is no release": ("s3", "get_object", {"Bucket": SCRIPTS, "Key": "x"}),
    "push an image": (
        "ecr",
        "put_image",
        {"repositoryName": "openclaw-lab-dev", "imageManifest": "{}", "imageTag": "x"},
    ),
    "delete an image": (
        "ecr",
        "batch_delete_image",
        {"repositoryName": "openclaw-lab-dev", "imageIds": [{"imageTag": "x"}]},
    ),
    "let others pull and push": (
        "ecr",
        "set_repository_policy",
        {"repositoryName": "openclaw-lab-dev", "policyText": "{}"},
    ),
    # Another stack's things.
    "read another stack's backups": ("s3", "get_object", {"Bucket": THEIR_BACKUPS, "Key": "latest/manifest.json"}),
    "write another stack's backups": (
        "s3",
        "put_object",
        {"Bucket": THEIR_BACKUPS, "Key": "latest/manifest.json", "Body": b"x"},
    ),
    "delete another stack's backups": ("s3", "delete_object", {"Bucket": THEIR_BACKUPS, "Key": "latest/x"}),
    "list another stack's backups": ("s3", "list_objects_v2", {"Bucket": THEIR_BACKUPS}),
    "read another stack's releases": ("s3", "get_object", {"Bucket": THEIR_SCRIPTS, "Key": "releases/x"}),
    "take another stack's lease": ("s3", "put_object", {"Bucket": THEIR_BACKUPS, "Key": "owner.json", "Body": b"x"}),
    "read another stack's secrets": ("ssm", "get_parameters_by_path", {"Path": "/openclaw-lab/other/env/"}),
    "read one secret of another stack": ("ssm", "get_parameter", {"Name": "/openclaw-lab/other/env/TOKEN"}),
    "read any secret of the account": ("ssm", "get_parameter", {"Name": "/production/database"}),
    "pull another stack's images": (
        "ecr",
        "batch_get_image",
        {"repositoryName": "openclaw-lab-other", "imageIds": [{"imageTag": "x"}]},
    ),
    "write another stack's log": (
        "logs",
        "put_log_events",
        {
            "logGroupName": "/openclaw-lab/other/agent",
            "logStreamName": "x",
            "logEvents": [{"timestamp": 1, "message": "x"}],
        },
    ),
    "let another stack's instance go": (
        "autoscaling",
        "complete_lifecycle_action",
        {
            "AutoScalingGroupName": THEIR_GROUP,
            "LifecycleHookName": "x",
            "InstanceId": "i-0123456789abcdef0",
            "LifecycleActionResult": "CONTINUE",
        },
    ),
    "hold another stack's instance": (
        "autoscaling",
        "record_lifecycle_action_heartbeat",
        {"AutoScalingGroupName": THEIR_GROUP, "LifecycleHookName": "x"},
    ),
    # Secrets.
    "change a secret": (
        "ssm",
        "put_parameter",
        {"Name": "/openclaw-lab/dev/env/X", "Value": "x", "Type": "String"},
    ),
    "delete a secret": ("ssm", "delete_parameter", {"Name": "/openclaw-lab/dev/env/OPENCLAW_GATEWAY_TOKEN"}),
    "read a secret's history": ("ssm", "get_parameter_history", {"Name": "/openclaw-lab/dev/env/X"}),
    "list the account's secrets": ("ssm", "describe_parameters", {}),
    "run a command on an instance": (
        "ssm",
        "send_command",
        {"InstanceIds": ["i-0123456789abcdef0"], "DocumentName": "AWS-RunShellScript"},
    ),
    # More power.
    "widen its own policy": (
        "iam",
        "put_role_policy",
        {"RoleName": ROLE, "PolicyName": ROLE, "PolicyDocument": "{}"},
    ),
    "attach a policy to itself": (
        "iam",
        "attach_role_policy",
        {"RoleName": ROLE, "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
    ),
    "let others take it": ("iam", "update_assume_role_policy", {"RoleName": ROLE, "PolicyDocument": "{}"}),
    "read its own policy": ("iam", "get_role_policy", {"RoleName": ROLE, "PolicyName": ROLE}),
    "make a user": ("iam", "create_user", {"UserName": "mallory"}),
    "make keys": ("iam", "create_access_key", {"UserName": "operator"}),
    "list roles": ("iam", "list_roles", {}),
    "take a role": (
        "sts",
        "assume_role",
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}", "RoleSessionName": "again"},
    ),
    "get a federation token": ("sts", "get_federation_token", {"Name": "mallory"}),
    # More machines, or fewer.
    "start an instance": ("ec2", "run_instances", {"MinCount": 1, "MaxCount": 1, "ImageId": "ami-12345678"}),
    "end an instance": ("ec2", "terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
    "stop an instance": ("ec2", "stop_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
    "read user-data": (
        "ec2",
        "describe_instance_attribute",
        {"InstanceId": "i-0123456789abcdef0", "Attribute": "userData"},
    ),
    "give itself a wider metadata hop": (
        "ec2",
        "modify_instance_metadata_options",
        {"InstanceId": "i-0123456789abcdef0", "HttpTokens": "optional"},
    ),
    "change what the next instance runs": (
        "ec2",
        "create_launch_template_version",
        {"LaunchTemplateName": "openclaw-lab-dev", "LaunchTemplateData": {"InstanceType": "t3.micro"}},
    ),
    "open a port": (
        "ec2",
        "authorize_security_group_ingress",
        {"GroupId": "sg-0123456789abcdef0", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"},
    ),
    "copy the disk": ("ec2", "create_snapshot", {"VolumeId": "vol-0123456789abcdef0"}),
    "take the endpoint's policy away": (
        "ec2",
        "modify_vpc_endpoint",
        {"VpcEndpointId": "vpce-0123456789abcdef0", "ResetPolicy": True},
    ),
    "see the network": ("ec2", "describe_security_groups", {}),
    "pause its group": (
        "autoscaling",
        "set_desired_capacity",
        {"AutoScalingGroupName": "openclaw-lab-dev", "DesiredCapacity": 0},
    ),
    "make its group larger": (
        "autoscaling",
        "update_auto_scaling_group",
        {"AutoScalingGroupName": "openclaw-lab-dev", "MaxSize": 50},
    ),
    "take the hook away": (
        "autoscaling",
        "delete_lifecycle_hook",
        {"AutoScalingGroupName": "openclaw-lab-dev", "LifecycleHookName": "openclaw-lab-dev-final-backup"},
    ),
    # Nobody to be told.
    "delete an alarm": ("cloudwatch", "delete_alarms", {"AlarmNames": ["openclaw-lab-dev-no-good-backup"]}),
    "silence an alarm": ("cloudwatch", "disable_alarm_actions", {"AlarmNames": ["openclaw-lab-dev-no-good-backup"]}),
    "set an alarm to OK": (
        "cloudwatch",
        "set_alarm_state",
        {"AlarmName": "openclaw-lab-dev-no-good-backup", "StateValue": "OK", "StateReason": "x"},
    ),
    "read metrics": ("cloudwatch", "list_metrics", {}),
    "send a mail as an alarm": ("sns", "publish", {"TopicArn": TOPIC, "Message": "x"}),
    "count as a snapshot": ("sns", "publish", {"TopicArn": TOPIC.replace("alarms", "commits"), "Message": "x"}),
    "end the mails": ("sns", "delete_topic", {"TopicArn": TOPIC}),
    "delete a log": ("logs", "delete_log_group", {"logGroupName": "/openclaw-lab/dev/agent"}),
    "delete what it has logged": (
        "logs",
        "delete_log_stream",
        {"logGroupName": "/openclaw-lab/dev/agent", "logStreamName": "x"},
    ),
    "read the logs": ("logs", "get_log_events", {"logGroupName": "/openclaw-lab/dev/agent", "logStreamName": "x"}),
    "keep logs for a day": (
        "logs",
        "put_retention_policy",
        {"logGroupName": "/openclaw-lab/dev/agent", "retentionInDays": 1},
    ),
}

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
OWN_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/own"
OF_S3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}
OF_SSM = {"kms:ViaService": f"ssm.{REGION}.amazonaws.com", "kms:ResourceAliases": "alias/aws/ssm"}
OF_OURS = {"kms:EncryptionContext:PARAMETER_ARN": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/openclaw-lab/dev/env/X"}
BY_TEXT: Mapping[str, tuple[str, str, dict[str, str]]] = {
    "count good backups for another stack": (
        "cloudwatch:PutMetricData",
        "*",
        {"cloudwatch:namespace": "OpenClawLab/other"},
    ),
    "write where AWS counts": ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AWS/SNS"}),
    "decrypt by another service": ("kms:Decrypt", KEY, {**OF_SSM, **OF_OURS, "kms:ViaService": "s3.amazonaws.com"}),
    "decrypt under another key": ("kms:Decrypt", KEY, {**OF_SSM, **OF_OURS, "kms:ResourceAliases": "alias/own"}),
    "decrypt another stack's secret": (
        "kms:Decrypt",
        KEY,
        {key: value.replace("/dev/", "/other/") for key, value in {**OF_SSM, **OF_OURS}.items()},
    ),
    "decrypt outside of SSM": ("kms:Decrypt", KEY, {}),
    "decrypt another bucket's objects": (
        "kms:Decrypt",
        OWN_KEY,
        {**OF_S3, "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{THEIR_BACKUPS}"},
    ),
    "use the backups' key outside of S3": (
        "kms:Decrypt",
        OWN_KEY,
        {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{BACKUPS}"},
    ),
    "delete a key": ("kms:ScheduleKeyDeletion", KEY, {}),
    "encrypt with a key": ("kms:Encrypt", KEY, OF_SSM),
    "read objects of any bucket": ("s3:GetObject", "arn:aws:s3:::somebody/x", {}),
    "weaken a lock": ("s3:BypassGovernanceRetention", f"arn:aws:s3:::{BACKUPS}/latest/x", {}),
    "lock what nobody can delete": ("s3:PutObjectRetention", f"arn:aws:s3:::{BACKUPS}/latest/x", {}),
    "switch the lock off": ("s3:PutBucketObjectLockConfiguration", f"arn:aws:s3:::{BACKUPS}", {}),
    "copy the bucket elsewhere": ("s3:PutReplicationConfiguration", f"arn:aws:s3:::{BACKUPS}", {}),
    "change its encryption": ("s3:PutEncryptionConfiguration", f"arn:aws:s3:::{BACKUPS}", {}),
    "open it to the public": ("s3:PutBucketPublicAccessBlock", f"arn:aws:s3:::{BACKUPS}", {}),
    "start a session": ("ssm:StartSession", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0", {}),
    "pass its role on": ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{ROLE}", {}),
    "speak for an instance of another account": (
        "ssm:UpdateInstanceInformation",
        f"arn:aws:ec2:{REGION}:999999999999:instance/i-0123456789abcdef0",
        {},
    ),
}


@pytest.fixture(scope="module")
def role(aws: EmbeddedAws, stacks: Stacks, dev: dict[str, Any]) -> Iterator[Any]:
    """A client of any service with the role's keys, while IAM judges."""
    keys = roles_keys(aws, "dev")
    made: dict[str, Any] = {}
    with enforced(aws):
        yield lambda service: made.setdefault(service, client(aws, keys, service))


@pytest.mark.parametrize(("service", "call", "arguments"), REQUESTS.values(), ids=REQUESTS)
def test_the_role_cannot(role: Any, service: str, call: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        getattr(role(service), call)(**arguments)
    assert refused.value.response["Error"]["Code"] in DENIED


@pytest.mark.parametrize(("action", "resource", "facts"), BY_TEXT.values(), ids=BY_TEXT)
def test_the_text_of_the_policy_does_not_allow(action: str, resource: str, facts: dict[str, str]) -> None:
    """Conditions, and what the embedded AWS does not know, are judged by the policy's text."""
    named = {"backup_bucket": BACKUPS, "scripts_bucket": SCRIPTS, "backup_kms_key_arn": OWN_KEY}
    outputs = dict.fromkeys(OUTPUT_NAMES, "x") | named
    policy = instance_policy(Scope("dev", REGION, ACCOUNT), PlatformOutputs(**outputs))
    assert not is_allowed(policy, action, resource, facts)


def test_a_batch_of_deletions_ends_neither_versions_nor_what_no_run_deletes(role: Any) -> None:
    keys = [{"Key": "latest/manifest.json"}, {"Key": "owner.json"}, {"Key": "latest/x", "VersionId": "v"}]
    answer = role("s3").delete_objects(Bucket=BACKUPS, Delete={"Objects": [*keys, {"Key": "latest/gone"}]})
    assert [row["Key"] for row in answer["Errors"]] == [row["Key"] for row in keys]
    assert [row["Key"] for row in answer["Deleted"]] == ["latest/gone"]


def test_the_same_judge_allows_what_it_should(role: Any) -> None:
    """Else the tables above would prove nothing."""
    role("s3").put_object(Bucket=BACKUPS, Key="latest/.openclaw/x", Body=b"x")
    role("s3").delete_object(Bucket=BACKUPS, Key="latest/.openclaw/x")
    role("ssm").get_parameters_by_path(Path="/openclaw-lab/dev/env/")
    role("ec2").describe_instances()
    role("cloudwatch").put_metric_data(Namespace="OpenClawLab/dev", MetricData=[{"MetricName": "x", "Value": 1}])
    outputs = dict.fromkeys(OUTPUT_NAMES, "x") | {"backup_bucket": BACKUPS, "backup_kms_key_arn": OWN_KEY}
    policy = instance_policy(Scope("dev", REGION, ACCOUNT), PlatformOutputs(**outputs))
    assert is_allowed(policy, "kms:Decrypt", KEY, {**OF_SSM, **OF_OURS})
    of_ours = {**OF_S3, "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{BACKUPS}"}
    assert is_allowed(policy, "kms:GenerateDataKey", OWN_KEY, of_ours)
    assert is_allowed(policy, "cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "OpenClawLab/dev"})
