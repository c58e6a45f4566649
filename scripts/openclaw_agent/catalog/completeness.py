"""What makes a restore point complete: the one notion that the list, the boot, restores and retention share.

Complete is what has a manifest that can be read from its first line to its checksum; a differential snapshot moreover
needs all its bases, complete and the very snapshots that they were. Whole is what holds every object of it, in its own
folder and in theirs; that is looked at where something would be deleted in favour of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from openclaw_agent.catalog.unmanaged import place_of
from openclaw_agent.errors import ManifestInvalid, ManifestTooNew
from openclaw_agent.snapshot.keys import (
    LATEST_MANIFEST_KEY,
    LATEST_PREFIX,
    latest_key,
    snapshot_key,
    snapshot_manifest_key,
    snapshot_prefix,
)
from openclaw_agent.snapshot.manifest import Entry, Manifest
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import BaseLooks, StoredManifest, load_header, read_manifest


class Completeness(StrEnum):
    """How complete a restore point is, in the words of the list."""

    COMPLETE = "yes"
    QUARANTINED = "quarantined"
    NO_MANIFEST = "no"
    INVALID = "invalid"
    BASE_GONE = "base gone"
    TOO_NEW = "by a newer agent"


@dataclass(frozen=True, slots=True)
class Look:
    """A restore point as its manifest's first line and end tell of it; `stored` where these can be read.

    `missing_base` is the snapshot that a differential one needs and that is not there as it was, "" for none.
    `problem` says why it is invalid.
    """

    completeness: Completeness
    stored: StoredManifest | None = None
    too_new: ManifestTooNew | None = None
    missing_base: str = ""
    problem: str = ""

    @property
    def is_restore_point(self) -> bool:
        """Whether a restore that names none may take it."""
        return self.completeness is Completeness.COMPLETE


def look_at(store: Bucket, manifest_key: str, bases: BaseLooks | None = None) -> Look:
    """Look at a restore point without reading all of its manifest; `bases` keeps what was seen for the next look.

    `latest/` needs no base, whatever the snapshot needs that it was made of.
    """
    try:
        stored = load_header(store, manifest_key)
    except ManifestTooNew as problem:
        return Look(Completeness.TOO_NEW, too_new=problem)
    except ManifestInvalid as problem:
        return Look(Completeness.INVALID, problem=str(problem))
    if stored is None:
        return Look(Completeness.NO_MANIFEST)
    bases = bases or BaseLooks(store)
    if manifest_key != LATEST_MANIFEST_KEY:
        bases.note(stored.manifest)
        if missing := bases.missing(stored.manifest.bases):
            return Look(Completeness.BASE_GONE, stored, missing_base=missing)
    return Look(Completeness.QUARANTINED if stored.manifest.quarantined else Completeness.COMPLETE, stored)


def snapshot_is_whole(store: Bucket, name: str) -> bool:
    """Whether every object of a snapshot is there; what only a newer agent can read is taken for whole."""
    try:
        stored = read_manifest(store, snapshot_manifest_key(name))
    except ManifestTooNew:
        return True
    except ManifestInvalid:
        return False
    if stored is None or BaseLooks(store).missing(stored.manifest.bases):
        return False
    folders = (name, *(base.snapshot for base in stored.manifest.bases))
    wanted = ((snapshot_key(name, entry), entry.size) for entry in stored.manifest.files())
    return holds_all(store, wanted, map(snapshot_prefix, folders))


def snapshot_of_whole_latest(store: Bucket) -> str | None:
    """The snapshot that `latest/` holds, None unless its manifest can be trusted and every object of it is there."""
    try:
        stored = read_manifest(store, LATEST_MANIFEST_KEY)
    except (ManifestInvalid, ManifestTooNew):
        return None
    if stored is None:
        return None
    wanted = ((latest_key(entry), entry.size) for entry in stored.manifest.files())
    return stored.manifest.snapshot if holds_all(store, wanted, [LATEST_PREFIX]) else None


def holds_all(store: Bucket, wanted: Iterable[tuple[str, int]], prefixes: Iterable[str]) -> bool:
    """Whether each of these keys below the prefixes has an object of its size in bytes."""
    # A number for each: the keys of 100,000 objects would take 20 MiB.
    missing = set(map(hash, wanted))
    for prefix in prefixes:
        for row in store.list(prefix):
            missing.discard(hash((row.key, row.size)))
    return not missing


def require_true_sizes(store: Bucket, manifest: Manifest, keys_of: Callable[[Entry], tuple[str, ...]]) -> None:
    """Refuse a manifest that says other sizes than its objects have; what it lists nowhere is not there either.

    Raises:
        ManifestInvalid: naming the first such file.
    """
    files = {entry.path: keys_of(entry) for entry in manifest.files()}
    places = {place_of(key) for keys in files.values() for key in keys}
    sizes = {row.key: row.size for place in places for row in store.list(place)}
    for entry in manifest.files():
        found = [sizes[key] for key in files[entry.path] if key in sizes]
        if entry.size not in found:
            has = f"has {found[0]:,}" if found else "is not there"
            raise ManifestInvalid(
                f"The manifest says that {entry.path!r} has {entry.size:,} bytes, but its object {has}."
            )
