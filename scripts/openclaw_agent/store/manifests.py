"""Reading manifests in the bucket."""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from openclaw_agent.errors import CorruptObject, ManifestInvalid, ManifestTooNew
from openclaw_agent.snapshot.bases import names_in_any_format
from openclaw_agent.snapshot.bounded_lines import MOST_LINE_BYTES, MOST_MANIFEST_BYTES
from openclaw_agent.snapshot.codec import MANIFEST_FORMAT, decode_header, decode_manifest
from openclaw_agent.snapshot.entry_codec import parse_object
from openclaw_agent.snapshot.keys import snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Manifest, SnapshotId
from openclaw_agent.store.bucket import Bucket

# Of a header; one that has much to tell of damaged databases may be longer, and is asked for again.
MOST_BYTES_OF_A_HEADER = 64 * 1024

_FORMAT = re.compile(rb'\{"format":([0-9]{1,9})[,}]')
# As `encode_manifest` ends it.
_END = re.compile(rb',"sha256":"[0-9a-f]{64}"\}\n?\Z')


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest in the bucket, its ETag, and when S3 took it."""

    manifest: Manifest
    etag: str
    modified: datetime


def read_manifest(store: Bucket, key: str, *, with_fingerprints: bool = False) -> StoredManifest | None:
    """A manifest with its entries, by default without fingerprints, or None when there is none.

    Raises:
        ManifestInvalid: when there is one that cannot be trusted.
        ManifestTooNew: when there is one that only a newer agent can read.
    """
    try:
        fetched = store.get(key, most_bytes=MOST_MANIFEST_BYTES)
    except CorruptObject as problem:
        raise ManifestInvalid(str(problem)) from problem
    if fetched is None:
        return None
    _require_known_format(key, fetched.body)
    manifest = decode_manifest(io.BytesIO(fetched.body), with_fingerprints=with_fingerprints)
    return StoredManifest(manifest, fetched.etag, fetched.modified)


def load_header(store: Bucket, key: str, *, most_bytes: int = MOST_LINE_BYTES) -> StoredManifest | None:
    """A manifest without its entries, or None when there is none; `most_bytes` are read to find its first line.

    Raises:
        ManifestInvalid: when its header cannot be read, or its end is missing.
        ManifestTooNew: when only a newer agent can read it.
    """
    try:
        fetched = store.get_first_line(key, most_bytes=most_bytes)
    except CorruptObject as problem:
        raise ManifestInvalid(str(problem)) from problem
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


class BaseLooks:
    """Whether the snapshots that others name as their bases are there; each is looked at once."""

    def __init__(self, store: Bucket) -> None:
        self._store = store
        self._seen: dict[str, SnapshotId | None] = {}

    def note(self, manifest: Manifest) -> None:
        """Take a header that was read and found whole as looked at."""
        self._seen[manifest.snapshot] = manifest.identity

    def missing(self, wanted: Iterable[SnapshotId]) -> str:
        """The first of these snapshots that is gone, unreadable, or made by another run; "" for none.

        Raises:
            StoreError: when the bucket cannot be asked.
        """
        return next((row.snapshot for row in wanted if self._identity(row.snapshot) != row), "")

    def needed(self, name: str) -> tuple[str, ...]:
        """The snapshots that a snapshot needs, by its manifest; none of one that no agent can read.

        Where the header does not agree with what it names, the manifest's own checksum decides: what is not told here
        is deleted.

        Raises:
            StoreError: when the bucket cannot be asked.
        """
        key = snapshot_manifest_key(name)
        try:
            stored = load_header(self._store, key)
            if stored is None or self.missing(stored.manifest.bases):
                stored = read_manifest(self._store, key)
        except ManifestTooNew:
            return self._needed_in_a_later_format(key)
        except ManifestInvalid:
            try:
                stored = read_manifest(self._store, key)
            except (ManifestInvalid, ManifestTooNew):
                return ()
        return tuple(base.snapshot for base in stored.manifest.bases) if stored else ()

    def _needed_in_a_later_format(self, key: str) -> tuple[str, ...]:
        fetched = self._store.get_first_line(key)
        text = fetched.body if fetched else b""
        try:
            return names_in_any_format(parse_object(text.removesuffix(b',"entries":[') + b"}"))
        except ManifestInvalid:
            return ()

    def _identity(self, name: str) -> SnapshotId | None:
        if name not in self._seen:
            stored = _header_by_a_small_read(self._store, snapshot_manifest_key(name))
            self._seen[name] = stored.manifest.identity if stored else None
        return self._seen[name]


def _header_by_a_small_read(store: Bucket, key: str) -> StoredManifest | None:
    try:
        return load_header(store, key, most_bytes=MOST_BYTES_OF_A_HEADER)
    except ManifestInvalid:
        return load_header_or_none(store, key)
    except ManifestTooNew:
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
