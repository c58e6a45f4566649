"""What a program can get wrong: each is an error of one sentence, and leaves nothing half made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.engine.engine import Engine
from lab.engine.errors import DuplicateUrn
from lab.resources.errors import (
    EngineError,
    InvalidInput,
    ProgramFailed,
    RefusedByAws,
    UnknownInvoke,
    UnknownResourceType,
)

pytestmark = pytest.mark.subprocess

Write = Callable[..., Path]

BUCKET = """
bucket = aws.s3.Bucket("vault", bucket=f"vault-{stack}", tags={"size": config.get("size") or "small"})
pulumi.export("bucket", bucket.bucket)
pulumi.export("arn", bucket.arn)
"""


def buckets(s3: Any) -> list[str]:
    return sorted(each["Name"] for each in s3.list_buckets()["Buckets"])


def test_program_error_is_one_sentence_and_nothing_is_created(engine: Engine, program: Write, s3: Any) -> None:
    folder = program(BUCKET + "raise ValueError('volume size is 1,\\n must be 8 to 100')")
    with pytest.raises(ProgramFailed) as caught:
        engine.up(folder, "dev")
    assert str(caught.value) == "volume size is 1, must be 8 to 100"
    assert isinstance(caught.value.__cause__, ValueError)
    assert buckets(s3) == []


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("config.require('zone')", "Missing required configuration variable 'sample:zone'"),
        ("{}['zone']", "KeyError: 'zone'"),
        ("pulumi.log.error('the zone is wrong')", "the zone is wrong"),
        ("raise SystemExit('no zone')", "The program ended with no zone."),
        ("raise pulumi.RunError('no zone given')", "no zone given"),
    ],
    ids=["config", "bug", "log", "exit", "run-error"],
)
def test_how_a_program_can_fail(engine: Engine, program: Write, s3: Any, statement: str, sentence: str) -> None:
    with pytest.raises(ProgramFailed) as caught:
        engine.up(program(BUCKET + statement), "dev")
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)
    assert buckets(s3) == []


def test_failure_in_an_apply_surfaces(engine: Engine, program: Write) -> None:
    folder = program(
        BUCKET
        + """
def refuse(arn):
    raise ValueError(f"{arn} is not wanted")
aws.s3.BucketObjectv2("note", bucket="vault-dev", key="note", content=bucket.arn.apply(refuse))
"""
    )
    with pytest.raises(ProgramFailed, match="arn:aws:s3:::vault-dev is not wanted"):
        engine.up(folder, "dev")


def test_failure_half_way_keeps_the_state_true(engine: Engine, program: Write, s3: Any) -> None:
    folder = program("""
    vault = aws.s3.Bucket("vault", bucket="vault-dev")
    elsewhere = vault.bucket.apply(lambda _: "no-such-bucket")
    broken = aws.s3.BucketObjectv2("broken", bucket=elsewhere, key="a", content="1")
    aws.s3.Bucket("later", bucket=broken.key.apply(lambda key: f"later-{key}"))
    """)
    with pytest.raises(RefusedByAws, match="'broken' was refused: The specified bucket does not exist"):
        engine.up(folder, "dev")
    assert buckets(s3) == ["vault-dev"]
    assert [each.name for each in engine.resources("sample", "dev") if each.custom] == ["vault"]
    program('aws.s3.Bucket("vault", bucket="vault-dev")')
    assert engine.preview(folder, "dev") == []
    engine.destroy(folder, "dev")
    assert buckets(s3) == []


@pytest.mark.parametrize(
    ("body", "error", "sentence"),
    [
        ("aws.sqs.Queue('q')", UnknownResourceType, "no handler for the resource type aws:sqs/queue:Queue"),
        ("aws.get_default_tags()", UnknownInvoke, "aws:index/getDefaultTags:getDefaultTags"),
        ("[aws.s3.Bucket('b') for _ in (1, 2)]", DuplicateUrn, "Two resources have the URN"),
        (
            "aws.ec2.LaunchTemplate('t', metadata_options={'http_tokenz': 'required'})",
            InvalidInput,
            r"'t'\.metadataOptions has no key 'http_tokenz', perhaps 'httpTokens' is meant",
        ),
        ("aws.s3.Bucket('b', acl='private')", InvalidInput, "'b' has no key 'acl'"),
        (
            "aws.ec2.LaunchTemplate('t', block_device_mappings=[{'ebs': {'volume_size': 'ten'}}])",
            InvalidInput,
            r"blockDeviceMappings\[0\]\.ebs\.volumeSize must be a whole number",
        ),
        ("aws.s3.BucketObjectv2('o', bucket='b', source=pulumi.FileAsset('gone'))", InvalidInput, "is not a file"),
        ("aws.s3.BucketObjectv2('o', bucket='b', source=pulumi.RemoteAsset('https://x'))", InvalidInput, "is remote"),
    ],
    ids=["type", "invoke", "urn", "nested-typo", "unserved-key", "wrong-type", "no-file", "remote"],
)
def test_what_must_never_pass_in_silence(
    engine: Engine, program: Write, s3: Any, body: str, error: type[EngineError], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        engine.up(program(BUCKET + body), "dev")
    assert buckets(s3) == []


def test_missing_stack_can_be_asked_for_before_anything_is_registered(engine: Engine, program: Write) -> None:
    folder = program("""
    try:
        pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": f"organization/lower/{stack}"})
    except Exception as error:
        raise pulumi.RunError(f"Deploy lower first: {error}")
    """)
    with pytest.raises(ProgramFailed, match=r"^Deploy lower first: .* has not been deployed"):
        engine.up(folder, "dev")


def test_a_folder_without_a_project_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"is no Pulumi project: it has no Pulumi\.yaml"):
        engine.up(tmp_path, "dev")
