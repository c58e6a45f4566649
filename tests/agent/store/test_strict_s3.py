"""The agent under AWS's own names, before a front that refuses what S3 refuses: all requests of a life pass."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.simulated_instance import FreshBucket, contents
from tests.support.strict_s3 import StrictS3, strict_s3

MIB = 1024 * 1024
NAMES = ["plain.md", "a b+c&d=e", "q?x#y", "%41%2F", "ümläut/日本.md", "quote'\"\\x", "tilde~(1)!*", "n" * 200]


@pytest.fixture(params=["us-east-1", "me-central-1"])
def strict(world: FreshBucket, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StrictS3]:
    folder = tmp_path / "certificates"
    folder.mkdir()
    with strict_s3(world.aws.endpoint_url, request.param, folder) as server:
        del world.environment["AWS_ENDPOINT_URL"]
        world.environment |= server.environment
        world.environment |= {"AWS_REGION": request.param, "AWS_DEFAULT_REGION": request.param}
        yield server


def test_a_whole_life_is_signed_summed_and_spelled_as_s3_wants_it(world: FreshBucket, strict: StrictS3) -> None:
    first = world.machine("first")
    assert first.boot().code == 0
    for name in NAMES:
        first.write(name, name)
    (first.state / "large.bin").write_bytes(os.urandom(17 * MIB))
    (first.state / "empty").touch()
    for number in range(12):
        first.write(f"many/{number}", "x")
    assert first.backup().code == 0
    first.write(NAMES[1], "changed")
    for number in range(3):
        (first.state / f"many/{number}").unlink()
    theirs = ["latest/.openclaw/ctl\x01x", "latest/.openclaw/cr\rx"]
    for key in theirs:
        world.put(key, "theirs")
    run = first.backup("--overwrite-latest")
    assert run.code == 0, run.err
    assert not set(theirs) & set(world.keys("latest/"))
    assert first.backup().line["result"] == "unchanged"
    for command in (("list",), ("verify",), ("diff", "latest")):
        assert first.restore(*command).code in (0, 1), command
    run = first.lifecycle("--now", "2027-01-01T00:00:00Z")
    assert run.code == 0, run.err
    assert first.backup("--final").code == 0
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    assert contents(second.state).keys() == contents(first.state).keys()
    assert strict.refusals == []
    assert {"PUT object", "PUT copy", "GET object", "HEAD object", "POST delete", "DELETE object"} <= set(strict.passed)
    assert {"POST uploads", "POST uploadId", "PUT partNumber uploadId"} <= set(strict.passed)


def test_the_front_refuses_what_s3_refuses(world: FreshBucket, strict: StrictS3) -> None:
    with mock.patch.dict(os.environ, world.environment):
        s3 = boto3.Session("testing", "testing", region_name=strict.region).client("s3")
        wrong = boto3.Session("testing", "other", region_name=strict.region).client("s3")
    s3.put_object(Bucket=world.bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        wrong.put_object(Bucket=world.bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket=world.bucket, Key="k", Body=b"x", ChecksumCRC32="AAAAAA==")
    with pytest.raises(ClientError, match="KeyTooLong"):
        s3.put_object(Bucket=world.bucket, Key="k" * 1025, Body=b"x")
    with pytest.raises(ClientError, match="MalformedXML"):
        s3.delete_objects(Bucket=world.bucket, Delete={"Objects": [{"Key": "a\x01"}, {"Key": "b"}]})


def test_the_wrong_region_is_told_with_both_names_and_nothing_is_written(world: FreshBucket, strict: StrictS3) -> None:
    machine = world.machine("first")
    wrong = "eu-west-1" if strict.region == "us-east-1" else "us-east-1"
    run = machine.boot("--region", wrong)
    assert run.code == 1
    assert f"is in the region {strict.region}, and {wrong} is configured: pass --region {strict.region}" in run.err
    assert world.keys() == []
