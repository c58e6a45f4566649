"""Bulk transfers through obstore: uploads, copies and downloads, many at a time."""

import asyncio
import contextlib
import functools
import hashlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import boto3
import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from openclaw_agent.errors import AgentError, CorruptObject, ObjectMissing, ObjectUnavailable, StoreError
from openclaw_agent.store.client import CurrentKeys, bucket_url, certificate_authorities
from openclaw_agent.store.errors import address, is_worth_another_try, store_error
from openclaw_agent.store.retries import request_policy
from openclaw_agent.store.transfers import MIB, Copy, Download, Traffic, Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# One PUT up to this size, multipart above. S3 takes at most 10,000 parts (S3 user guide).
PART_BYTES = 8 * MIB
MAX_PARTS = 10_000
# A small request takes S3 100 to 200 ms, however small: what a spot notice leaves time for hangs on how many are under
# way. Those 128 are well below the 3,500 writes a second that S3 takes for each prefix.
PARALLEL_REQUESTS = 128
PARALLEL_PARTS = 2
# What may be on its way up at once. The engine holds it in memory, and gives up on a request whose answer has not begun
# within the stall limit, however well its body moves: so all of this must pass a slow line in that time.
UPLOADING_BYTES = PARALLEL_PARTS * PART_BYTES
# What may be on its way down at once. Each body is held in pieces of at most this size.
DOWNLOAD_PIECE_BYTES = MIB
DOWNLOADING_BYTES = 24 * DOWNLOAD_PIECE_BYTES
# What a download leaves free on a disk on which it takes more room than was promised.
SPARE_BYTES = 8 * MIB
# A body may take its time as long as it moves: what stands still is the stall limit's to notice.
LONGEST_BODY = timedelta(hours=12)

_Work = TypeVar("_Work")


