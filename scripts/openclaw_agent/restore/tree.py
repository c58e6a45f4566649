"""Building a tree from a manifest: folders, checked files, symlinks, hard links, then all metadata."""

import errno
import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.atomic import sync_file_system
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.fs.removal import remove_file
from openclaw_agent.restore.content import ContentSource
from openclaw_agent.restore.gaps import Lost, LostEntry, MayLack, nothing
from openclaw_agent.restore.metadata import NotRestored, set_metadata
from openclaw_agent.restore.privileges import without_privileges
from openclaw_agent.restore.refusals import refused_by_disk
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Fingerprint
from openclaw_agent.state_dir.exclusions import AGENT_FOLDER
from openclaw_agent.state_dir.staging import require_ours

# A file system has no links, or not as many as the one of the backup.
_NO_LINK = frozenset({errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS})
SPARE_BYTES = 16 * 1024 * 1024
NANOSECONDS = 1_000_000_000
# Size, mtime and ctime in seconds and nanoseconds, inode. A count of nanoseconds in 64 bits ends in 2262; disks do not.
_FINGERPRINT = struct.Struct("=QqIqIQ")


class Rebuilt(Sequence[Entry]):
    """A manifest's entries with the fingerprints of the files that were built from them.

    Each is put together when it is asked for: a second set of 100,000 entries would take 35 MiB, this takes 4.
    `not_restored` is what of their metadata could not be had, `lost` are files that are not among them.
    """

    def __init__(self, entries: Sequence[Entry], not_restored: NotRestored, lost: tuple[LostEntry, ...] = ()) -> None:
        self._entries = entries
        self.lost = lost
        self.not_restored = not_restored
        self._fingerprints = bytearray(len(entries) * _FINGERPRINT.size)

    def note(self, place: int, status: os.stat_result) -> None:
        """The file of the entry at `place` has this status."""
        seen = Fingerprint.of(status)
        times = (*divmod(seen.mtime_ns, NANOSECONDS), *divmod(seen.ctime_ns, NANOSECONDS))
        packed = (seen.size, *times, seen.inode)
        _FINGERPRINT.pack_into(self._fingerprints, place * _FINGERPRINT.size, *packed)

    def note_link(self, place: int, first: int) -> None:
        """The entry at `place` is another name of the file at `first`."""
        size = _FINGERPRINT.size
        self._fingerprints[place * size : place * size + size] = self._fingerprints[first * size : first * size + size]

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, index: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        entry = without_privileges(self._entries[index])
        if entry.kind is not EntryKind.FILE:
            return entry
        if entry.is_judged_again:
            # Known to be unchanged it would never be read, and what was said of it be forgotten.
            return replace(entry, fingerprint=None, wal_fingerprint=None)
        seen = _FINGERPRINT.unpack_from(self._fingerprints, (index % len(self)) * _FINGERPRINT.size)
        size, mtime, mtime_rest, ctime, ctime_rest, inode = seen
        fingerprint = Fingerprint(size, mtime * NANOSECONDS + mtime_rest, ctime * NANOSECONDS + ctime_rest, inode)
        return replace(entry, fingerprint=fingerprint, wal_fingerprint=None)


def require_room(folder: Path, entries: Sequence[Entry]) -> None:
    """Refuse a restore that would not fit; holes need no room, and a file of several names needs it once.

    Raises:
        LocalStorageError: with what is needed and what is free.
    """
    links = _links(entries)
    needed_bytes = sum(entry.size - entry.sparse_bytes for place, entry in enumerate(entries) if place not in links)
    free = shutil.disk_usage(folder).free
    if needed_bytes + SPARE_BYTES > free:
        raise LocalStorageError(
            f"The restore needs {needed_bytes:,} bytes, {folder} has {free:,} free; free some space or pass --to a "
            "folder on another disk. The current state was not changed."
        )


