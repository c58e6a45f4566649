"""S3 buckets."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lab.resources.handlers.base import Created, Handler, ignoring_gone, is_gone, physical_name, resource_inputs
from lab.resources.handlers.s3_objects import BUCKET_OBJECT_TYPE, delete_all_versions, object_versions
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import SWITCH, TAGS, TEXT
from lab.resources.values import Inputs

US_EAST_1_ZONE = "Z3AQBSTGFYJSTF"


class Bucket(Handler):
    """A bucket; everything about it but its tags is a resource of its own."""

    type = "aws:s3/bucket:Bucket"
    shape = resource_inputs(bucket=TEXT, bucketPrefix=TEXT, forceDestroy=SWITCH, objectLockEnabled=SWITCH, tags=TAGS)
    replace_on = frozenset({"bucket", "bucketPrefix", "objectLockEnabled"})
    name_key = "bucket"

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the bucket in the cloud's region, then tag it."""
        bucket = physical_name(name, inputs, "bucket", "bucketPrefix")
        # us-east-1 is the one region that must not be named.
        place: dict[str, Any] = (
            {} if cloud.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": cloud.region}}
        )
        cloud.client("s3").create_bucket(
            Bucket=bucket, ObjectLockEnabledForBucket=bool(inputs.get("objectLockEnabled")), **place
        )
        self._tag(cloud, bucket, inputs)
        return Created(bucket, self._outputs(cloud, bucket, inputs))

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Replace the tags; forceDestroy lives in the state alone."""
        self._tag(cloud, current.id, inputs)
        return self._outputs(cloud, current.id, inputs)

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return the names of an existing bucket."""
        from botocore.exceptions import ClientError

        try:
            cloud.client("s3").head_bucket(Bucket=identifier)
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return self._outputs(cloud, identifier, {})

    def refusal(self, cloud: Region, current: Resource, doomed: Collection[Resource]) -> str | None:
        """Refuse a bucket that holds what the program did not put there, unless it is forceDestroy."""
        if current.inputs.get("forceDestroy"):
            return None
        managed = {
            resource.inputs.get("key")
            for resource in doomed
            if resource.type == BUCKET_OBJECT_TYPE
            and resource.inputs.get("bucket") == current.id
            and not resource.retain_on_delete
        }
        with ignoring_gone():
            held = {found["Key"] for found in object_versions(cloud, current.id)} - managed
            if held:
                return (
                    f"The bucket {current.id} holds {len(held)} objects (one is {min(held)!r}) and is not forceDestroy."
                )
        return None

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the bucket, emptied first if it is forceDestroy."""
        with ignoring_gone():
            if current.inputs.get("forceDestroy"):
                delete_all_versions(cloud, current.id, object_versions(cloud, current.id))
            cloud.client("s3").delete_bucket(Bucket=current.id)

    def _tag(self, cloud: Region, bucket: str, inputs: Inputs) -> None:
        tags = cloud.tag_list(inputs)
        if tags:
            cloud.client("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
        else:
            cloud.client("s3").delete_bucket_tagging(Bucket=bucket)

    def _outputs(self, cloud: Region, bucket: str, inputs: Inputs) -> Inputs:
        return {
            "bucket": bucket,
            "arn": cloud.arn("s3", bucket, region=False, account=False),
            "bucketDomainName": f"{bucket}.s3.amazonaws.com",
            "bucketRegionalDomainName": f"{bucket}.s3.{cloud.region}.amazonaws.com",
            "bucketRegion": cloud.region,
            "hostedZoneId": US_EAST_1_ZONE if cloud.region == "us-east-1" else "",
            "region": cloud.region,
            "tagsAll": cloud.tags(inputs),
        }


HANDLERS = (Bucket(),)
