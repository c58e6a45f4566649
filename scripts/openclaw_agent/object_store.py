"""The bucket: small conditional requests through boto3, bulk transfers through obstore, every request counted."""

import asyncio
import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import boto3
import obstore
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import BaseError
from obstore.store import S3Store

from openclaw_agent.errors import CorruptObject, ObjectMissing, PreconditionFailed, StoreError
from openclaw_agent.s3_errors import error_code, store_error

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore import PutMode

MIB = 1024 * 1024
# One PUT below this size, multipart above. S3 takes at most 10,000 parts and 5 GiB in one copy (S3 user guide).
PART_BYTES = 16 * MIB
MAX_PARTS = 10_000
MAX_SINGLE_COPY_BYTES = 5 * 1024 * MIB
PARALLEL_REQUESTS = 24
PARALLEL_PARTS = 3
DELETE_BATCH = 1000
ATTEMPTS = int(os.environ.get("OPENCLAW_S3_ATTEMPTS", "6"))
STALL_SECONDS = float(os.environ.get("OPENCLAW_S3_STALL_SECONDS", "30"))

_Work = TypeVar("_Work")


@dataclass(frozen=True, slots=True)
class Upload:
    """A local file and the key it goes to; `size` in bytes."""

    source: Path
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Copy:
    """An object copied inside the bucket; `size` in bytes decides between one copy and a multipart copy."""

    source_key: str
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Download:
    """The keys that should hold some content, tried in order, and the local file it goes to (None only checks it).

    `sha256` is the digest it must have, or b"" where none is known.
    """

    keys: tuple[str, ...]
    target: Path | None
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One row of a listing; `size` in bytes."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Fetched:
    """An object's bytes, its ETag, and when S3 took it."""

    body: bytes
    etag: str
    modified: datetime


@dataclass(slots=True)
class Traffic:
    """What a run asked of S3: requests by kind, and bytes each way."""

    requests: Counter[str] = field(default_factory=Counter)
    uploaded_bytes: int = 0
    copied_bytes: int = 0
    downloaded_bytes: int = 0

    @property
    def total_requests(self) -> int:
        """All requests (a retried one counts once)."""
        return sum(self.requests.values())


