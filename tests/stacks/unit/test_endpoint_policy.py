"""What passes the network's own way to S3: AWS documents many of the buckets that an instance downloads from."""

import pytest

from openclaw_ec2_spot.endpoint_policy import s3_endpoint_policy
from openclaw_ec2_spot.instance_policies import instance_policy
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs
from tests.support.policy_evaluator import is_allowed, matches, texts

OURS, THEIRS = "123456789012", "999999999999"
SSM_AGENT = "Systems Manager user guide, SSM Agent communications with AWS managed S3 buckets"
DOWNLOADS = {
    "dnf (amazonlinux/amazon-linux-2023#535)": "al2023-repos-us-east-1-de612dc2/core/mirrors/latest/mirror.list",
    "layers of ECR (ECR user guide, minimum S3 permissions)": "prod-us-east-1-starport-layer-bucket/layer",
    "layers of another registry (docker/hub-feedback#1318)": "a-registry-of-others/blobs/sha256",
    f"updates of the SSM agent ({SSM_AGENT})": "amazon-ssm-us-east-1/latest/manifest.json",
    f"packages of the SSM agent ({SSM_AGENT})": "amazon-ssm-packages-us-east-1/package",
    f"modules of the SSM agent ({SSM_AGENT})": "aws-ssm-document-attachments-us-east-1/attachment",
    "the CloudWatch agent (its user guide, download links)": "amazoncloudwatch-agent-us-east-1/amazon_linux/arm64/rpm",
    "what the gateway fetches": "models-of-somebody/weights.bin",
}
SENDING = (
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:PutObjectAcl",
    "s3:PutObjectTagging",
    "s3:CreateBucket",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:PutBucketPolicy",
    "s3:GetBucketPolicy",
)


@pytest.mark.parametrize("key", DOWNLOADS.values(), ids=DOWNLOADS)
def test_every_download_passes(key: str) -> None:
    assert is_allowed(s3_endpoint_policy(OURS), "s3:GetObject", f"arn:aws:s3:::{key}", {"aws:ResourceAccount": THEIRS})


@pytest.mark.parametrize("action", SENDING)
def test_nothing_is_sent_to_a_bucket_of_another_account_whoever_signs(action: str) -> None:
    resource = "arn:aws:s3:::a-bucket-of-theirs/loot"
    for signer in (OURS, THEIRS):
        facts = {"aws:ResourceAccount": THEIRS, "aws:PrincipalAccount": signer}
        assert not is_allowed(s3_endpoint_policy(OURS), action, resource, facts)


def test_all_that_the_role_may_do_in_s3_passes(scope: Scope, platform: PlatformOutputs[str]) -> None:
    policy = s3_endpoint_policy(scope.account_id)
    for statement in instance_policy(scope, platform)["Statement"]:
        for action in texts(statement["Action"]):
            if matches("s3:*", action):
                for resource in texts(statement["Resource"]):
                    assert is_allowed(policy, action, resource, {"aws:ResourceAccount": scope.account_id})
