"""What makes a restore point complete: the one notion that the list, the boot, restores and retention share.

Complete is what has a manifest that can be read from its first line to its checksum. Whole is what moreover holds every
object of it; that is looked at where something would be deleted in favour of it.
"""

from dataclasses import dataclass
from enum import StrEnum

from openclaw_agent.errors import ManifestInvalid, ManifestTooNew
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, LATEST_PREFIX, snapshot_manifest_key, snapshot_prefix
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import StoredManifest, load_header, read_manifest


class Completeness(StrEnum):
    """How complete a restore point is, in the words of the list."""

    COMPLETE = "yes"
    QUARANTINED = "quarantined"
    NO_MANIFEST = "no"
    UNREADABLE = "unreadable"
    TOO_NEW = "by a newer agent"


@dataclass(frozen=True, slots=True)
class Look:
    """A restore point as its manifest's first line and end tell of it; `stored` where these can be read."""

    completeness: Completeness
    stored: StoredManifest | None = None
    too_new: ManifestTooNew | None = None

    @property
    def is_restore_point(self) -> bool:
        """Whether a restore that names none may take it."""
        return self.completeness is Completeness.COMPLETE


def look_at(store: Bucket, manifest_key: str) -> Look:
    """Look at a restore point without reading all of its manifest."""
    try:
        stored = load_header(store, manifest_key)
    except ManifestTooNew as problem:
        return Look(Completeness.TOO_NEW, too_new=problem)
    except ManifestInvalid:
        return Look(Completeness.UNREADABLE)
    if stored is None:
        return Look(Completeness.NO_MANIFEST)
    return Look(Completeness.QUARANTINED if stored.manifest.quarantined else Completeness.COMPLETE, stored)


def snapshot_is_whole(store: Bucket, name: str) -> bool:
    """Whether every object of a snapshot is there; what only a newer agent can read is taken for whole."""
    try:
        stored = read_manifest(store, snapshot_manifest_key(name))
    except ManifestTooNew:
        return True
    except ManifestInvalid:
        return False
    return stored is not None and _holds_all(store, snapshot_prefix(name), stored.manifest)


def snapshot_of_whole_latest(store: Bucket) -> str | None:
    """The snapshot that `latest/` holds, None unless its manifest can be trusted and every object of it is there."""
    try:
        stored = read_manifest(store, LATEST_MANIFEST_KEY)
    except (ManifestInvalid, ManifestTooNew):
        return None
    if stored is None or not _holds_all(store, LATEST_PREFIX, stored.manifest):
        return None
    return stored.manifest.snapshot


def _holds_all(store: Bucket, prefix: str, manifest: Manifest) -> bool:
    wanted = {prefix + entry.relative_key: entry.size for entry in manifest.files()}
    for row in store.list(prefix):
        if wanted.get(row.key) == row.size:
            del wanted[row.key]
    return not wanted
