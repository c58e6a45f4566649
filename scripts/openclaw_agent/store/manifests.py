"""Reading manifests in the bucket."""

import io
import re
from dataclasses import dataclass
from datetime import datetime

from openclaw_agent.errors import CorruptObject, ManifestInvalid, ManifestTooNew
from openclaw_agent.snapshot.codec import MANIFEST_FORMAT, decode_header, decode_manifest
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.store.bucket import Bucket

_FORMAT = re.compile(rb'\{"format":([0-9]{1,9})[,}]')
# As `encode_manifest` ends it.
_END = re.compile(rb',"sha256":"[0-9a-f]{64}"\}\n?\Z')


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest in the bucket, its ETag, and when S3 took it."""

    manifest: Manifest
    etag: str
    modified: datetime


def read_manifest(store: Bucket, key: str) -> StoredManifest | None:
    """A manifest with its entries but no fingerprints, or None when there is none.

    Raises:
        ManifestInvalid: when there is one that cannot be trusted.
        ManifestTooNew: when there is one that only a newer agent can read.
    """
    try:
        fetched = store.get(key)
    except CorruptObject as problem:
        raise ManifestInvalid(str(problem)) from problem
    if fetched is None:
        return None
    _require_known_format(key, fetched.body)
    manifest = decode_manifest(io.BytesIO(fetched.body), with_fingerprints=False)
    return StoredManifest(manifest, fetched.etag, fetched.modified)


def load_header(store: Bucket, key: str) -> StoredManifest | None:
    """A manifest without its entries, or None when there is none.

    Raises:
        ManifestInvalid: when its header cannot be read, or its end is missing.
        ManifestTooNew: when only a newer agent can read it.
    """
    fetched = store.get_first_line(key)
    if fetched is None:
        return None
    _require_known_format(key, fetched.body)
    if not _END.search(fetched.end):
        raise ManifestInvalid("The manifest ends before its checksum: it is torn.")
    return StoredManifest(decode_header(fetched.body), fetched.etag, fetched.modified)


def load_header_or_none(store: Bucket, key: str) -> StoredManifest | None:
    """A manifest without its entries, or None when there is none or its header cannot be read."""
    try:
        return load_header(store, key)
    except (ManifestInvalid, ManifestTooNew):
        return None


def _require_known_format(key: str, text: bytes) -> None:
    # Looked at before all else: a later format may well have another checksum.
    found = _FORMAT.match(text)
    if found and int(found[1]) > MANIFEST_FORMAT:
        raise ManifestTooNew(
            f"{key} was written by a newer agent: its format is {int(found[1])}, this agent reads {MANIFEST_FORMAT}. "
            "Nothing older is restored in its place: deploy the newer release, or name a snapshot (--list, --snapshot "
            "NAME)."
        )
