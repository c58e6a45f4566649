import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from unittest import mock

import boto3
import pytest
from obstore.exceptions import GenericError, PermissionDeniedError

from openclaw_agent.errors import StoreError
from openclaw_agent.store.bulk import (
    DOWNLOAD_PIECE_BYTES,
    DOWNLOADING_BYTES,
    PARALLEL_PARTS,
    PARALLEL_REQUESTS,
    UPLOADING_BYTES,
    BulkTransfer,
    part_bytes,
)
from openclaw_agent.store.transfers import MIB, Download, Traffic, Upload

NOTHING_LISTENS = "http://127.0.0.1:1"


async def without_a_pause(_seconds: float) -> None:
    pass


def transfer() -> BulkTransfer:
    session = boto3.Session("testing", "testing", region_name="me-central-1")
    return BulkTransfer(
        session,
        session.client("s3", endpoint_url=NOTHING_LISTENS),
        "bucket",
        Traffic(),
        attempts=2,
        stall_seconds=1.0,
        sleep=without_a_pause,
    )


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
        mock.patch("openclaw_agent.store.bulk.obstore.put_async", put),
        pytest.raises(StoreError, match="Access to s3://bucket/3 was denied"),
    ):
        transfer().upload(uploads)
    assert len(begun) < len(uploads)
    assert set(begun) - set(ended) == {"3"}


@pytest.mark.parametrize(
    ("sizes", "most_at_once"),
    [
        ([1000] * 2 * PARALLEL_REQUESTS, PARALLEL_REQUESTS),
        ([UPLOADING_BYTES // 4] * 12, 4),
        ([UPLOADING_BYTES // 2 + 1] * 5, 1),
        ([UPLOADING_BYTES * 40, 10, UPLOADING_BYTES * 40, 10, 10], 3),
    ],
    ids=["small files", "four fill it", "two do not fit", "beyond it goes alone"],
)
def test_what_is_on_its_way_up_at_once_fits_into_memory_and_a_slow_line(
    tmp_path: Path, sizes: list[int], most_at_once: int
) -> None:
    """The engine holds it all, and gives up on an answer that does not begin within the stall limit."""
    size_of = {str(number): size for number, size in enumerate(sizes)}
    under_way: set[str] = set()
    seen: list[set[str]] = []

    async def put(_store: object, key: str, *_arguments: object, **_options: object) -> None:
        under_way.add(key)
        seen.append(set(under_way))
        await asyncio.sleep(0.001)
        under_way.remove(key)

    with mock.patch("openclaw_agent.store.bulk.obstore.put_async", put):
        transfer().upload(Upload(tmp_path, key, size) for key, size in size_of.items())
    assert set().union(*seen) == set(size_of)
    for together in seen:
        assert sum(min(size_of[key], UPLOADING_BYTES) for key in together) <= UPLOADING_BYTES
    assert max(len(together) for together in seen) == most_at_once


@pytest.mark.parametrize(
    ("size", "most_at_once"),
    [(1000, PARALLEL_REQUESTS), (DOWNLOAD_PIECE_BYTES, 24), (40 * DOWNLOAD_PIECE_BYTES, 24)],
    ids=["small files", "a piece each", "large files"],
)
def test_what_is_on_its_way_down_at_once_fits_into_memory(size: int, most_at_once: int) -> None:
    under_way: set[str] = set()
    most = 0

    async def get(_store: object, key: str) -> mock.Mock:
        nonlocal most
        under_way.add(key)
        most = max(most, len(under_way))

        async def body() -> AsyncIterator[bytes]:
            await asyncio.sleep(0.001)
            under_way.remove(key)
            yield b"x"

        return mock.Mock(stream=lambda min_chunk_size: body(), meta={"size": size})

    with mock.patch("openclaw_agent.store.bulk.obstore.get_async", get):
        transfer().download(Download((str(number),), None, b"", size) for number in range(3 * PARALLEL_REQUESTS))
    assert most == most_at_once
    assert most_at_once * min(size, DOWNLOAD_PIECE_BYTES) <= DOWNLOADING_BYTES


@pytest.mark.parametrize("size", [0, 1, UPLOADING_BYTES, 8 * MIB, 79_000 * MIB])
def test_the_parts_of_one_file_that_are_under_way_fit_too(size: int) -> None:
    assert min(size, PARALLEL_PARTS * part_bytes(size)) <= UPLOADING_BYTES


def test_a_session_without_credentials_is_told_once_and_begins_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    session = boto3.Session(region_name="me-central-1")
    client = session.client("s3", endpoint_url=NOTHING_LISTENS)
    without = BulkTransfer(session, client, "bucket", Traffic(), attempts=2, stall_seconds=1.0)
    begun = mock.AsyncMock()
    with (
        mock.patch("openclaw_agent.store.bulk.obstore.put_async", begun),
        pytest.raises(StoreError, match="No AWS credentials were found"),
    ):
        without.upload(Upload(tmp_path, str(number), 1) for number in range(3))
    begun.assert_not_called()


BROKE_OFF = GenericError("error sending request")


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([BROKE_OFF, None], None),
        ([BROKE_OFF, BROKE_OFF], "S3 cannot be reached for s3://bucket/key"),
        ([BROKE_OFF, PermissionDeniedError("status code: 403")], "Access to s3://bucket/key was denied"),
    ],
    ids=["it passes", "it does not", "something else"],
)
def test_of_several_tries_the_last_one_counts(
    tmp_path: Path, answers: list[Exception | None], sentence: str | None
) -> None:
    tries = mock.AsyncMock(side_effect=answers)
    told = contextlib.nullcontext() if sentence is None else pytest.raises(StoreError, match=sentence)
    with mock.patch("openclaw_agent.store.bulk.obstore.put_async", tries), told:
        transfer().upload([Upload(tmp_path, "key", 1)])
    assert tries.await_count == len(answers)
