"""The engine: what programs register is really there, and stays true to the program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.engine.engine import Action, Engine
from lab.engine.errors import MissingStack, ProtectedResource
from lab.moto.server import EmbeddedAws
from lab.resources.errors import DestroyRefused, InvalidInput

pytestmark = pytest.mark.subprocess

Write = Callable[..., Path]

BUCKET = """
bucket = aws.s3.Bucket("vault", bucket=f"vault-{stack}", tags={"size": config.get("size") or "small"})
pulumi.export("bucket", bucket.bucket)
pulumi.export("arn", bucket.arn)
"""


def buckets(s3: Any) -> list[str]:
    return sorted(each["Name"] for each in s3.list_buckets()["Buckets"])


def tags(s3: Any, bucket: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}


def actions(steps: list[tuple[Action, str]]) -> list[tuple[str, str]]:
    return [(action.value, urn.rpartition("::")[2]) for action, urn in steps]


def test_up_creates_and_returns_plain_outputs(engine: Engine, program: Write, s3: Any) -> None:
    outputs = engine.up(program(BUCKET), "dev")
    assert outputs == {"arn": "arn:aws:s3:::vault-dev", "bucket": "vault-dev"}
    assert buckets(s3) == ["vault-dev"]
    assert engine.outputs("sample", "dev") == outputs
    vault = engine.resources("sample", "dev")[1]
    assert (vault.type, vault.name, vault.id) == ("aws:s3/bucket:Bucket", "vault", "vault-dev")
    assert vault.urn == "urn:pulumi:dev::sample::aws:s3/bucket:Bucket::vault"


def test_unchanged_changed_and_gone(engine: Engine, program: Write, s3: Any) -> None:
    folder = program(BUCKET)
    engine.up(folder, "dev")
    assert engine.preview(folder, "dev") == []
    assert actions(engine.preview(folder, "dev", {"size": "big"})) == [("update", "vault")]
    assert tags(s3, "vault-dev") == {"size": "small"}
    engine.up(folder, "dev", {"size": "big"})
    assert tags(s3, "vault-dev") == {"size": "big"}
    program("pulumi.export('nothing', 1)")
    assert actions(engine.preview(folder, "dev")) == [("delete", "vault")]
    assert engine.up(folder, "dev") == {"nothing": 1}
    assert buckets(s3) == []


def test_preview_creates_nothing(engine: Engine, program: Write, s3: Any) -> None:
    folder = program(BUCKET)
    assert actions(engine.preview(folder, "dev")) == [("create", "vault")]
    assert buckets(s3) == []
    with pytest.raises(MissingStack, match="sample/dev has never been deployed"):
        engine.outputs("sample", "dev")


def test_a_new_name_replaces(engine: Engine, program: Write, s3: Any) -> None:
    folder = program("""
    bucket = aws.s3.Bucket("vault", bucket=f"vault-{config.require('name')}")
    aws.s3.BucketVersioning(
        "versions",
        bucket=bucket.bucket,
        versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
    )
    """)
    engine.up(folder, "dev", {"name": "one"})
    assert actions(engine.preview(folder, "dev", {"name": "two"})) == [("replace", "vault"), ("replace", "versions")]
    engine.up(folder, "dev", {"name": "two"})
    assert buckets(s3) == ["vault-two"]
    assert s3.get_bucket_versioning(Bucket="vault-two")["Status"] == "Enabled"


def test_replacement_under_the_same_name_deletes_first(engine: Engine, program: Write, aws: EmbeddedAws) -> None:
    folder = program("""
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
    role = aws.iam.Role("role", name="worker", path=config.require("path"), assume_role_policy=trust)
    aws.iam.RolePolicyAttachment(
        "managed", role=role.name, policy_arn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    )
    pulumi.export("arn", role.arn)
    """)
    engine.up(folder, "dev", {"path": "/a/"})
    assert engine.up(folder, "dev", {"path": "/b/"})["arn"].endswith(":role/b/worker")
    attached = aws.client("iam").list_attached_role_policies(RoleName="worker")["AttachedPolicies"]
    assert [each["PolicyName"] for each in attached] == ["AmazonSSMManagedInstanceCore"]
    assert engine.preview(folder, "dev", {"path": "/b/"}) == []


def test_a_bucket_with_data_is_not_destroyed_and_nothing_else_is_lost(engine: Engine, program: Write, s3: Any) -> None:
    folder = program(
        BUCKET
        + """
