"""S3 objects that a program uploads, and the versions of objects in a bucket."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from lab.moto.versions import Version, delete_versions, versions
from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, resource_inputs
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import ASSET, SWITCH, TAGS, TEXT, map_of
from lab.resources.values import Asset, Inputs

BUCKET_OBJECT_TYPE = "aws:s3/bucketObjectv2:BucketObjectv2"
HEADERS = {
    "cacheControl": "CacheControl",
    "contentDisposition": "ContentDisposition",
    "contentEncoding": "ContentEncoding",
    "contentLanguage": "ContentLanguage",
    "contentType": "ContentType",
    "kmsKeyId": "SSEKMSKeyId",
    "metadata": "Metadata",
    "serverSideEncryption": "ServerSideEncryption",
    "storageClass": "StorageClass",
    "websiteRedirect": "WebsiteRedirectLocation",
    "bucketKeyEnabled": "BucketKeyEnabled",
    "checksumAlgorithm": "ChecksumAlgorithm",
}
SOURCES = ("source", "content", "contentBase64")


class BucketObject(Handler):
    """One object; any change of its bytes or headers uploads it again."""

    type = BUCKET_OBJECT_TYPE
    shape = resource_inputs(
        "bucket",
        bucket=TEXT, key=TEXT, source=ASSET, content=TEXT, contentBase64=TEXT, sourceHash=TEXT, etag=TEXT,
        forceDestroy=SWITCH, tags=TAGS, cacheControl=TEXT, contentDisposition=TEXT, contentEncoding=TEXT,
        contentLanguage=TEXT, contentType=TEXT, kmsKeyId=TEXT, metadata=map_of(TEXT), serverSideEncryption=TEXT,
        storageClass=TEXT, websiteRedirect=TEXT, bucketKeyEnabled=SWITCH, checksumAlgorithm=TEXT,
    )  # fmt: skip
    replace_on = frozenset({"bucket", "key"})
    unique = True
    volatile = frozenset({"etag", "versionId"})

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """Exactly one source of bytes."""
        given = [key for key in SOURCES if key in inputs]
        if len(given) > 1:
            raise InvalidInput(f"an object has one source, not {' and '.join(given)}")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Upload the object."""
        key = inputs.get("key") or name
        return Created(key, self._put(cloud, key, inputs))

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Upload the object again."""
        return self._put(cloud, current.id, inputs)

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete all versions of the object, as the real provider does."""
        bucket = current.inputs["bucket"]
        with ignoring_gone():
            found = [each for each in object_versions(cloud, bucket, current.id) if each["Key"] == current.id]
            delete_all_versions(cloud, bucket, found)

    def _put(self, cloud: Region, key: str, inputs: Inputs) -> Inputs:
        headers = {HEADERS[name]: inputs[name] for name in HEADERS if name in inputs}
        tags = cloud.tags(inputs)
        answer = cloud.client("s3").put_object(
            Bucket=inputs["bucket"], Key=key, Body=_body(inputs), Tagging=urlencode(tags), **headers
        )
        return {
            "key": key,
            "arn": cloud.arn("s3", f"{inputs['bucket']}/{key}", region=False, account=False),
            "etag": answer["ETag"].strip('"'),
            "versionId": answer.get("VersionId", ""),
            "serverSideEncryption": answer.get("ServerSideEncryption", "AES256"),
            "storageClass": inputs.get("storageClass", "STANDARD"),
            "contentType": inputs.get("contentType", "application/octet-stream"),
            "region": cloud.region,
            "tagsAll": tags,
        }


def object_versions(cloud: Region, bucket: str, prefix: str = "") -> Iterator[Version]:
    """Yield key and version of every version and delete marker; a bucket without versioning has version `null`."""
    return versions(cloud.client("s3"), bucket, prefix)


def delete_all_versions(cloud: Region, bucket: str, found: Iterable[Version]) -> None:
    """Delete these versions for good.

    Raises:
        InvalidInput: S3 did not delete one.
    """
    refused = delete_versions(cloud.client("s3"), bucket, list(found))
    for key, reason in refused.items():
        raise InvalidInput(f"S3 did not delete {key!r} of {bucket}: {reason}")


def _body(inputs: Inputs) -> bytes:
    source: Any = inputs.get("source")
    if isinstance(source, Asset):
        return source.read()
    if "contentBase64" in inputs:
        return base64.b64decode(inputs["contentBase64"])
    return str(inputs.get("content", "")).encode()


HANDLERS = (BucketObject(),)
