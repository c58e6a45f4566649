"""In which versions a file is kept, over all snapshots."""

import fnmatch
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from openclaw_agent.errors import ManifestInvalid, ManifestTooNew
from openclaw_agent.snapshot.keys import snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import read_manifest

MANIFESTS_AT_ONCE = 4
"""Each may hold 100,000 entries, so few are in memory at a time."""
MOST_PATHS = 50


@dataclass(frozen=True, slots=True)
class Version:
    """One content of one path: the newest and the oldest snapshot of an unbroken run that holds it; bytes."""

    path: str
    newest: str
    oldest: str
    size: int
    sha256: str

    def document(self) -> dict[str, object]:
        """For JSON."""
        return {
            "path": self.path,
            "snapshot": self.newest,
            "since": self.oldest,
            "bytes": self.size,
            "sha256": self.sha256,
        }


def find_versions(store: Bucket, names: Sequence[str], wanted: str) -> list[Version]:
    """Return the versions of every file whose path fits, by path and from new to old; one manifest is read a name.

    `wanted` is a path below the state folder, a file's name, or a pattern of a shell. A snapshot that cannot be read
    is passed over.
    """
    runs: dict[str, list[Version]] = {}
    # Of the snapshot after this one (newer), so that a path that was away between two begins a new version.
    newer_paths: set[str] = set()
    for name, manifest in _manifests(store, sorted(names, reverse=True)):
        paths = set()
        for entry in manifest.entries:
            if entry.kind is not EntryKind.FILE or not fits(entry.path, wanted):
                continue
            paths.add(entry.path)
            _extend(runs.setdefault(entry.path, []), entry, name, unbroken=entry.path in newer_paths)
        newer_paths = paths
    return [version for path in sorted(runs)[:MOST_PATHS] for version in runs[path]]


def fits(path: str, wanted: str) -> bool:
    """Whether a path is the one wanted, ends with it, or matches it as a pattern."""
    plain = wanted.strip("/").removeprefix(".openclaw/")
    return path == plain or path.endswith(f"/{plain}") or fnmatch.fnmatchcase(path, plain)


def _extend(versions: list[Version], entry: Entry, name: str, *, unbroken: bool) -> None:
    digest = entry.sha256.hex()
    if versions and unbroken and versions[-1].sha256 == digest:
        last = versions.pop()
        versions.append(Version(last.path, last.newest, name, last.size, digest))
    else:
        versions.append(Version(entry.path, name, name, entry.size, digest))


def _manifests(store: Bucket, names: Sequence[str]) -> Iterator[tuple[str, Manifest]]:
    def read(name: str) -> Manifest | None:
        try:
            stored = read_manifest(store, snapshot_manifest_key(name))
        except (ManifestInvalid, ManifestTooNew):
            return None
        return stored.manifest if stored else None

    with ThreadPoolExecutor(MANIFESTS_AT_ONCE) as pool:
        for begin in range(0, len(names), MANIFESTS_AT_ONCE):
            some = names[begin : begin + MANIFESTS_AT_ONCE]
            for name, manifest in zip(some, pool.map(read, some), strict=True):
                if manifest is not None:
                    yield name, manifest
