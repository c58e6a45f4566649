"""Deleting many objects: a thousand a request, but one by one those whose keys XML cannot carry."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from openclaw_agent.store.errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DELETE_BATCH = 1000
# XML 1.0 has no others; a bare carriage return it has, and turns into a newline on the way.
_CARRIED = ((" ", "\ud7ff"), ("\ue000", "\ufffd"), ("\U00010000", "\U0010ffff"), ("\t", "\n"))


def fits_into_xml(key: str) -> bool:
    """Whether a key comes through an XML document as it is: S3 takes others too, and refuses a batch that has one."""
    return all(any(least <= character <= most for least, most in _CARRIED) for character in key)


def delete_objects(client: "S3Client", bucket: str, keys: Iterable[str], count: Callable[[], None]) -> dict[str, str]:
    """Delete objects; return what S3 refused, key to reason (it answers per key). `count` is told of every request.

    Raises:
        ClientError, BotoCoreError: when S3 refused a request as a whole.
    """
    refused: dict[str, str] = {}
    for batch in _batches(keys):
        if len(batch) == 1 and not fits_into_xml(batch[0]):
            refused |= _delete_one(client, bucket, batch[0], count)
        else:
            refused |= _delete_batch(client, bucket, batch, count)
    return refused


def _delete_batch(client: "S3Client", bucket: str, batch: list[str], count: Callable[[], None]) -> dict[str, str]:
    from botocore.exceptions import ClientError

    count()
    try:
        answer = client.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
        )
    except ClientError as problem:
        if error_code(problem) != "MalformedXML":
            raise
        # A server that is stricter yet: one key must not keep the others from being deleted.
        refused: dict[str, str] = {}
        for key in batch:
            refused |= _delete_one(client, bucket, key, count)
        return refused
    return {row["Key"]: row.get("Code", "unknown error") for row in answer.get("Errors", [])}


def _delete_one(client: "S3Client", bucket: str, key: str, count: Callable[[], None]) -> dict[str, str]:
    from botocore.exceptions import ClientError

    count()
    try:
        client.delete_object(Bucket=bucket, Key=key)
    except ClientError as problem:
        if error_code(problem) != "AccessDenied":
            raise
        return {key: "AccessDenied"}
    return {}


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for key in keys:
        if not fits_into_xml(key):
            yield [key]
            continue
        batch.append(key)
        if len(batch) == DELETE_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
