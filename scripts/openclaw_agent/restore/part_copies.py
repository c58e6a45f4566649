"""Plain copies of a differential snapshot's own folder: they are a part, and nothing starts on a part."""

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping

from openclaw_agent.catalog.restore_points import worth_asking
from openclaw_agent.catalog.snapshots import snapshot_names
from openclaw_agent.errors import ManifestInvalid, ManifestTooNew, Refused
from openclaw_agent.fs.clone import open_nofollow
from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, STATE_PREFIX, snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from openclaw_agent.store.manifests import read_manifest
from openclaw_agent.streams import shell_word


class Copies:
    """The copied files by their sizes; one is read once a snapshot has such a file, and never for what it is not."""

    def __init__(self, top: ConfinedDir, sizes: Mapping[str, int], *, below: str = "") -> None:
        self.sizes = sizes
        self._top = top
        self._below = below
        self._digests: dict[str, bytes] = {}

    def is_as_in(self, entry: Entry | None, path: str) -> bool:
        """Whether a copied file is what a snapshot has at its path."""
        if entry is None or entry.kind is not EntryKind.FILE or entry.size != self.sizes[path]:
            return False
        if path not in self._digests:
            self._digests[path] = self._digest(path)
        return entry.sha256 == self._digests[path]

    def _digest(self, path: str) -> bytes:
        # Not followed, and not waited for, whatever the gateway has put in its place meanwhile. What cannot be read is
        # as in no snapshot.
        with contextlib.suppress(OSError):
            handle = open_nofollow(ConfinedPath(self._top, self._below + path))
            with os.fdopen(handle, "rb") as reading:
                if os.fstat(handle).st_size == self.sizes[path]:
                    return hashlib.file_digest(reading, "sha256").digest()
        return b""


def require_no_part(
    manifests: Iterable[Manifest], copied: Copies, found: Collection[str], base: Manifest | None
) -> None:
    """Refuse a state that a sync has reduced to what differs from a snapshot's bases.

    `copied` are the files that root has put there, `found` all paths of the state, `base` the last known
    state of it. A few files that somebody has brought back into a state that is there otherwise are no part.

    Raises:
        Refused: naming the snapshot, and what brings it back whole.
    """
    if not copied.sizes or not _is_swept(base, copied.sizes, found):
        return
    best: tuple[int, Manifest] | None = None
    for manifest in manifests:
        own = _own_files_in(manifest, copied, found) if manifest.bases else None
        if own is not None and (best is None or own > best[0]):
            best = own, manifest
    if best is None:
        return
    manifest = best[1]
    folders = " ".join(row.snapshot for row in (*manifest.bases, manifest.identity))
    raise Refused(
        f"The gateway must not start: what was copied into the state is only a part of snapshot {manifest.snapshot}, "
        "which also needs the folders of its bases. Restore it by openclaw-s3-restore.py run --snapshot "
        f"{shell_word(manifest.snapshot)} --force, or sync all of these folders, one over the other and in this order: "
        f"{folders}"
    )


def known_manifests(session: Session, base: Manifest | None) -> Iterator[Manifest]:
    """The last known state, then what the bucket has: `latest/`, and snapshots from new to old."""
    if base is not None:
        yield base
    names = worth_asking(snapshot_names(session.bucket), session.clock())
    for key in (LATEST_MANIFEST_KEY, *map(snapshot_manifest_key, names)):
        with contextlib.suppress(ManifestInvalid, ManifestTooNew):
            stored = read_manifest(session.bucket, key)
            if stored is not None:
                yield stored.manifest


def _is_swept(base: Manifest | None, copied: Collection[str], found: Collection[str]) -> bool:
    """Whether most of what was known is gone, as by a sync with --delete."""
    others = [entry.path for entry in base.files() if entry.path not in copied] if base else []
    return 2 * sum(path in found for path in others) <= len(others)


def _own_files_in(manifest: Manifest, copied: Copies, found: Collection[str]) -> int | None:
    """How many files the snapshot's own folder has, where the copy holds them all and not the whole snapshot."""
    entries = {entry.path: entry for entry in manifest.files() if entry.relative_key == STATE_PREFIX + entry.path}
    if not all(copied.is_as_in(entries.get(path), path) for path in copied.sizes):
        return None
    own = [path for path, entry in entries.items() if entry.stored_in in ("", manifest.snapshot)]
    is_part = all(path in copied.sizes for path in own) and any(path not in found for path in entries)
    return len(own) if is_part else None
