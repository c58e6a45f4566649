import asyncio
from pathlib import Path
from unittest import mock

import boto3
import pytest
from obstore.exceptions import PermissionDeniedError

from openclaw_agent.bulk_transfer import PARALLEL_REQUESTS, BulkTransfer
from openclaw_agent.errors import StoreError
from openclaw_agent.transfers import Traffic, Upload


def transfer() -> BulkTransfer:
    session = boto3.Session("testing", "testing", region_name="me-central-1")
    return BulkTransfer(session, "bucket", Traffic(), endpoint="http://127.0.0.1:1", attempts=2, stall_seconds=1.0)


def test_a_failure_begins_nothing_new_and_lets_what_is_under_way_end(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"x")
    begun: list[str] = []
    ended: list[str] = []

    async def put(_store: object, key: str, *_arguments: object, **_options: object) -> None:
        begun.append(key)
        if key == "3":
            raise PermissionDeniedError("status code: 403")
        await asyncio.sleep(0.05)
        ended.append(key)

    uploads = [Upload(source, str(number), 1) for number in range(PARALLEL_REQUESTS * 3)]
    with (
        mock.patch("openclaw_agent.bulk_transfer.obstore.put_async", put),
        pytest.raises(StoreError, match="Access to s3://bucket/3 was denied"),
    ):
        transfer().upload(uploads)
    assert len(begun) < len(uploads)
    assert set(begun) - set(ended) == {"3"}
