"""Taking a bucket's whole content, and putting it back, so that many crashes can start from one state."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

LATEST_MANIFEST = "latest/manifest.json"


@dataclass(frozen=True, slots=True)
class Stored:
    """One object, and when S3 took it."""

    etag: str
    body: bytes
    modified: datetime


@dataclass(slots=True)
class BucketKeeper:
    """One bucket, looked at from outside of the agent and of the faulty network."""

    s3: Any
    bucket: str
    _bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def etags(self) -> dict[str, str]:
        return {key: etag for key, (etag, _modified) in self._listed().items()}

    def take(self) -> dict[str, Stored]:
        """Everything there is (bodies that were seen before are not fetched again)."""
        copy = {}
        for key, (etag, modified) in self._listed().items():
            body = self._bodies.get((key, etag))
            if body is None:
                body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
                self._bodies[key, etag] = body
            copy[key] = Stored(etag, body, modified)
        return copy

    def put_back(self, copy: dict[str, Stored]) -> None:
        """Make the bucket hold exactly `copy`; what was newer stays no older than the rest."""
        present = self.etags()
        extra = [{"Key": key} for key in present if key not in copy]
        if extra:
            self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": extra, "Quiet": True})
        stale = {key for key, stored in copy.items() if present.get(key) != stored.etag}
        if LATEST_MANIFEST in stale:
            # A restore compares when S3 took the manifests: those that came later must come later again.
            since = copy[LATEST_MANIFEST].modified
            stale |= {
                key for key, stored in copy.items() if key.endswith("/manifest.json") and stored.modified >= since
            }
        for key in sorted(stale, key=lambda name: (copy[name].modified, name.startswith("snapshots/"))):
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=copy[key].body)

    def _listed(self) -> dict[str, tuple[str, datetime]]:
        found: dict[str, tuple[str, datetime]] = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            found.update({row["Key"]: (row["ETag"], row["LastModified"]) for row in page.get("Contents", [])})
        return found
