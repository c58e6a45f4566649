"""What has to be copied and deleted, and in which order, so that the bucket is as it stood at a moment. Pure.

The order is a backup's own, so that an undelete cut short leaves what an agent can judge: a snapshot's manifest comes
after its objects and goes before them, `latest/manifest.json` comes after `latest/`, and the lease record last.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from openclaw_agent.snapshot.keys import (
    LATEST_MANIFEST_KEY,
    LATEST_PREFIX,
    MANIFEST_FILE,
    MARKER_KEY,
    ROOT_KEYS,
    SNAPSHOTS_PREFIX,
    snapshot_name_in_key,
)
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from operator_tools.undelete.history import History, Version


@dataclass(frozen=True, slots=True)
class Wave:
    """Steps that may be done at once; the next wave waits for all of them."""

    copies: tuple[Version, ...]
    deletions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UndeletePlan:
    """Every step to a moment; `unchanged` keys are as they were, `archived` ones cannot be copied."""

    moment: datetime
    waves: tuple[Wave, ...]
    unchanged: int
    archived: tuple[Version, ...]

    @property
    def copies(self) -> list[Version]:
        """Every version that becomes the object again."""
        return [version for wave in self.waves for version in wave.copies]

    @property
    def deletions(self) -> list[str]:
        """Every key that gets a delete marker, because there was no such object."""
        return [key for wave in self.waves for key in wave.deletions]

    @property
    def copied_bytes(self) -> int:
        """How many bytes the copies have; they stay inside S3."""
        return sum(version.size for version in self.copies)

    @property
    def snapshots(self) -> list[str]:
        """The names of the snapshots whose manifest comes back."""
        names = (snapshot_name_in_key(version.key) for version in self.copies if _is_snapshot_manifest(version.key))
        return sorted(name for name in names if name)


def plan_undelete(history: History, moment: datetime) -> UndeletePlan:
    """Plan the way back to a moment; other people's objects outside of the agent's folders are not touched."""
    unchanged, archived = 0, []
    copies: dict[int, list[Version]] = {}
    deletions: dict[int, list[str]] = {}
    for key in sorted(filter(is_ours, history.keys)):
        then, now = history.at(key, moment), history.now(key)
        if then is None and now is None:
            continue
        if then is None and key == MARKER_KEY:
            # That the bucket has held a state stays true.
            continue
        if then is None:
            deletions.setdefault(_deletion_wave(key), []).append(key)
        elif now is not None and then.same_content(now) and not now.archived:
            unchanged += 1
        elif then.archived:
            archived.append(then)
        else:
            copies.setdefault(_copy_wave(key), []).append(then)
    waves = (Wave(tuple(copies.get(n, ())), tuple(deletions.get(n, ()))) for n in sorted({*copies, *deletions}))
    return UndeletePlan(moment, tuple(waves), unchanged, tuple(archived))


def is_ours(key: str) -> bool:
    """Whether a key is in one of the agent's folders, the lease record or the marker."""
    return key.startswith((LATEST_PREFIX, SNAPSHOTS_PREFIX)) or key in ROOT_KEYS


def folder_of(key: str) -> str:
    """Return the folder that a manifest vouches for, `latest/` or `snapshots/<name>/`; "" for any other key."""
    name = snapshot_name_in_key(key)
    if name is not None:
        return f"{SNAPSHOTS_PREFIX}{name}/"
    return LATEST_PREFIX if key.startswith(LATEST_PREFIX) else ""


def is_manifest(key: str) -> bool:
    """Whether a key is the manifest of `latest/` or of a snapshot, rather than a file of that name in a state."""
    return bool(folder_of(key)) and key == folder_of(key) + MANIFEST_FILE


def whole_latest(history: History, moment: datetime, manifest: Manifest) -> bool:
    """Whether each file of `latest/`'s manifest had an object of its size at a moment."""
    return all(
        (then := history.at(LATEST_PREFIX + entry.relative_key, moment)) is not None
        and then.size == entry.size
        and not then.archived
        for entry in _files(manifest)
    )


def _files(manifest: Manifest) -> Iterable[Entry]:
    return (entry for entry in manifest.entries if entry.kind is EntryKind.FILE)


def _is_snapshot_manifest(key: str) -> bool:
    return is_manifest(key) and key != LATEST_MANIFEST_KEY


_MANIFESTS_THAT_GO, _SNAPSHOTS, _MANIFESTS_THAT_COME, _LATEST, _LATEST_MANIFEST, _LEASE = range(6)


def _copy_wave(key: str) -> int:
    if key in ROOT_KEYS:
        return _LEASE
    if key == LATEST_MANIFEST_KEY:
        return _LATEST_MANIFEST
    if key.startswith(LATEST_PREFIX):
        return _LATEST
    return _MANIFESTS_THAT_COME if _is_snapshot_manifest(key) else _SNAPSHOTS


def _deletion_wave(key: str) -> int:
    # A manifest goes before what it vouches for.
    return _MANIFESTS_THAT_GO if _is_snapshot_manifest(key) else _copy_wave(key)