class BulkTransfer:
    """Transfers to and from one bucket; what it asks of S3 is counted in `traffic`.

    Every method raises StoreError (or a subclass) with the sentence for the user, and OSError for the local disk.
    """

    def __init__(
        self,
        session: boto3.Session,
        client: "S3Client",
        bucket: str,
        traffic: Traffic,
        *,
        attempts: int,
        stall_seconds: float,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._session = session
        self._client = client
        self._bucket = bucket
        self._traffic = traffic
        self._attempts = attempts
        self._retries = request_policy(attempts, _may_pass)
        self._sleep = sleep
        self._stall_seconds = stall_seconds
        self._opened: S3Store | None = None

    @property
    def _store(self) -> S3Store:
        # Built on first use: an idle run transfers nothing.
        if self._opened is None:
            try:
                keys = CurrentKeys(self._session)
                url = bucket_url(self._client, self._bucket)
                trusted = certificate_authorities()
                certificates = Path(trusted).read_bytes() if trusted else b""
            except AgentError:
                raise
            except Exception as problem:
                raise self._error(problem, "") from problem
            self._opened = S3Store(
                self._bucket,
                region=self._client.meta.region_name,
                credential_provider=keys,
                # The client's own address of the bucket, whichever style it has. The engine reads variables by itself:
                # both of its names for it are given.
                endpoint=url,
                aws_endpoint_url_s3=url,
                virtual_hosted_style_request=True,
                # S3 compares the digest with what it received: a body corrupted on its way is refused.
                checksum_algorithm="SHA256",
                client_options={
                    "allow_http": url.startswith("http://"),
                    **({"root_certificate": certificates} if certificates else {}),
                    "connect_timeout": timedelta(seconds=5),
                    "read_timeout": timedelta(seconds=self._stall_seconds),
                    "timeout": LONGEST_BODY,
                },
                retry_config={
                    "max_retries": self._attempts - 1,
                    # From the request's begin, and so also for how long a body that breaks off is taken up again.
                    "retry_timeout": LONGEST_BODY,
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=200),
                        "max_backoff": timedelta(seconds=10),
                        "base": 2,
                    },
                },
            )
        return self._opened

    def upload(self, uploads: Iterable[Upload]) -> None:
        """Write local files, many at a time; all are there when this returns."""

        async def one(work: Upload) -> None:
            self._count_upload(work.size)
            await obstore.put_async(
                self._store,
                work.key,
                work.source,
                chunk_size=part_bytes(work.size),
                max_concurrency=PARALLEL_PARTS,
            )

        self._run_all(uploads, one, room=_ByteBudget(UPLOADING_BYTES), held=lambda work: work.size)

    def copy(self, copies: Iterable[Copy], unavailable: Callable[[Copy, StoreError], None] | None = None) -> None:
        """Copy objects of at most 5 GiB inside the bucket.

        Where there is `unavailable`, it is told of a source that is there and cannot be had, and the others go on.

        Raises:
            ObjectMissing: when a source does not exist.
        """

        async def one(work: Copy) -> None:
            self._traffic.requests["COPY"] += 1
            self._traffic.copied_bytes += work.size
            try:
                await obstore.copy_async(self._store, work.source_key, work.key)
            except BaseError as problem:
                failure = self._error(problem, work.source_key)
                if unavailable is None or not isinstance(failure, ObjectUnavailable):
                    raise
                unavailable(work, failure)

        self._run_all(copies, one)

    def download(
        self,
        downloads: Iterable[Download],
        finished: Callable[[int], None] = lambda _bytes: None,
        skipped_copies: Callable[[StoreError], None] = lambda _problem: None,
        broken: Callable[[Download, StoreError], None] | None = None,
    ) -> None:
        """Fetch objects into local files and check each digest; `finished` is told the bytes of each.

        `skipped_copies` is told why a key could not be used, where another one held the content. Where there is
        `broken`, it is told of content that no key holds, and the others go on.

        Raises:
            CorruptObject: when an object is not what its digest promises, after one more try.
            OSError: when a local file cannot be written.
        """

        async def one(work: Download) -> None:
            failures: list[StoreError] = []
            for key in work.keys:
                try:
                    size = await self._download_one(key, work)
                except (CorruptObject, ObjectMissing, ObjectUnavailable) as problem:
                    failures.append(problem)
                    continue
                for failure in failures:
                    skipped_copies(failure)
                finished(size)
                return
            if broken is None:
                raise failures[0]
            broken(work, failures[0])

        room = _ByteBudget(DOWNLOADING_BYTES)
        self._run_all(downloads, one, room, held=lambda work: min(work.size, DOWNLOAD_PIECE_BYTES))

    async def _download_one(self, key: str, work: Download) -> int:
        for last_try in (False, True):
            self._traffic.requests["GET"] += 1
            try:
                response = await obstore.get_async(self._store, key)
                if response.meta["size"] != work.size:
                    raise self._of_another_size(key, work, f"{response.meta['size']:,}")
                size, digest = await _write_stream(response.stream(min_chunk_size=DOWNLOAD_PIECE_BYTES), work)
            except (BaseError, OSError) as problem:
                if isinstance(problem, OSError) and problem.errno is not None:
                    raise
                failure = self._error(problem, key)
                # The body broke off: obstore retries requests, not streams already handed out.
                if last_try or isinstance(failure, ObjectMissing | ObjectUnavailable):
                    raise failure from problem
                continue
            except _TooMuch as problem:
                raise self._of_another_size(key, work, str(problem)) from problem
            self._traffic.downloaded_bytes += size
            if not work.sha256 or digest == work.sha256:
                return size
        raise CorruptObject(
            f"The object {address(self._bucket, key)} is corrupt: its SHA-256 is {digest.hex()}, "
            f"the manifest promises {work.sha256.hex()}."
        )

    def _of_another_size(self, key: str, work: Download, found: str) -> CorruptObject:
        return CorruptObject(
            f"The object {address(self._bucket, key)} is not what is promised: it has {found} bytes, and {work.size:,} "
            "are promised."
        )

    def _count_upload(self, size: int) -> None:
        part = part_bytes(size)
        self._traffic.requests["PUT"] += 1 if size <= part else 2 + -(-size // part)
        self._traffic.uploaded_bytes += size

    def _run_all(
        self,
        works: Iterable[_Work],
        one: Callable[[_Work], Awaitable[None]],
        room: "_ByteBudget | None" = None,
        held: Callable[[_Work], int] = lambda _work: 0,
    ) -> None:
        # Work is made when its turn comes: 100,000 copies waiting in a list would take 30 MiB.
        pending = iter(works)
        first = next(pending, None)
        if first is None:
            return
        _ = self._store  # a missing credential is told once, not by every lane
        waiting = itertools.chain((first,), pending)
        failed = False

        async def lane() -> None:
            nonlocal failed
            for work in waiting:
                try:
                    async with room.for_bytes(held(work)) if room else contextlib.nullcontext():
                        if failed:
                            return
                        await self._retries.call_async(functools.partial(one, work), self._sleep)
                except (BaseError, OSError, ValueError) as problem:
                    failed = True
                    # obstore raises FileNotFoundError for a missing object too; only the kernel's errors have a number.
                    if isinstance(problem, OSError) and problem.errno is not None:
                        raise
                    raise self._error(problem, _key_of(work)) from problem
                except BaseException:
                    failed = True
                    raise

        async def all_lanes() -> list[BaseException | None]:
            # A failure lets what is under way end: obstore's threads report to the event loop, and one that is closed
            # under them puts a traceback before the user.
            return await asyncio.gather(*(lane() for _lane in range(PARALLEL_REQUESTS)), return_exceptions=True)

        for failure in asyncio.run(all_lanes()):
            if failure is not None:
                raise failure

    def _error(self, problem: BaseException, key: str) -> StoreError:
        return store_error(problem, self._bucket, key)


class _ByteBudget:
    """Lets so much work under way at once as its bytes allow; one piece of work is always allowed."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._taken = 0
        self._left = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def for_bytes(self, size: int) -> AsyncIterator[None]:
        """Wait until there is room for `size` bytes, and hold it for the length of the block."""
        held = min(size, self._most)
        async with self._left:
            await self._left.wait_for(lambda: self._taken + held <= self._most)
            self._taken += held
        try:
            yield
        finally:
            async with self._left:
                self._taken -= held
                self._left.notify_all()


def _may_pass(problem: Exception) -> bool:
    return isinstance(problem, BaseError) and is_worth_another_try(problem)


def _key_of(work: object) -> str:
    # For a copy the source is what can be missing.
    return str(getattr(work, "source_key", None) or getattr(work, "key", ""))


def part_bytes(size: int) -> int:
    """The size of the parts in which an object of `size` bytes is sent."""
    return max(PART_BYTES, -(-size // (MAX_PARTS - 1)))


class _TooMuch(Exception):
    """A body is larger than what is promised, or is no hole where one is and fills the disk."""


async def _write_stream(stream: AsyncIterator[Any], work: Download) -> tuple[int, bytes]:
    digest = hashlib.sha256()
    size = written = 0
    with work.target.open("wb") if work.target else contextlib.nullcontext() as out:
        async for chunk in stream:
            piece = bytes(chunk)
            digest.update(piece)
            size += len(piece)
            if size > work.size:
                raise _TooMuch(f"more than {work.size:,}")
            if out:
                written += _write_sparsely(out, piece)
                if written > work.size - work.sparse_bytes and _is_nearly_full(out.fileno()):
                    raise _TooMuch(f"fewer than {work.sparse_bytes:,} bytes of holes, which fills the disk, among its")
        if out:
            out.truncate(size)
    return size, digest.digest()


def _is_nearly_full(handle: int) -> bool:
    disk = os.fstatvfs(handle)
    return disk.f_bavail * disk.f_frsize < SPARE_BYTES


def _write_sparsely(out: IO[bytes], piece: bytes) -> int:
    # A run of zeros becomes a hole: a sparse file of the state does not fill the disk of its restore.
    if len(piece) >= MIB // 4 and piece.count(0) == len(piece):
        out.seek(len(piece), os.SEEK_CUR)
        return 0
    return out.write(piece)
