"""Where things lie in the bucket, beside what `snapshot_names` says of snapshots; and reading manifests there."""

import io
from dataclasses import dataclass
from datetime import datetime

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.manifest import Entry, Manifest, decode_header, decode_manifest
from openclaw_agent.object_store import ObjectStore
from openclaw_agent.snapshot_names import LATEST_PREFIX, MANIFEST_FILE, snapshot_prefix

LATEST_MANIFEST_KEY = LATEST_PREFIX + MANIFEST_FILE
# Reserves the name of a snapshot under way, so that two instances never write into one folder.
RESERVED_FILE = "reserved"
# Marks, for a listing, a snapshot that is no restore point of the main line; its manifest says why.
QUARANTINED_FILE = "quarantined"
DAMAGED_PREFIX = ".damaged/"


def latest_key(entry: Entry) -> str:
    """The key of a file's newest object."""
    return LATEST_PREFIX + entry.relative_key


def snapshot_key(name: str, entry: Entry) -> str:
    """The key of a file's object in a snapshot."""
    return snapshot_prefix(name) + entry.relative_key


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest in the bucket, its ETag, and when S3 took it."""

    manifest: Manifest
    etag: str
    modified: datetime


def read_manifest(store: ObjectStore, key: str) -> StoredManifest | None:
    """A manifest with its entries, or None when there is none.

    Raises:
        ManifestInvalid: when there is one that cannot be trusted.
    """
    fetched = store.get(key)
    if fetched is None:
        return None
    manifest = decode_manifest(io.BytesIO(fetched.body))
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
