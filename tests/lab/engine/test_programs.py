"""What a program sees: config, secrets, assets, other stacks, providers, lookups, and a process to itself."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.engine.engine import Action, Engine
from lab.engine.errors import MissingStack
from lab.moto.server import EmbeddedAws

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


def test_organization_is_the_engines(aws: EmbeddedAws, program: Write, tmp_path: Path) -> None:
    folder = program("pulumi.export('organization', pulumi.get_organization())")
    assert Engine(aws, tmp_path / "s", organization="acme").up(folder, "dev") == {"organization": "acme"}


def test_explicit_provider_chooses_region_and_default_tags(engine: Engine, program: Write, s3: Any) -> None:
    folder = program("""
    there = aws.Provider("there", region="eu-west-1", default_tags={"tags": {"owner": "lab"}})
    bucket = aws.s3.Bucket("vault", bucket="vault-dev", tags={"a": "b"}, opts=Options(provider=there))
    pulumi.export("here", aws.get_region().region)
    pulumi.export("there", bucket.bucket_region)
    """)
    assert engine.up(folder, "dev") == {"here": "us-east-1", "there": "eu-west-1"}
    assert tags(s3, "vault-dev") == {"owner": "lab", "a": "b"}


def test_region_comes_from_config(engine: Engine, program: Write) -> None:
    folder = program("pulumi.export('zones', aws.get_availability_zones(state='available').names)")
    assert engine.up(folder, "dev", {"aws:region": "me-central-1"})["zones"][0] == "me-central-1a"


def test_project_file_gives_defaults(engine: Engine, program: Write) -> None:
    folder = program(
        "pulumi.export('size', config.require_int('size')); pulumi.export('paused', config.get_bool('paused'))"
    )
    with (folder / "Pulumi.yaml").open("a") as project:
        project.write("config:\n  size: {type: integer, default: 15}\n  paused: {default: true}\n")
    assert engine.up(folder, "dev") == {"paused": True, "size": 15}
    assert engine.up(folder, "dev", {"size": 20, "paused": False}) == {"paused": False, "size": 20}


def test_programs_do_not_see_each_others_modules(engine: Engine, program: Write) -> None:
    body = "import settings_of_this_program as s; pulumi.export('value', s.VALUE)"
    one = program(body, "one", settings_of_this_program="VALUE = 1")
    two = program(body, "two", settings_of_this_program="VALUE = 2")
    before = Path.cwd()
    assert [engine.up(folder, "dev")["value"] for folder in (one, two, one)] == [1, 2, 1]
    assert Path.cwd() == before


def test_up_works_inside_a_running_event_loop_and_in_threads(engine: Engine, program: Write) -> None:
    folder = program(BUCKET)

    async def deploy() -> dict[str, Any]:
        return engine.up(folder, "dev")

    assert asyncio.run(deploy())["bucket"] == "vault-dev"
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda name=name: results.append(engine.up(folder, name)["bucket"]))
        for name in ("one", "two")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["vault-one", "vault-two"]


def test_invokes_are_really_answered(engine: Engine, program: Write, aws: EmbeddedAws) -> None:
    aws.client("ssm").put_parameter(Name="/lab/token", Value="t0p", Type="SecureString")
    outputs = engine.up(
        program("""
    small = aws.ec2.get_instance_type(instance_type="t4g.small")
    arm = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    offered = aws.ec2.get_instance_type_offerings(
        location_type="availability-zone",
        filters=[aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=["t4g.small"])])
    statement = aws.iam.GetPolicyDocumentStatementArgs(actions=["s3:GetObject"], resources=["*"])
    pulumi.export("account", aws.get_caller_identity().account_id)
    pulumi.export("memory", small.memory_size)
    pulumi.export("architectures", small.supported_architectures)
    pulumi.export("image", aws.ssm.get_parameter(name=arm).insecure_value)
    pulumi.export("token", aws.ssm.get_parameter_output(name="/lab/token").value)
    pulumi.export("offered", sorted(offered.locations))
    pulumi.export("policy", aws.iam.get_policy_document(statements=[statement]).minified_json)
    try:
        aws.ec2.get_instance_type(instance_type="t4g.smal")
    except Exception as error:
        pulumi.export("unknown", str(error))
    """),
        "dev",
    )
    assert outputs["account"] == "123456789012"
    assert (outputs["memory"], outputs["architectures"]) == (2048, ["arm64"])
    assert outputs["image"].startswith("ami-")
    assert outputs["token"] == "t0p"
    assert "us-east-1a" in outputs["offered"]
    assert json.loads(outputs["policy"])["Statement"][0]["Action"] == "s3:GetObject"
    assert "The instance type 't4g.smal' does not exist" in outputs["unknown"]


def test_secrets_are_known_as_such(engine: Engine, program: Write) -> None:
    folder = program("""
    bucket = aws.s3.Bucket("vault", bucket="vault-dev")
    note = aws.s3.BucketObjectv2("note", bucket=bucket.bucket, key="note", content=config.require_secret("token"))
    pulumi.export("content", note.content)
    """)
    assert engine.up(folder, "dev", secrets={"token": "t0p"}) == {"content": "t0p"}
    assert engine.resources("sample", "dev")[2].secret_inputs == ("content",)


def test_stack_reference(engine: Engine, program: Write) -> None:
    upper = program(
        """
    reference = pulumi.StackReference(f"{pulumi.get_organization()}/lower/{stack}")
    pulumi.export("seen", reference.require_output("bucket"))
    pulumi.export("token", reference.require_output("token"))
    """,
        "upper",
    )
    lower = program(BUCKET + 'pulumi.export("token", pulumi.Output.secret("t0p"))', "lower")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(MissingStack, match="organization/lower/dev' has not been deployed"):
            engine.up(upper, "dev")
        gc.collect()
    assert [str(row.message) for row in warned] == []
    assert engine.up(lower, "dev")["token"] == "t0p"
    assert engine.up(upper, "dev") == {"seen": "vault-dev", "token": "t0p"}


def test_assets_are_uploaded_and_only_their_bytes_count(
    engine: Engine, program: Write, s3: Any, tmp_path: Path
) -> None:
    folder = program("""
    bucket = aws.s3.Bucket("vault", bucket="vault-dev")
    def upload(key, source):
        aws.s3.BucketObjectv2(key, bucket=bucket.bucket, key=key, source=source, metadata={"a": "b"})
    upload("file", pulumi.FileAsset(config.require("file")))
    upload("text", pulumi.StringAsset("written"))
    upload("zip", pulumi.AssetArchive({"inner": pulumi.StringAsset("packed")}))
    """)
    (tmp_path / "one").write_bytes(b"\0bytes")
    (tmp_path / "two").write_bytes(b"\0bytes")
    engine.up(folder, "dev", {"file": tmp_path / "one"})
    assert s3.get_object(Bucket="vault-dev", Key="file")["Body"].read() == b"\0bytes"
    assert s3.get_object(Bucket="vault-dev", Key="text")["Body"].read() == b"written"
    assert s3.get_object(Bucket="vault-dev", Key="zip")["Body"].read().startswith(b"PK")
    assert s3.head_object(Bucket="vault-dev", Key="file")["Metadata"] == {"a": "b"}
    assert engine.preview(folder, "dev", {"file": tmp_path / "two"}) == []
    (tmp_path / "two").write_bytes(b"other")
    assert actions(engine.preview(folder, "dev", {"file": tmp_path / "two"})) == [("update", "file")]
