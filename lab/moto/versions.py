"""Every version of what lies in a bucket: listed page by page, each in its own time, and deleted for good."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from botocore.exceptions import HTTPClientError

from openclaw_agent.store.deletions import fits_into_xml

# What S3 takes in one request.
DELETE_BATCH = 1000
TRIES_FOR_A_PAGE = 3

Version = dict[str, str]


def versions(s3: Any, bucket: str, prefix: str = "", *, page_size: int = 1000) -> Iterator[Version]:
    """Yield key, version and ETag ("deleted" for a marker) of all there is and was below `prefix`.

    A busy server takes its time over a thousand versions. A page changes nothing, and is asked for again; those before
    it are not.
    """
    place: dict[str, str] = {}
    while True:
        page = _page(s3, Bucket=bucket, Prefix=prefix, MaxKeys=page_size, **place)
        for row in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
            yield {"Key": row["Key"], "VersionId": row["VersionId"], "ETag": row.get("ETag", "deleted")}
        if not page.get("IsTruncated"):
            return
        place = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


def _page(s3: Any, **arguments: str | int) -> Any:
    for _try in range(TRIES_FOR_A_PAGE - 1):
        try:
            return s3.list_object_versions(**arguments)
        except HTTPClientError:
            continue
    return s3.list_object_versions(**arguments)


def delete_versions(s3: Any, bucket: str, found: Iterable[Version]) -> dict[str, str]:
    """Delete versions for good, as many in a request as S3 allows; return what was refused, key to reason.

    A key that XML cannot carry goes by itself: it would have the whole request refused.
    """
    refused: dict[str, str] = {}
    named = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
    for each in (each for each in named if not fits_into_xml(each["Key"])):
        s3.delete_object(Bucket=bucket, **each)
    remaining = (each for each in named if fits_into_xml(each["Key"]))
    while batch := list(itertools.islice(remaining, DELETE_BATCH)):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        refused |= {row["Key"]: row.get("Message", row.get("Code", "")) for row in answer.get("Errors", [])}
    return refused