aws.s3.BucketObjectv2("release", bucket=bucket.bucket, key="release", content="ours")
aws.s3.Bucket("spare", bucket=f"spare-{stack}", force_destroy=True)
"""
    )
    engine.up(folder, "dev")
    s3.put_object(Bucket="vault-dev", Key="latest/a", Body=b"theirs")
    s3.put_object(Bucket="spare-dev", Key="b", Body=b"disposable")
    with pytest.raises(
        DestroyRefused, match=r"vault-dev holds 1 objects \(one is 'latest/a'\) and is not forceDestroy"
    ):
        engine.destroy(folder, "dev")
    assert buckets(s3) == ["spare-dev", "vault-dev"]
    assert s3.get_object(Bucket="vault-dev", Key="release")["Body"].read() == b"ours"
    assert engine.preview(folder, "dev") == []
    s3.delete_object(Bucket="vault-dev", Key="latest/a")
    engine.destroy(folder, "dev")
    assert buckets(s3) == []
    assert engine.stacks() == []


def test_protected_resources_survive_destroy_up_and_replacement(engine: Engine, program: Write, s3: Any) -> None:
    folder = program("aws.s3.Bucket('vault', bucket=config.require('name'), opts=Options(protect=True))")
    engine.up(folder, "dev", {"name": "vault-one"})
    with pytest.raises(DestroyRefused, match="is protected"):
        engine.destroy(folder, "dev")
    with pytest.raises(ProtectedResource, match="A change of bucket would replace vault"):
        engine.up(folder, "dev", {"name": "vault-two"})
    program("pulumi.export('gone', True)")
    with pytest.raises(ProtectedResource, match="is protected"):
        engine.up(folder, "dev")
    assert buckets(s3) == ["vault-one"]
    engine.destroy(folder, "dev", unprotect=True)
    assert buckets(s3) == []


def test_retained_resources_are_forgotten_but_kept(engine: Engine, program: Write, s3: Any) -> None:
    folder = program("aws.s3.Bucket('vault', bucket='vault-kept', opts=Options(retain_on_delete=True))")
    engine.up(folder, "dev")
    s3.put_object(Bucket="vault-kept", Key="a", Body=b"1")
    assert actions(engine.destroy(folder, "dev")) == [("forget", "vault")]
    assert buckets(s3) == ["vault-kept"]


def test_destroy_goes_backwards_and_deleted_with_skips(engine: Engine, program: Write) -> None:
    folder = program("""
    bucket = aws.s3.Bucket("vault", bucket="vault-dev", force_destroy=True)
    aws.s3.BucketObjectv2("one", bucket=bucket.bucket, key="one", content="1", opts=Options(deleted_with=bucket))
    aws.s3.BucketObjectv2("two", bucket=bucket.bucket, key="two", content="2")
    """)
    engine.up(folder, "dev")
    assert actions(engine.destroy(folder, "dev")) == [("delete", "two"), ("forget", "one"), ("delete", "vault")]


def test_two_stacks_live_side_by_side(engine: Engine, program: Write, s3: Any) -> None:
    folder = program(BUCKET)
    engine.up(folder, "dev")
    engine.up(folder, "prod", {"size": "big"})
    assert buckets(s3) == ["vault-dev", "vault-prod"]
    engine.destroy(folder, "dev")
    assert buckets(s3) == ["vault-prod"]
    assert engine.outputs("sample", "prod")["bucket"] == "vault-prod"


def test_components_parents_aliases_and_ignored_changes(engine: Engine, program: Write, s3: Any) -> None:
    component = """
    class Store(pulumi.ComponentResource):
        def __init__(self, name):
            super().__init__("lab:sample:Store", name)
            aws.s3.Bucket(
                NAME, bucket="vault-dev", tags={"size": config.get("size") or "small"},
                opts=Options(parent=self, ignore_changes=["tags"], aliases=ALIASES))
    Store("store")
    """
    folder = program(component.replace("NAME", '"old"').replace("ALIASES", "[]"))
    engine.up(folder, "dev")
    parent, child = engine.resources("sample", "dev")[1:]
    assert (parent.type, parent.custom) == ("lab:sample:Store", False)
    assert child.parent == parent.urn
    assert child.urn.endswith("::lab:sample:Store$aws:s3/bucket:Bucket::old")
    assert engine.preview(folder, "dev", {"size": "big"}) == []
    program(component.replace("NAME", '"new"').replace("ALIASES", '[pulumi.Alias(name="old")]'))
    assert engine.preview(folder, "dev") == []
    engine.up(folder, "dev")
    assert [each.name for each in engine.resources("sample", "dev") if each.custom] == ["new"]
    assert buckets(s3) == ["vault-dev"]


def test_replace_on_changes(engine: Engine, program: Write) -> None:
    folder = program("""
    aws.s3.Bucket("vault", bucket="vault-dev", tags={"size": config.get("size") or "small"},
                  opts=Options(replace_on_changes=["tags.size"]))
    """)
    engine.up(folder, "dev")
    assert actions(engine.preview(folder, "dev", {"size": "big"})) == [("replace", "vault")]


def test_get_and_import_find_what_is_there(engine: Engine, program: Write, s3: Any) -> None:
    s3.create_bucket(Bucket="theirs")
    s3.create_bucket(Bucket="adopted")
    folder = program("""
    found = aws.s3.Bucket.get("found", "theirs")
    aws.s3.Bucket("adopted", bucket="adopted", opts=Options(import_="adopted"))
    pulumi.export("arn", found.arn)
    """)
    assert engine.up(folder, "dev") == {"arn": "arn:aws:s3:::theirs"}
    engine.destroy(folder, "dev")
    assert buckets(s3) == ["theirs"]
    program("aws.s3.Bucket.get('found', 'no-such-bucket')")
    with pytest.raises(InvalidInput, match="there is no 'no-such-bucket'"):
        engine.up(folder, "dev")
