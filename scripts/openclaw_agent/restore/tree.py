"""Building a tree from a manifest: folders, checked files, symlinks, then modes, owners and times."""

import os
import shutil
import struct
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.atomic import sync_file_system
from openclaw_agent.restore.content import ContentSource
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Fingerprint

SPARE_BYTES = 16 * 1024 * 1024
NANOSECONDS = 1_000_000_000
# Size, mtime and ctime in seconds and nanoseconds, inode. A count of nanoseconds in 64 bits ends in 2262; disks do not.
_FINGERPRINT = struct.Struct("=QqIqIQ")


class Rebuilt(Sequence[Entry]):
    """A manifest's entries with the fingerprints of the files that were built from them.

    Each is put together when it is asked for: a second set of 100,000 entries would take 35 MiB, this takes 3.
    """

    def __init__(self, entries: Sequence[Entry], target: Path) -> None:
        """Look at every file below `target`.

        Raises:
            OSError: when one cannot be seen.
        """
        self._entries = entries
        self._fingerprints = bytearray(len(entries) * _FINGERPRINT.size)
        for place, entry in enumerate(entries):
            if entry.kind is EntryKind.FILE:
                seen = Fingerprint.of((target / entry.path).lstat())
                times = (*divmod(seen.mtime_ns, NANOSECONDS), *divmod(seen.ctime_ns, NANOSECONDS))
                packed = (seen.size, *times, seen.inode)
                _FINGERPRINT.pack_into(self._fingerprints, place * _FINGERPRINT.size, *packed)

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, index: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        entry = self._entries[index]
        if entry.kind is not EntryKind.FILE:
            return entry
        seen = _FINGERPRINT.unpack_from(self._fingerprints, (index % len(self)) * _FINGERPRINT.size)
        size, mtime, mtime_rest, ctime, ctime_rest, inode = seen
        fingerprint = Fingerprint(size, mtime * NANOSECONDS + mtime_rest, ctime * NANOSECONDS + ctime_rest, inode)
        return replace(entry, fingerprint=fingerprint, wal_fingerprint=None)


def require_room(folder: Path, entries: Iterable[Entry]) -> None:
    """Refuse a restore that would not fit; the holes of sparse files need no room.

    Raises:
        LocalStorageError: with what is needed and what is free.
    """
    needed_bytes = sum(entry.size - entry.sparse_bytes for entry in entries)
    free = shutil.disk_usage(folder).free
    if needed_bytes + SPARE_BYTES > free:
        raise LocalStorageError(
            f"The restore needs {needed_bytes:,} bytes, {folder} has {free:,} free; free some space or pass --to a "
            "folder on another disk. The current state was not changed."
        )


def rebuild(entries: Sequence[Entry], content: ContentSource, target: Path) -> Rebuilt:
    """Build the tree below the existing, empty folder `target`; return the entries with their new fingerprints.

    As an ordinary user owners stay as they are, since only root may give files away.

    Raises:
        StoreError: when an object is missing or corrupt.
        LocalStorageError: when the disk is full or refuses a name.
    """
    try:
        for entry in entries:
            if entry.kind is EntryKind.DIR and entry.path:
                (target / entry.path).mkdir(mode=0o700)
        content.fetch((entry, target / entry.path) for entry in entries if entry.kind is EntryKind.FILE)
        for entry in entries:
            if entry.kind is EntryKind.SYMLINK:
                (target / entry.path).symlink_to(entry.target)
        _set_metadata(entries, target)
        sync_file_system(target)
        return Rebuilt(entries, target)
    except OSError as problem:
        raise LocalStorageError(
            f"The restore could not write {str(problem.filename or target)!r} ({problem.strerror}). The current "
            "state was not changed."
        ) from problem


def _set_metadata(entries: Iterable[Entry], target: Path) -> None:
    # Children first: setting a child's metadata changes its folder's time, and a read-only folder takes no children.
    for entry in sorted(entries, key=lambda row: row.path.count("/") + bool(row.path), reverse=True):
        place = target / entry.path
        if os.geteuid() == 0:
            os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
        if entry.kind is not EntryKind.SYMLINK:
            # After chown, which clears setuid and setgid.
            place.chmod(entry.mode)
        os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
