"""Reading manifests in the bucket."""

import io
from dataclasses import dataclass
from datetime import datetime

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.manifest import Manifest
from openclaw_agent.manifest_text import decode_header, decode_manifest
from openclaw_agent.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest in the bucket, its ETag, and when S3 took it."""

    manifest: Manifest
    etag: str
    modified: datetime


def read_manifest(store: ObjectStore, key: str) -> StoredManifest | None:
    """A manifest with its entries but no fingerprints, or None when there is none.

    Raises:
        ManifestInvalid: when there is one that cannot be trusted.
    """
    fetched = store.get(key)
    if fetched is None:
        return None
    manifest = decode_manifest(io.BytesIO(fetched.body), with_fingerprints=False)
    return StoredManifest(manifest, fetched.etag, fetched.modified)


def read_header(store: ObjectStore, key: str) -> StoredManifest | None:
    """A manifest without its entries, or None when there is none or its header cannot be read."""
    fetched = store.get_first_line(key)
    if fetched is None:
        return None
    try:
        return StoredManifest(decode_header(fetched.body), fetched.etag, fetched.modified)
    except ManifestInvalid:
        return None
