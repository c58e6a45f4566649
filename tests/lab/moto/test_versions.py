"""Listing and deleting every version: page by page, each with tries of its own, and keys that XML cannot carry."""

import uuid
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from lab.faults.plan import Fault, Operation, Rule, Seen
from lab.faults.proxy import FaultProxy, Moment
from lab.moto.server import CREDENTIAL, EmbeddedAws
from lab.moto.versions import TRIES_FOR_A_PAGE, delete_versions, versions


def seen_pages(proxy: FaultProxy) -> int:
    return sum("versions" in row.seen.query for row in proxy.log)


@pytest.fixture
def bucket(embedded_aws: EmbeddedAws) -> str:
    name = f"history-{uuid.uuid4().hex[:20]}"
    s3 = embedded_aws.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def s3(proxy: FaultProxy) -> Any:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    session = boto3.Session(CREDENTIAL, CREDENTIAL, region_name="us-east-1")
    return session.client("s3", endpoint_url=proxy.endpoint_url, config=config)


def test_each_page_has_its_own_tries(s3: Any, bucket: str, proxy: FaultProxy) -> None:
    for number in range(5):
        s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"")
    # The last try of each page passes: one limit for the whole would end it.
    asked: list[str] = []

    def breaks_off(moment: Moment, seen: Seen) -> bool:
        if moment is not Moment.ARRIVED or "versions" not in seen.query:
            return True
        asked.append(seen.query)
        return asked.count(seen.query) >= TRIES_FOR_A_PAGE

    proxy.begin(observer=breaks_off)
    assert [row["Key"] for row in versions(s3, bucket, page_size=2)] == [f"{number}" for number in range(5)]
    assert len(asked) == 3 * TRIES_FOR_A_PAGE


@pytest.mark.parametrize("key", ["ctl\x01x", "cr\rx", "plain"])
def test_whatever_the_key_all_its_versions_go(s3: Any, bucket: str, proxy: FaultProxy, key: str) -> None:
    bodies = {"Key": key, "Body": b"x"}, {"Key": key, "Body": b"y"}, {"Key": "other", "Body": b"z"}
    found = [
        {"Key": str(each["Key"]), "VersionId": s3.put_object(Bucket=bucket, **each)["VersionId"], "ETag": "any"}
        for each in bodies
    ]
    proxy.begin()
    assert delete_versions(s3, bucket, found) == {}
    for each in found:
        with pytest.raises(ClientError, match="404"):
            s3.head_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
    # moto takes any key in a batch; S3 refuses the whole batch.
    assert sum(row.seen.method == "DELETE" for row in proxy.log) == (0 if key == "plain" else 2)


def test_a_page_that_never_comes_is_told(s3: Any, bucket: str, proxy: FaultProxy) -> None:
    proxy.begin(Rule(Fault.RESET_BEFORE, frozenset({Operation.GET, Operation.LIST, Operation.OTHER})))
    with pytest.raises(HTTPClientError):
        list(versions(s3, bucket))
    assert seen_pages(proxy) == TRIES_FOR_A_PAGE
