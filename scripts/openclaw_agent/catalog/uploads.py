"""Objects that somebody uploaded to a bucket of ours, without a manifest, since the last backup.

A backup writes a manifest last, so an object outside `snapshots/` that is younger than it came from elsewhere, or from
a backup that was cut short after its snapshot: the newest snapshots tell which.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from openclaw_agent.catalog.unmanaged import ROOT, UnmanagedObjects, arrange, choose_unmanaged, place_of
from openclaw_agent.errors import ManifestInvalid, ManifestTooNew
from openclaw_agent.snapshot.keys import (
    LATEST_MANIFEST_KEY,
    LATEST_PREFIX,
    MARKER_KEY,
    ROOT_KEYS,
    SNAPSHOTS_PREFIX,
    STATE_PREFIX,
    latest_key,
    snapshot_manifest_key,
    snapshot_prefix,
)
from openclaw_agent.state_dir.openclaw import CONFIG_FILE, is_litter, is_sign_of_state
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import StoredManifest, read_manifest
from openclaw_agent.store.transfers import ListedObject

# Whose copies may lie in latest/ unfinished: the last writer's, and that of one that stalled while it lost the bucket.
NEWEST_SNAPSHOTS = 3
LATEST_CONFIG_KEY = LATEST_PREFIX + STATE_PREFIX + CONFIG_FILE
_PAST_SNAPSHOTS = SNAPSHOTS_PREFIX + "\U0010ffff"


@dataclass(frozen=True, slots=True)
class ExternalUploads:
    """Keys of objects that no backup of ours explains: what may be a state that somebody wants, and mere strays.

    `marked`: the bucket has the marker that it has held a state.
    """

    wanted: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    marked: bool = False


def external_uploads(store: Bucket, reference: StoredManifest, names: Sequence[str]) -> ExternalUploads:
    """Objects younger than the manifest `reference` that no backup of ours explains.

    A single object under `latest/`, or several of which none is like a part of a state, is no state that is wanted.
    At the bucket's root anything may lie; there only what looks like a state counts. Objects that the manifest promises
    and that have other bytes now are damage, for which the snapshot stands in, unless the configuration changed too.
    """
    young, marked = [], False
    for row in list_outside_snapshots(store):
        marked = marked or row.key == MARKER_KEY
        if row.modified > reference.modified:
            young.append(row)
    promised = _promised_sizes(reference)
    unexpected = _not_ours(store, young, promised, names)
    altered = {row.key for row in unexpected if row.key in promised}
    if LATEST_CONFIG_KEY not in altered or len(altered) < 2:
        unexpected = [row for row in unexpected if row.key not in altered]
    at_root = arrange(ROOT, (row for row in unexpected if place_of(row.key) == ROOT))
    in_latest = [row.key for row in unexpected if place_of(row.key) == LATEST_PREFIX]
    signs = [key for key in in_latest if _is_sign(key)]
    if not signs or (len(in_latest) == 1 and LATEST_CONFIG_KEY not in signs):
        strays, in_latest = in_latest, []
    else:
        strays = []
    return ExternalUploads(
        in_latest + (sorted(at_root.keys.values()) if at_root and at_root.confidence else []),
        strays,
        marked=marked,
    )


def _is_sign(key: str) -> bool:
    path = key.removeprefix(LATEST_PREFIX).removeprefix(STATE_PREFIX)
    return is_sign_of_state(path) and not is_litter(path)


def found_later_than(store: Bucket, newest: StoredManifest, names: Sequence[str]) -> UnmanagedObjects | None:
    """A whole state without a manifest that was put into the bucket after its newest snapshot, or None."""
    listed = list(list_outside_snapshots(store))
    found = choose_unmanaged(listed)
    if found is None or not found.confidence or found.oldest_ns <= int(newest.modified.timestamp()) * 1_000_000_000:
        return None
    taken = set(found.keys.values())
    unexpected = _not_ours(store, [row for row in listed if row.key in taken], _promised_sizes(newest), names)
    return found if unexpected else None


def list_outside_snapshots(store: Bucket) -> Iterator[ListedObject]:
    """Every object of the bucket but those below `snapshots/`, in key order."""
    for row in store.list(""):
        if row.key.startswith(SNAPSHOTS_PREFIX):
            break
        yield row
    else:
        return
    yield from store.list("", start_after=_PAST_SNAPSHOTS)


def _promised_sizes(reference: StoredManifest) -> Mapping[str, int]:
    """What `latest/` holds by a manifest: the size in bytes of each key's object."""
    return {latest_key(entry): entry.size for entry in reference.manifest.files()}


def _not_ours(
    store: Bucket, listed: Iterable[ListedObject], promised: Mapping[str, int], names: Sequence[str]
) -> list[ListedObject]:
    unexpected = [
        row
        for row in listed
        if row.key != LATEST_MANIFEST_KEY
        and row.key not in ROOT_KEYS
        and not row.key.endswith("/")
        and promised.get(row.key) != row.size
    ]
    if not unexpected:
        return []
    copied = {
        (LATEST_PREFIX + row.key.removeprefix(prefix), row.size)
        for prefix in map(snapshot_prefix, names[:NEWEST_SNAPSHOTS])
        for row in store.list(prefix)
    }
    copied |= set(_promised_by_bases(store, names[:NEWEST_SNAPSHOTS]))
    return [row for row in unexpected if (row.key, row.size) not in copied]


def _promised_by_bases(store: Bucket, names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """What `latest/` may hold of these snapshots out of the folders of their bases: keys and sizes."""
    for name in names:
        with contextlib.suppress(ManifestInvalid, ManifestTooNew):
            stored = read_manifest(store, snapshot_manifest_key(name))
            for entry in stored.manifest.files() if stored else ():
                if entry.stored_in:
                    yield latest_key(entry), entry.size
