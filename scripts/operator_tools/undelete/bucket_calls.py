"""The one place where an undelete touches S3: versions, one manifest, copies and deletions."""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import botocore.exceptions as aws_errors
from botocore.config import Config

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.snapshot.codec import decode_manifest
from openclaw_agent.snapshot.manifest import Manifest
from operator_tools.account.account import CLIENT_SETTINGS, Account
from operator_tools.undelete.history import STANDARD, Version

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

PARALLEL_REQUESTS = 32
LARGEST_SIMPLE_COPY = 5 * 1024**3
"""CopyObject's limit in bytes; larger objects are copied in parts (S3 API reference, CopyObject)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A key that S3 did not let us change, and S3's reason."""

    key: str
    reason: str


class BucketCalls:
    """One versioned bucket, through the credentials of the environment.

    Raises (each method, and the constructor):
        AccountError: AWS refused or could not be asked; the text is the sentence for the user.
    """

    def __init__(self, account: Account, bucket: str) -> None:
        self._account = account
        self._bucket = bucket
        pooled = CLIENT_SETTINGS.merge(Config(max_pool_connections=PARALLEL_REQUESTS))
        with account.told_in_a_sentence("s3", "Opening the client"):
            self._s3: S3Client = account.session.client("s3", config=pooled)

    def undelete_days(self) -> int | None:
        """Return for how many days the bucket keeps what is overwritten or deleted; None where no rule ends it."""
        with self._account.told_in_a_sentence("s3", "GetBucketLifecycleConfiguration"):
            try:
                rules = self._s3.get_bucket_lifecycle_configuration(Bucket=self._bucket)["Rules"]
            except aws_errors.ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
                    return None
                raise
        expirations = (rule.get("NoncurrentVersionExpiration", {}) for rule in rules if rule["Status"] == "Enabled")
        return min((days["NoncurrentDays"] for days in expirations if "NoncurrentDays" in days), default=None)

    def versions(self) -> Iterator[Version]:
        """Yield every version of every object, by key and newest first; 1,000 a request."""
        pages = iter(self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket))
        while True:
            with self._account.told_in_a_sentence("s3", "ListBucketVersions"):
                page = next(pages, None)
            if page is None:
                return
            found = [
                Version(
                    each["Key"],
                    each["VersionId"],
                    each["LastModified"],
                    size=each["Size"],
                    etag=each["ETag"],
                    storage_class=each.get("StorageClass", STANDARD),
                )
                for each in page.get("Versions", ())
            ]
            found += [
                Version(each["Key"], each["VersionId"], each["LastModified"], deleted=True)
                for each in page.get("DeleteMarkers", ())
            ]
            newest = {(e["Key"], e["VersionId"]) for e in page.get("Versions", ()) if e["IsLatest"]}
            newest |= {(e["Key"], e["VersionId"]) for e in page.get("DeleteMarkers", ()) if e["IsLatest"]}
            # S3 lists objects and delete markers apart. Of one second, the newest one of all comes first.
            found.sort(key=lambda each: (each.since, (each.key, each.version_id) in newest), reverse=True)
            found.sort(key=lambda each: each.key)
            yield from found

    def manifest(self, version: Version) -> Manifest | None:
        """Read one version of a manifest, or None where it is none that an agent would accept."""
        with self._account.told_in_a_sentence("s3", "GetObjectVersion"):
            answer = self._s3.get_object(Bucket=self._bucket, Key=version.key, VersionId=version.version_id)
            with contextlib.closing(answer["Body"]) as body:
                try:
                    return decode_manifest(io.BufferedReader(cast("io.RawIOBase", body)), with_fingerprints=False)
                except ManifestInvalid:
                    return None

    def copy_forward(self, versions: Iterable[Version], done: Callable[[], None]) -> list[Refused]:
        """Make each version the object again, many at once; the source's content stays inside S3."""
        return self._each([(version.key, partial(self._copy, version)) for version in versions], done)

    def delete(self, keys: Iterable[str], done: Callable[[], None]) -> list[Refused]:
        """Put a delete marker on each key, a request a key: one name that XML cannot carry must not stop the rest."""
        calls = [(key, partial(self._s3.delete_object, Bucket=self._bucket, Key=key)) for key in keys]
        return self._each(calls, done)

    def _copy(self, version: Version) -> None:
        source: CopySourceTypeDef = {"Bucket": self._bucket, "Key": version.key, "VersionId": version.version_id}
        if version.size <= LARGEST_SIMPLE_COPY:
            self._s3.copy_object(Bucket=self._bucket, Key=version.key, CopySource=source)
        else:
            self._s3.copy(source, self._bucket, version.key)

    def _each(self, calls: Sequence[tuple[str, Callable[[], object]]], done: Callable[[], None]) -> list[Refused]:
        """Make every call, and return those that S3 refused: one that cannot be made does not stop the others."""
        refused = []
        with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
            keys = {pool.submit(call): key for key, call in calls}
            for made in as_completed(keys):
                try:
                    made.result()
                    done()
                except aws_errors.ClientError as error:
                    refused.append(Refused(keys[made], error.response.get("Error", {}).get("Code", "no error code")))
                except aws_errors.BotoCoreError as error:
                    refused.append(Refused(keys[made], type(error).__name__))
        return sorted(refused, key=lambda each: each.key)
