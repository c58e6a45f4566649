"""The optional guards of the backup bucket, an object lock and a key of one's own: a life is as without them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import botocore.exceptions
import pytest

from lab.moto.server import EmbeddedAws
from openclaw_platform.config_keys import PlatformSettings
from openclaw_platform.refusals import ConfigRefused
from tests.support.simulated_instance import FreshBucket

if TYPE_CHECKING:
    from tests.stacks.conftest import Stacks


def lock_of(aws: EmbeddedAws, bucket: str) -> tuple[str | None, int]:
    found = aws.client("s3").get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    default = found.get("Rule", {}).get("DefaultRetention", {})
    return default.get("Mode") or None, default.get("Days") or 0


def test_a_lock_keeps_versions_from_whoever_has_no_right_to_break_it_and_hinders_no_run(
    aws: EmbeddedAws, stacks: Stacks, tmp_path: Path
) -> None:
    bucket = stacks.platform("locked", backup_object_lock_days="0")["backup_bucket"]
    world = FreshBucket(aws, tmp_path, bucket)
    machine = world.booted("i-one")
    machine.write("workspace/page.md")
    assert machine.backup().code == 0

    # Switched on for a bucket that is in use.
    stacks.platform("locked", backup_object_lock_days="7")
    assert lock_of(aws, bucket) == ("GOVERNANCE", 7)
    machine.write("workspace/page.md", "changed\n")
    machine.write("workspace/new.md")
    assert machine.backup().code == 0
    (machine.state / "workspace/new.md").unlink()
    assert machine.backup().code == 0
    assert machine.lifecycle().code == 0
    key = "latest/.openclaw/workspace/page.md"
    version = aws.client("s3").head_object(Bucket=bucket, Key=key)["VersionId"]
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        aws.client("s3").delete_object(Bucket=bucket, Key=key, VersionId=version)
    assert world.booted("i-two").backup().code == 0

    # And off again: it holds what it holds, and nothing new.
    stacks.platform("locked", backup_object_lock_days="0")
    assert lock_of(aws, bucket) == (None, 0)


def test_a_key_of_ones_own_encrypts_what_is_written_and_a_life_is_as_without_it(
    aws: EmbeddedAws, stacks: Stacks, tmp_path: Path
) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    bucket = stacks.platform("keyed", backup_kms_key_arn=key)["backup_bucket"]
    (rule,) = aws.client("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert rule["BucketKeyEnabled"] is True

    machine = FreshBucket(aws, tmp_path, bucket).booted("i-one")
    machine.write("workspace/page.md")
    assert machine.backup().code == 0
    assert machine.world.booted("i-two").backup().code == 0
    assert aws.client("s3").head_object(Bucket=bucket, Key="owner.json")["SSEKMSKeyId"] == key

    own = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    aws.client("s3").put_object(Bucket=bucket, Key="latest/x", Body=b"x", **own)
    for other in (own | {"SSEKMSKeyId": key.replace("1234", "9999")}, {"ServerSideEncryption": "AES256"}):
        with pytest.raises(botocore.exceptions.ClientError, match="403"):
            aws.client("s3").put_object(Bucket=bucket, Key="latest/x", Body=b"x", **other)


def test_a_lock_is_never_longer_than_the_window_whose_cost_is_told() -> None:
    given = {"backup_object_lock_days": "14", "undelete_days": "7"}
    with pytest.raises(ConfigRefused, match=r"backup_object_lock_days is '14', but must be .* at most undelete_days"):
        PlatformSettings(given.get)