class ObjectStore:
    """One bucket. Every method raises StoreError (or a subclass) with the sentence for the user."""

    def __init__(self, bucket: str, region: str) -> None:
        self.bucket = bucket
        self.traffic = Traffic()
        session = boto3.Session(region_name=region)
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        self._s3: S3Client = session.client(
            "s3",
            config=Config(
                connect_timeout=5,
                read_timeout=STALL_SECONDS,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                s3={"addressing_style": "path"} if endpoint else {},
            ),
        )
        self._session = session
        self._endpoint = endpoint
        self._region = region
        self._bulk_store: S3Store | None = None

    @property
    def _bulk(self) -> S3Store:
        # Built on first use: an idle run transfers nothing.
        if self._bulk_store is None:
            try:
                credentials = Boto3CredentialProvider(self._session)
            except Exception as problem:
                raise self._error(problem, "") from problem
            self._bulk_store = S3Store(
                self.bucket,
                region=self._region,
                credential_provider=credentials,
                # S3 compares the digest with what it received: a body corrupted on its way is refused.
                checksum_algorithm="SHA256",
                client_options={
                    "allow_http": bool(self._endpoint and self._endpoint.startswith("http://")),
                    "connect_timeout": timedelta(seconds=5),
                    "read_timeout": timedelta(seconds=STALL_SECONDS),
                    "timeout": timedelta(seconds=STALL_SECONDS * 10),
                },
                retry_config={
                    "max_retries": ATTEMPTS - 1,
                    "retry_timeout": timedelta(seconds=170),
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=200),
                        "max_backoff": timedelta(seconds=10),
                        "base": 2,
                    },
                },
                config={"endpoint": self._endpoint, "virtual_hosted_style_request": False} if self._endpoint else None,
            )
        return self._bulk_store

    def get(self, key: str) -> Fetched | None:
        """A small object's bytes, or None when it does not exist."""
        self.traffic.requests["GET"] += 1
        try:
            response = self._s3.get_object(Bucket=self.bucket, Key=key)
            body = response["Body"].read()
        except (ClientError, BotoCoreError) as problem:
            self._raise_unless_missing(problem, key)
            return None
        except OSError as problem:
            raise self._error(problem, key) from problem
        self.traffic.downloaded_bytes += len(body)
        return Fetched(body, response["ETag"], response["LastModified"])

    def get_first_line(self, key: str, *, most_bytes: int = 1024 * 1024) -> Fetched | None:
        """The first line of an object without reading all of it, or None when it does not exist or is empty."""
        self.traffic.requests["GET"] += 1
        try:
            response = self._s3.get_object(Bucket=self.bucket, Key=key, Range=f"bytes=0-{most_bytes - 1}")
            body = response["Body"].read()
        except (ClientError, BotoCoreError) as problem:
            if error_code(problem) == "InvalidRange":
                return None
            self._raise_unless_missing(problem, key)
            return None
        return Fetched(body.split(b"\n", 1)[0], response["ETag"], response["LastModified"])

    def etag(self, key: str) -> str | None:
        """An object's ETag, or None when it does not exist."""
        self.traffic.requests["HEAD"] += 1
        try:
            return self._s3.head_object(Bucket=self.bucket, Key=key)["ETag"]
        except (ClientError, BotoCoreError) as problem:
            if error_code(problem) == "404":
                # HEAD has no body, so a missing bucket looks like a missing key; the difference is a lost backup.
                self.require_bucket()
            self._raise_unless_missing(problem, key)
            return None

    def require_bucket(self) -> None:
        """Raise StoreError unless the bucket exists and may be listed."""
        next(iter(self.list("", most=1)), None)

    def put(self, key: str, body: bytes, *, if_match: str | None = None, if_absent: bool = False) -> str:
        """Write a small object, and return its ETag.

        Raises:
            PreconditionFailed: when the condition does not hold.
        """
        self.traffic.requests["PUT"] += 1
        conditions: dict[str, str] = {}
        if if_match is not None:
            conditions["IfMatch"] = if_match
        if if_absent:
            conditions["IfNoneMatch"] = "*"
        for attempt in range(ATTEMPTS):
            try:
                etag = self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, **conditions)["ETag"]  # type: ignore[arg-type]
                break
            except (ClientError, BotoCoreError) as problem:
                # 409: another conditional write of the key is under way; S3 asks to try again.
                if error_code(problem) == "ConditionalRequestConflict" and attempt + 1 < ATTEMPTS:
                    continue
                if conditions and isinstance(self._error(problem, key), PreconditionFailed | ObjectMissing):
                    # A write whose answer was lost looks like a lost race on its retry: it is ours if it is our bytes.
                    mine = self.get(key)
                    if mine is not None and mine.body == body:
                        return mine.etag
                    raise PreconditionFailed(f"Somebody else wrote {key!r} first.") from problem
                raise self._error(problem, key) from problem
        self.traffic.uploaded_bytes += len(body)
        return etag

    def put_file(self, key: str, source: Path, *, if_match: str | None = None) -> str:
        """Write one local file of any size, and return its ETag.

        With `if_match` the object must still have that ETag ("" for: must not exist), in one PUT of at most 5 GiB.

        Raises:
            PreconditionFailed: when the condition does not hold.
        """
        mode: PutMode = "overwrite" if if_match is None else {"e_tag": if_match} if if_match else "create"
        size = source.stat().st_size
        self._count_upload(size)
        try:
            result = obstore.put(
                self._bulk, key, source, mode=mode, chunk_size=_part_bytes(size), max_concurrency=PARALLEL_PARTS
            )
        except (BaseError, OSError, ValueError) as problem:
            raise self._error(problem, key) from problem
        return str(result["e_tag"])

    def upload(self, uploads: Sequence[Upload]) -> None:
        """Write local files, many at a time; all are there when this returns."""

        async def one(work: Upload) -> None:
            self._count_upload(work.size)
            await obstore.put_async(
                self._bulk,
                work.key,
                work.source,
                chunk_size=_part_bytes(work.size),
                max_concurrency=PARALLEL_PARTS,
            )

        small = [work for work in uploads if work.size <= PART_BYTES]
        large = [work for work in uploads if work.size > PART_BYTES]
        self._run_all(small, one, PARALLEL_REQUESTS)
        self._run_all(large, one, 2)

    def copy(self, copies: Sequence[Copy]) -> None:
        """Copy objects inside the bucket.

        Raises:
            ObjectMissing: when a source does not exist.
        """

        async def one(work: Copy) -> None:
            self.traffic.requests["COPY"] += 1
            self.traffic.copied_bytes += work.size
            await obstore.copy_async(self._bulk, work.source_key, work.key)

        self._run_all([work for work in copies if work.size < MAX_SINGLE_COPY_BYTES], one, PARALLEL_REQUESTS)
        for work in copies:
            if work.size >= MAX_SINGLE_COPY_BYTES:
                self._copy_in_parts(work)

    def _copy_in_parts(self, work: Copy) -> None:
        self.traffic.requests["COPY"] += 2 + work.size // (512 * MIB)
        self.traffic.copied_bytes += work.size
        try:
            self._s3.copy({"Bucket": self.bucket, "Key": work.source_key}, self.bucket, work.key)
        except (ClientError, BotoCoreError) as problem:
            raise self._error(problem, work.source_key) from problem

    def download(self, downloads: Sequence[Download], finished: Callable[[int], None] = lambda _bytes: None) -> None:
        """Fetch objects into local files and check each digest; `finished` is told the bytes of each.

        Raises:
            CorruptObject: when an object is not what its digest promises, after one more try.
            OSError: when a local file cannot be written.
        """

        async def one(work: Download) -> None:
            failures: list[StoreError] = []
            for key in work.keys:
                try:
                    finished(await self._download_one(key, work))
                except (CorruptObject, ObjectMissing) as problem:
                    failures.append(problem)
                    continue
                return
            raise failures[0]

        self._run_all(downloads, one, PARALLEL_REQUESTS)

    async def _download_one(self, key: str, work: Download) -> int:
        for last_try in (False, True):
            self.traffic.requests["GET"] += 1
            try:
                response = await obstore.get_async(self._bulk, key)
                size, digest = await _write_stream(response.stream(min_chunk_size=MIB), work.target)
            except (BaseError, OSError) as problem:
                if isinstance(problem, OSError) and problem.errno is not None:
                    raise
                failure = self._error(problem, key)
                # The body broke off: obstore retries requests, not streams already handed out.
                if last_try or isinstance(failure, ObjectMissing):
                    raise failure from problem
                continue
            self.traffic.downloaded_bytes += size
            if not work.sha256 or digest == work.sha256:
                return size
        raise CorruptObject(
            f"The object s3://{self.bucket}/{key} is corrupt: its SHA-256 is {digest.hex()}, "
            f"the manifest promises {work.sha256.hex()}."
        )

    def delete(self, keys: Iterable[str]) -> dict[str, str]:
        """Delete objects in batches; return what S3 refused, key to reason (S3 answers per key)."""
        refused: dict[str, str] = {}
        for batch in _batches(keys, DELETE_BATCH):
            self.traffic.requests["DELETE"] += 1
            try:
                answer = self._s3.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            except (ClientError, BotoCoreError) as problem:
                raise self._error(problem, batch[0]) from problem
            for row in answer.get("Errors", []):
                refused[row["Key"]] = row.get("Code", "unknown error")
        return refused

    def list(self, prefix: str, *, start_after: str = "", most: int | None = None) -> Iterator[ListedObject]:
        """Every object below `prefix` in key order, page by page; an unreadable page raises, it never ends the list."""
        found = 0
        token: str | None = None
        while True:
            arguments: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix}
            if token:
                arguments["ContinuationToken"] = token
            elif start_after:
                arguments["StartAfter"] = start_after
            if most is not None:
                arguments["MaxKeys"] = min(1000, most - found)
            page = self._list_page(arguments)
            for row in page.get("Contents", []):
                yield ListedObject(row["Key"], row["Size"], row["LastModified"])
                found += 1
            token = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or not token or (most is not None and found >= most):
                return

    def list_folders(self, prefix: str) -> Iterator[str]:
        """The names directly below `prefix` that have something below them."""
        token: str | None = None
        while True:
            arguments: dict[str, Any] = {"Bucket": self.bucket, "Prefix": prefix, "Delimiter": "/"}
            if token:
                arguments["ContinuationToken"] = token
            page = self._list_page(arguments)
            for row in page.get("CommonPrefixes", []):
                yield row["Prefix"].removeprefix(prefix).rstrip("/")
            token = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or not token:
                return

    def _list_page(self, arguments: dict[str, Any]) -> Any:
        self.traffic.requests["LIST"] += 1
        try:
            return self._s3.list_objects_v2(**arguments)
        except (ClientError, BotoCoreError) as problem:
            raise self._error(problem, arguments["Prefix"]) from problem

    def _count_upload(self, size: int) -> None:
        part = _part_bytes(size)
        self.traffic.requests["PUT"] += 1 if size <= part else 2 + -(-size // part)
        self.traffic.uploaded_bytes += size

    def _run_all(self, works: Sequence[_Work], one: Callable[[_Work], Awaitable[None]], parallel: int) -> None:
        if not works:
            return
        _ = self._bulk
        pending = iter(works)

        async def lane() -> None:
            for work in pending:
                try:
                    await one(work)
                except (BaseError, OSError, ValueError) as problem:
                    # obstore raises FileNotFoundError for a missing object too; only the kernel's errors have a number.
                    if isinstance(problem, OSError) and problem.errno is not None:
                        raise
                    raise self._error(problem, _key_of(work)) from problem

        async def all_lanes() -> None:
            async with asyncio.TaskGroup() as group:
                for _lane in range(min(parallel, len(works))):
                    group.create_task(lane())

        try:
            asyncio.run(all_lanes())
        except BaseExceptionGroup as group:
            raise _most_telling(group) from None

    def _raise_unless_missing(self, problem: Exception, key: str) -> None:
        failure = self._error(problem, key)
        if isinstance(failure, ObjectMissing):
            return
        raise failure from problem

    def _error(self, problem: BaseException, key: str) -> StoreError:
        return store_error(problem, self.bucket, key)


def _key_of(work: object) -> str:
    # For a copy the source is what can be missing.
    return str(getattr(work, "source_key", None) or getattr(work, "key", ""))


def _part_bytes(size: int) -> int:
    return max(PART_BYTES, -(-size // (MAX_PARTS - 1)))


def _batches(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for key in keys:
        batch.append(key)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _most_telling(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _most_telling(first) if isinstance(first, BaseExceptionGroup) else first


async def _write_stream(stream: AsyncIterator[Any], target: Path | None) -> tuple[int, bytes]:
    digest = hashlib.sha256()
    size = 0
    with target.open("wb") if target else contextlib.nullcontext() as out:
        async for chunk in stream:
            piece = bytes(chunk)
            digest.update(piece)
            size += len(piece)
            if out:
                _write_sparsely(out, piece)
        if out:
            out.truncate(size)
    return size, digest.digest()


def _write_sparsely(out: IO[bytes], piece: bytes) -> None:
    # A run of zeros becomes a hole: a sparse file of the state does not fill the disk of its restore.
    if len(piece) >= MIB // 4 and piece.count(0) == len(piece):
        out.seek(len(piece), os.SEEK_CUR)
    else:
        out.write(piece)