def rebuild(entries: Sequence[Entry], content: ContentSource, target: Path, *, may_lack: MayLack = nothing) -> Rebuilt:
    """Build the tree below the existing, empty folder `target`; return the entries with their new fingerprints.

    What is not restored of metadata is told by the result. Flags are given later (`give_all_flags`). `may_lack` says of
    which files the content may be missing.

    Raises:
        StoreError: when an object that may not is missing, corrupt, archived or forbidden.
        ManifestInvalid: when it asks for what no disk takes.
        LocalStorageError: when the disk is full, broken or read-only.
    """
    base = target
    try:
        with ConfinedDir(target, follow=False) as top:
            if target.parent.name == AGENT_FOLDER:
                require_ours(top)
            # Whatever gets that name meanwhile is not what is written into.
            base = top.by_handle
            built = _built_in(top, entries, content, may_lack)
            sync_file_system(base)
    except (OSError, OverflowError, UnicodeError) as problem:
        raise refused_by_disk(problem, base, target) from problem
    return built


def _built_in(top: ConfinedDir, entries: Sequence[Entry], content: ContentSource, may_lack: MayLack) -> Rebuilt:
    base, links = top.by_handle, _links(entries)
    for entry in entries:
        if entry.kind is EntryKind.DIR and entry.path:
            (base / entry.path).mkdir(mode=0o700)
    lost = content.fetch(
        (entry, base / entry.path)
        for place, entry in enumerate(entries)
        if entry.kind is EntryKind.FILE and place not in links
    )
    entries, lost_entries = _without(entries, links, lost, base, may_lack) if lost else (entries, ())
    links = _links(entries) if lost else links
    built = Rebuilt(entries, NotRestored(), lost_entries)
    for place, entry in enumerate(entries):
        if entry.kind is EntryKind.SYMLINK and place not in links:
            (base / entry.path).symlink_to(entry.target)
    for place, first in list(links.items()):
        if not _linked(base / entries[first].path, base / entries[place].path):
            built.not_restored.note("the hard link", entries[place].path, "the file system takes none; it is a copy")
            del links[place]
    _set_all_metadata(built, entries, links, top)
    return built


def _without(
    entries: Sequence[Entry], links: Mapping[int, int], lost: Sequence[Lost], target: Path, may_lack: MayLack
) -> tuple[Sequence[Entry], tuple[LostEntry, ...]]:
    """What is left without the files that are lost under all their names, and these."""
    problems = {str(row.target.relative_to(target)): row.problem for row in lost}
    lost_entries = tuple(
        LostEntry(entry, problems[name])
        for place, entry in enumerate(entries)
        if (name := entries[links.get(place, place)].path) in problems
    )
    files = sum(1 for entry in entries if entry.kind is EntryKind.FILE)
    if not may_lack([row.entry for row in lost_entries], files):
        raise lost[0].problem
    for row in lost:
        # What of it had come.
        remove_file(row.target)
    paths = {row.entry.path for row in lost_entries}
    return [entry for entry in entries if entry.path not in paths], lost_entries


def _links(entries: Sequence[Entry]) -> dict[int, int]:
    """Which entries are made as a link, and to which: a file's first name, or the first that is here."""
    first_names = {entry.hard_link_to for entry in entries if entry.hard_link_to}
    made: dict[str, int] = {}
    links: dict[int, int] = {}
    for place, entry in enumerate(entries) if first_names else ():
        name = entry.hard_link_to or entry.path
        if name in first_names:
            first = made.setdefault(name, place)
            if first != place:
                links[place] = first
    return links


def _linked(first: Path, other: Path) -> bool:
    """Give a file another name; False where that could only be a copy."""
    try:
        os.link(first, other, follow_symlinks=False)
    except OSError as problem:
        if problem.errno not in _NO_LINK:
            raise
        shutil.copyfile(first, other, follow_symlinks=False)
        return False
    return True


def _set_all_metadata(built: Rebuilt, entries: Sequence[Entry], links: Mapping[int, int], top: ConfinedDir) -> None:
    # Children first: setting a child's metadata changes its folder's time, and a read-only folder takes no children.
    order = sorted(
        (place for place in range(len(entries)) if place not in links),
        key=lambda place: (path := entries[place].path).count("/") + bool(path),
        reverse=True,
    )
    for place in order:
        entry = entries[place]
        status = set_metadata(top, entry, built.not_restored)
        if entry.kind is EntryKind.FILE:
            built.note(place, status)
    for place, first in links.items():
        built.note_link(place, first)
