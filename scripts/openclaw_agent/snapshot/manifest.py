"""The manifest: what one snapshot holds, entry by entry, and how it was captured.

Paths are relative to the state folder, with `/` between parts; bytes that are no UTF-8 travel as surrogate escapes
(PEP 383), so every legal file name survives the round trip. The root itself is the entry with the path "".
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Self

from openclaw_agent.snapshot.keys import relative_key


class EntryKind(StrEnum):
    """What an entry is on disk."""

    FILE = "file"
    DIR = "dir"
    SYMLINK = "symlink"


class CaptureMethod(StrEnum):
    """How the bytes of a snapshot were taken."""

    FROZEN = "frozen"
    LIVE = "live"
    STOPPED = "stopped"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells, without reading it, that a file is as it was: size in bytes, times in ns, and its inode."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """That of a file as it is now."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a disk keeps of a file or folder beyond mode, owner and time.

    `xattrs` are extended attributes by name (xattr(7)), access control lists and capabilities among them; `flags` are
    letters of chattr(1): `i` immutable, `a` append-only.
    """

    xattrs: tuple[tuple[str, bytes], ...] = ()
    flags: str = ""


NO_ATTRIBUTES = Attributes()


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or symlink of a snapshot.

    `sha256` is the digest (32 bytes) of a file's content as stored; `sparse_bytes` is how many of its `size` bytes
    took no room on the disk. `unverified` is a database that has not passed SQLite's check, `damaged` one that failed
    it; `stale` content is that of an earlier backup, since it could not be had at this one. These verdicts stay with
    the entry until the file is judged again. `stored_in` is the snapshot whose folder holds the object, "" for the
    manifest's own (which may be named as well). `fingerprint` and `wal_fingerprint` are those of the live file and of
    its write-ahead log at capture; they only serve change detection on the machine that made the snapshot.
    `attributes` are None where the agent that wrote the manifest did not look for them. `hard_link_to` is the first
    name of a file that has several; its content is stored under that one.
    """

    path: str
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    sha256: bytes = b""
    target: str = ""
    database: bool = False
    captured_live: bool = False
    fingerprint: Fingerprint | None = None
    wal_fingerprint: Fingerprint | None = None
    sparse_bytes: int = 0
    unverified: bool = False
    attributes: Attributes | None = None
    hard_link_to: str = ""
    damaged: bool = False
    stale: bool = False
    stored_in: str = ""

    @property
    def is_judged_again(self) -> bool:
        """Whether the next backup on another disk has to read it, because of what was said of it."""
        return self.unverified or self.damaged or self.stale

    @property
    def is_good_database(self) -> bool:
        """Whether this is a database that passed its check."""
        return self.database and not self.unverified and not self.damaged

    @property
    def relative_key(self) -> str:
        """The object's key below the snapshot's folder."""
        return relative_key(self.hard_link_to or self.path)

    def same_state(self, other: Self) -> bool:
        """Whether both describe the same content and metadata, whatever inode holds it.

        Attributes that nobody looked for are the same as none.
        """
        return (
            self.path == other.path
            and self.kind == other.kind
            and self.mode == other.mode
            and self.uid == other.uid
            and self.gid == other.gid
            and self.mtime_ns == other.mtime_ns
            and self.size == other.size
            and self.sha256 == other.sha256
            and self.target == other.target
            and (self.attributes or NO_ATTRIBUTES) == (other.attributes or NO_ATTRIBUTES)
            and self.hard_link_to == other.hard_link_to
        )


@dataclass(frozen=True, slots=True)
class Omission:
    """A path that is not in the snapshot, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A path whose content as it was could not be backed up or restored, and why.

    `accepted`: a person has said that they know. `missing`: a restore could not bring it back; it is not on the disk.
    """

    path: str
    reason: str
    accepted: bool = False
    missing: bool = False


@dataclass(frozen=True, slots=True)
class DamagedDatabase:
    """A database that failed its check: its bytes as found lie under `stored_as`; `last_good` names a snapshot.

    `sha256` is the digest (32 bytes) of the file as found with its log; older manifests have none.
    """

    path: str
    problem: str
    stored_as: str
    last_good: str
    sha256: bytes = b""


@dataclass(frozen=True, slots=True)
class Totals:
    """How many files there are, and how many bytes they have."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class SnapshotId:
    """Which run made a snapshot: a name alone is a minute, which another life of the bucket may have used too."""

    snapshot: str
    created: str
    epoch: int
    instance_id: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One snapshot: who took it, when, how, and everything it holds.

    `created` is ISO 8601 in UTC; `freeze_ms` is how long the gateway stood still; `quarantined` is the reason why this
    snapshot is no restore point of the main line ("" for those that are). `skipped` names the first of `skipped_count`
    paths that only the disk had, `excluded` what OpenClaw rebuilds. `unrestorable` are keys of an upload by hand
    that no restore could bring back: no backup of any machine may delete them. `header_totals` is what the first line
    of a manifest says of the others, which may not have been read; `header_own` the same of those in its own folder.
    `bases` are the other snapshots whose folders hold files of this one, oldest first; a whole one has none.
    """

    snapshot: str
    created: str
    epoch: int
    instance_id: str
    stack: str
    method: CaptureMethod
    freeze_ms: float
    entries: Sequence[Entry]
    quarantined: str = ""
    excluded: tuple[Omission, ...] = ()
    skipped: tuple[Omission, ...] = ()
    skipped_count: int = 0
    damaged: tuple[DamagedDatabase, ...] = ()
    unrestorable: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    agent_version: str = ""
    header_totals: Totals | None = None
    bases: tuple[SnapshotId, ...] = ()
    header_own: Totals | None = None

    @property
    def identity(self) -> SnapshotId:
        """The run that made it."""
        return SnapshotId(self.snapshot, self.created, self.epoch, self.instance_id)

    def totals(self) -> Totals:
        """Those of the entries; of a header, which was read without them, those that it says.

        A file of several names counts for each of them, and takes room once.
        """
        if self.header_totals is not None and not self.entries:
            return self.header_totals
        files = size = 0
        for entry in self.entries:
            if entry.kind is EntryKind.FILE:
                files += 1
                size += 0 if entry.hard_link_to else entry.size
        return Totals(files, size)

    def own_totals(self) -> Totals:
        """How many objects the snapshot's own folder holds, and how many bytes they have."""
        if self.header_totals is not None and not self.entries:
            return self.header_own or self.header_totals
        files = size = 0
        for entry in self.files():
            if entry.stored_in in ("", self.snapshot):
                files += 1
                size += entry.size
        return Totals(files, size)

    def files(self) -> Iterator[Entry]:
        """The entries that have an object in S3."""
        return (entry for entry in self.entries if entry.kind is EntryKind.FILE and not entry.hard_link_to)

    def by_path(self) -> dict[str, Entry]:
        """The entries by path."""
        return {entry.path: entry for entry in self.entries}


@lru_cache(maxsize=4096)
def intern_int(number: int) -> int:
    """The same number as one object: 100,000 entries have few modes and owners, which saves 8 MiB."""
    return number


def path_order(path: str) -> str:
    """The key that sorts paths part by part, so that a folder precedes what is in it and nothing comes between."""
    # No file name holds a zero byte. One text a path takes a fifth of the memory of its list of parts.
    return path.replace("/", "\0")
