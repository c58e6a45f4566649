"""The bucket: small conditional requests through boto3, bulk transfers through obstore, every request counted."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openclaw_agent.errors import CorruptObject, ObjectMissing, ObjectUnavailable, PreconditionFailed, StoreError
from openclaw_agent.store.credentials import AT_ONCE, find_credentials
from openclaw_agent.store.deletions import delete_objects
from openclaw_agent.store.errors import address, error_code, store_error
from openclaw_agent.store.retries import RetryPolicy, request_policy
from openclaw_agent.store.transfers import MIB, Copy, Download, Fetched, ListedObject, Traffic, Upload

if TYPE_CHECKING:
    from openclaw_agent.store.bulk import BulkTransfer

# The most that one CopyObject takes (S3 user guide).
MAX_SINGLE_COPY_BYTES = 5 * 1024 * MIB
# boto3's own 8 MiB would make a thousand requests of such a copy.
HUGE_COPY_PART_BYTES = 512 * MIB
# Of an object of which the first line is asked for.
MOST_END_BYTES = 128
# Another conditional write of the key is under way (S3 asks to try again), or the body was corrupted on its way.
_TRY_AGAIN = frozenset({"ConditionalRequestConflict", "BadDigest", "XAmzContentSHA256Mismatch"})


class Bucket:
    """One bucket. Every method raises StoreError (or a subclass) with the sentence for the user.

    A request is made at most `attempts` times, and given up after `stall_seconds` without a byte. `sleep` passes the
    time between two tries of a write. `credentials` says how often they are looked for.
    """

    def __init__(
        self,
        name: str,
        region: str,
        *,
        attempts: int,
        stall_seconds: float,
        sleep: Callable[[float], object] = time.sleep,
        credentials: RetryPolicy = AT_ONCE,
    ) -> None:
        # Here: a command that asks S3 nothing, or only prints its help, does not load it.
        from boto3.session import Session
        from botocore.exceptions import BotoCoreError, ClientError

        from openclaw_agent.store.client import s3_client

        self.bucket = name
        self._attempts = attempts
        self._stall_seconds = stall_seconds
        self._writes = request_policy(attempts, _may_pass)
        self._sleep = sleep
        self.traffic = Traffic()
        self._refusals: tuple[type[Exception], ...] = (ClientError, BotoCoreError)
        self._failures: tuple[type[Exception], ...] = (*self._refusals, OSError)
        self._session = Session(region_name=region)
        find_credentials(self._session, credentials, sleep)
        self._s3 = s3_client(self._session, attempts=attempts, stall_seconds=stall_seconds)

    @functools.cached_property
    def _bulk(self) -> "BulkTransfer":
        # obstore too is loaded by what transfers in bulk, and by nothing else.
        from openclaw_agent.store.bulk import BulkTransfer

        return BulkTransfer(
            self._session,
            self._s3,
            self.bucket,
            self.traffic,
            attempts=self._attempts,
            stall_seconds=self._stall_seconds,
        )

    def get(self, key: str, *, most_bytes: int) -> Fetched | None:
        """An object's bytes, or None when it does not exist.

        Raises:
            CorruptObject: when it has more than `most_bytes`, which are not read then.
        """
        self.traffic.requests["GET"] += 1
        try:
            response, body = self._read_whole(most_bytes, Bucket=self.bucket, Key=key)
        except self._failures as problem:
            self._raise_unless_missing(problem, key)
            return None
        self.traffic.downloaded_bytes += len(body)
        return Fetched(body, response["ETag"], response["LastModified"])

    def get_first_line(self, key: str, *, most_bytes: int = 1024 * 1024) -> Fetched | None:
        """The first line of an object without reading all of it, or None when it does not exist or is empty."""
        self.traffic.requests["GET"] += 1
        try:
            response, body = self._read_whole(
                most_bytes, Bucket=self.bucket, Key=key, Range=f"bytes=0-{most_bytes - 1}"
            )
        except self._failures as problem:
            if error_code(problem) == "InvalidRange":
                return None
            self._raise_unless_missing(problem, key)
            return None
        end = body[-MOST_END_BYTES:]
        if int(response.get("ContentRange", "/0").rpartition("/")[2]) > len(body):
            self.traffic.requests["GET"] += 1
            try:
                # Of this very object, whatever lies under the key by now.
                _, end = self._read_whole(
                    MOST_END_BYTES,
                    Bucket=self.bucket,
                    Key=key,
                    Range=f"bytes=-{MOST_END_BYTES}",
                    IfMatch=response["ETag"],
                )
            except self._failures as problem:
                raise self._error(problem, key) from problem
        return Fetched(body.split(b"\n", 1)[0], response["ETag"], response["LastModified"], end)

    def _read_whole(self, most_bytes: int, **arguments: Any) -> tuple[Any, bytes]:
        from botocore.exceptions import BotoCoreError

        for _attempt in range(1, self._attempts):
            response = self._s3.get_object(**arguments)
            # botocore tries requests again, not bodies that break off on their way.
            with contextlib.suppress(BotoCoreError, OSError):
                return response, self._read_body(response, most_bytes, arguments["Key"])
        response = self._s3.get_object(**arguments)
        return response, self._read_body(response, most_bytes, arguments["Key"])

    def _read_body(self, response: Any, most_bytes: int, key: str) -> bytes:
        size = response.get("ContentLength")
        body = response["Body"]
        if size is None:
            size = len(text := body.read(most_bytes + 1))
        elif size <= most_bytes:
            text = body.read()
        if size > most_bytes:
            body.close()
            raise CorruptObject(
                f"The object {address(self.bucket, key)} is none of ours: it has {size:,} bytes, more than the "
                f"{most_bytes:,} that are read of such a one."
            )
        return bytes(text)

    def etag(self, key: str) -> str | None:
        """An object's ETag, or None when it does not exist."""
        self.traffic.requests["HEAD"] += 1
        try:
            return self._s3.head_object(Bucket=self.bucket, Key=key)["ETag"]
        except self._refusals as problem:
            if error_code(problem) in ("400", "403", "404"):
                # HEAD has no body: a missing bucket looks like a missing key (the difference is a lost backup), and an
                # expired token or a wrong clock like any refusal. A listing says which.
                self.require_bucket()
            self._raise_unless_missing(problem, key)
            return None

    def was_deleted(self, key: str) -> bool:
        """Whether a key has no object because somebody has deleted it, as a bucket with versions tells."""
        self.traffic.requests["HEAD"] += 1
        try:
            self._s3.head_object(Bucket=self.bucket, Key=key)
        except self._refusals as problem:
            answer: Any = getattr(problem, "response", {})
            headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            return str(headers.get("x-amz-delete-marker", "")).lower() == "true"
        return False

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

        def write() -> str:
            return self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, **conditions)["ETag"]  # type: ignore[arg-type]

        try:
            etag = self._writes.call(write, self._sleep)
        except self._refusals as problem:
            if conditions and isinstance(self._error(problem, key), PreconditionFailed | ObjectMissing):
                # A write whose answer was lost looks like a lost race on its retry: it is ours if it is our bytes.
                mine = self.get(key, most_bytes=MIB)
                if mine is not None and mine.body == body:
                    return mine.etag
                raise PreconditionFailed(f"Somebody else wrote {key!r} first.") from problem
            raise self._error(problem, key) from problem
        self.traffic.uploaded_bytes += len(body)
        return etag

    def put_file(self, key: str, source: Path, *, if_match: str | None = None) -> str:
        """Write one local file of at most 5 GiB in one request, read piece by piece, and return its ETag.

        With `if_match` the object must still have that ETag ("" for: must not exist).

        Raises:
            PreconditionFailed: when the condition does not hold, or held for a first try whose answer was lost.
        """
        self.traffic.requests["PUT"] += 1
        conditions: dict[str, str] = {}
        if if_match is not None:
            conditions = {"IfMatch": if_match} if if_match else {"IfNoneMatch": "*"}

        def write() -> str:
            with source.open("rb") as body:
                return self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, **conditions)["ETag"]  # type: ignore[arg-type]

        try:
            etag = self._writes.call(write, self._sleep)
        except self._refusals as problem:
            failure = self._error(problem, key)
            if conditions and isinstance(failure, ObjectMissing):
                raise PreconditionFailed(f"Somebody else deleted {key!r}.") from problem
            raise failure from problem
        self.traffic.uploaded_bytes += source.stat().st_size
        return etag

    def upload(self, uploads: Iterable[Upload]) -> None:
        """Write local files; see `BulkTransfer.upload`."""
        self._bulk.upload(uploads)

    def copy(self, copies: Iterable[Copy], unavailable: Callable[[Copy, StoreError], None] | None = None) -> None:
        """Copy objects of any size inside the bucket; see `BulkTransfer.copy`.

        Raises:
            ObjectMissing: when a source does not exist.
        """
        huge: list[Copy] = []

        def single() -> Iterator[Copy]:
            for work in copies:
                if work.size < MAX_SINGLE_COPY_BYTES:
                    yield work
                else:
                    huge.append(work)

        self._bulk.copy(single(), unavailable)
        for work in huge:
            try:
                self._copy_in_parts(work)
            except ObjectUnavailable as problem:
                if unavailable is None:
                    raise
                unavailable(work, problem)

    def download(
        self,
        downloads: Iterable[Download],
        finished: Callable[[int], None] = lambda _bytes: None,
        skipped_copies: Callable[[StoreError], None] = lambda _problem: None,
        broken: Callable[[Download, StoreError], None] | None = None,
    ) -> None:
        """Fetch and check objects; see `BulkTransfer.download`."""
        self._bulk.download(downloads, finished, skipped_copies, broken)

    def _copy_in_parts(self, work: Copy) -> None:
        from boto3.s3.transfer import TransferConfig

        parts = TransferConfig(multipart_threshold=HUGE_COPY_PART_BYTES, multipart_chunksize=HUGE_COPY_PART_BYTES)
        # A HEAD for the size, the parts, their begin and their end.
        self.traffic.requests["HEAD"] += 1
        self.traffic.requests["COPY"] += 2 + -(-work.size // HUGE_COPY_PART_BYTES)
        self.traffic.copied_bytes += work.size
        try:
            self._s3.copy({"Bucket": self.bucket, "Key": work.source_key}, self.bucket, work.key, Config=parts)
        except self._refusals as problem:
            raise self._error(problem, work.source_key) from problem

    def delete(self, keys: Iterable[str]) -> dict[str, str]:
        """Delete objects; return what S3 refused, key to reason (S3 answers per key)."""

        def count() -> None:
            self.traffic.requests["DELETE"] += 1

        try:
            return delete_objects(self._s3, self.bucket, keys, count)
        except self._refusals as problem:
            raise self._error(problem, "") from problem

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
        except self._refusals as problem:
            raise self._error(problem, arguments["Prefix"]) from problem

    def _raise_unless_missing(self, problem: Exception, key: str) -> None:
        failure = self._error(problem, key)
        if isinstance(failure, ObjectMissing):
            return
        raise failure from problem

    def _error(self, problem: BaseException, key: str) -> StoreError:
        return store_error(problem, self.bucket, key)


def _may_pass(problem: Exception) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    return isinstance(problem, ClientError | BotoCoreError) and error_code(problem) in _TRY_AGAIN
