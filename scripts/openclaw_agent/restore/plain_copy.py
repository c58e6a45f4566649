"""Putting a plain copy into the state folder in order: `aws s3 sync …/snapshots/<name>/.openclaw/ <state folder>/`.

Such a copy is root's, readable by all, and without the links and empty folders that S3 cannot hold. What is as in a
snapshot gets back what that snapshot's manifest says; what is nobody's becomes the gateway's, and readable by it alone.
"""

import contextlib
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from openclaw_agent.errors import LocalStorageError, StoreError
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.fs.removal import remove_beside
from openclaw_agent.restore.activation import report_not_restored
from openclaw_agent.restore.metadata import NotRestored, give_flags, set_metadata_of
from openclaw_agent.restore.part_copies import Copies, known_manifests, require_no_part
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import ENCODED_PREFIX
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from openclaw_agent.sqlite.files import SIDECAR_SUFFIXES
from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from openclaw_agent.state_dir.walk import WalkEntry, open_state_folder, walk

_log = logging.getLogger(__name__)

ROOT_UID = 0
OWNER_BITS = 0o700


@dataclass(frozen=True, slots=True)
class _Owner:
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class _Origin:
    """The snapshot that a copy is of, and which of the copied files are as in it."""

    manifest: Manifest
    entries: Mapping[str, Entry]
    same: frozenset[str]


def settle_plain_copy(session: Session) -> None:
    """Give modes and owners to what root has copied into the state folder since the last known state.

    Only root can, and where the state is root's own there is nothing to tell a copy by.

    Raises:
        Refused: when it is only a part of a differential snapshot.
        LocalStorageError: when the disk refuses it.
    """
    if os.geteuid() != ROOT_UID or not session.settings.state_dir.is_dir():
        return
    base = session.records.base()
    known = base.by_path() if base else {}
    owner = _owner(session, known)
    if owner.uid == ROOT_UID:
        return
    found = {row.path: row for row in walk(session.settings.state_dir, session.exclusions).found}
    copied = {path: row for path, row in found.items() if _is_copied(row, known.get(path))}
    if not copied:
        return
    try:
        with open_state_folder(session.settings.state_dir) as top:
            _settle(session, top, found, copied, base, owner)
    except OSError as problem:
        raise LocalStorageError(
            f"What was copied into {session.settings.state_dir} cannot be given to the gateway "
            f"({problem.filename or ''} {problem.strerror})."
        ) from problem


def _owner(session: Session, known: Mapping[str, Entry]) -> _Owner:
    if session.settings.on_instance:
        return _Owner(GATEWAY_UID, GATEWAY_UID)
    if "" in known:
        return _Owner(known[""].uid, known[""].gid)
    status = session.settings.state_dir.stat()
    return _Owner(status.st_uid, status.st_gid)


def _is_copied(row: WalkEntry, known: Entry | None) -> bool:
    """Whether root has put it there since the last known state."""
    if row.uid != ROOT_UID or row.kind is EntryKind.SYMLINK:
        return False
    if known is None or known.kind is not row.kind or known.uid != ROOT_UID:
        return True
    changed = (known.size, known.mtime_ns) != (row.fingerprint.size, row.fingerprint.mtime_ns)
    return row.kind is EntryKind.FILE and changed


def _settle(
    session: Session,
    top: ConfinedDir,
    found: Mapping[str, WalkEntry],
    copied: Mapping[str, WalkEntry],
    base: Manifest | None,
    owner: _Owner,
) -> None:
    copies = Copies(top, {row.path: row.fingerprint.size for row in copied.values() if row.kind is EntryKind.FILE})
    origin = _find_origin(session, copies, base, found)
    missing = NotRestored()
    for path, row in copied.items():
        entry = origin.entries.get(path) if origin else None
        as_then = origin is not None and (path in origin.same or row.kind is EntryKind.DIR)
        if entry is None or entry.kind is not row.kind or not as_then:
            entry = Entry(path, row.kind, row.mode & OWNER_BITS, owner.uid, owner.gid, row.fingerprint.mtime_ns)
        _give(top, entry, missing)
    if origin is None:
        report_not_restored(session, missing)
        _log.info("Gave %d files and folders that root has put into the state to the gateway.", len(copied))
        session.record.add(given_to_the_gateway=len(copied))
        return
    name = origin.manifest.snapshot
    _remove_stale_sidecars(top, origin, found)
    if _is_whole(origin, found, copied):
        _narrow_known_folders(top, origin, found, copied, missing)
        _add_what_s3_cannot_hold(top, origin, found, missing)
    report_not_restored(session, missing)
    _log.info(
        "Put the plain copy of snapshot %s in order: %d files are as in it, and have its modes and owners; %d others "
        "that root has put there are the gateway's.",
        name,
        len(origin.same),
        len(copies.sizes) - len(origin.same),
    )
    session.record.add(settled_plain_copy=name, as_in_the_snapshot=len(origin.same))


def _find_origin(
    session: Session, copies: Copies, base: Manifest | None, found: Mapping[str, WalkEntry]
) -> _Origin | None:
    """The newest snapshot that explains every copied file, else the one that explains most.

    Raises:
        Refused: when the copy is only a part of a differential snapshot.
    """
    best: _Origin | None = None
    try:
        require_no_part(known_manifests(session, base), copies, found, base)
        for manifest in known_manifests(session, base):
            entries = manifest.by_path()
            same = frozenset(path for path in copies.sizes if copies.is_as_in(entries.get(path), path))
            if same and (best is None or len(same) > len(best.same)):
                best = _Origin(manifest, entries, same)
            if len(same) == len(copies.sizes):
                break
    except StoreError as problem:
        # An outage must not keep the gateway down; the copy is made safe all the same.
        _log.warning("Of which snapshot the plain copy is could not be looked up: %s", problem)
    return best


def _give(top: ConfinedDir, entry: Entry, missing: NotRestored) -> None:
    with missing.noting("the owner and mode", entry.path), contextlib.suppress(FileNotFoundError):
        handle = top.open(entry.path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            status = os.fstat(handle)
            # A file of several names may be somebody's outside of the state.
            if stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1):
                set_metadata_of(handle, entry, missing)
                give_flags(handle, entry, missing)
        finally:
            os.close(handle)


def _remove_stale_sidecars(top: ConfinedDir, origin: _Origin, found: Mapping[str, WalkEntry]) -> None:
    """Remove logs beside the copied databases: a snapshot's are folded, so these are of what was there before."""
    for path in origin.same:
        if origin.entries[path].database:
            for stale in (path + suffix for suffix in SIDECAR_SUFFIXES if path + suffix in found):
                with _parent(top, stale) as (folder, name), contextlib.suppress(FileNotFoundError):
                    remove_beside(name, folder)


def _is_whole(origin: _Origin, found: Mapping[str, WalkEntry], copied: Mapping[str, WalkEntry]) -> bool:
    """Whether the state folder is that snapshot now, but for what S3 cannot hold."""
    files = [entry for entry in origin.manifest.files() if not _is_encoded(entry)]
    return all(
        entry.path in origin.same
        or (entry.path not in copied and entry.path in found and found[entry.path].fingerprint.size == entry.size)
        for entry in files
    )


def _narrow_known_folders(
    top: ConfinedDir,
    origin: _Origin,
    found: Mapping[str, WalkEntry],
    copied: Mapping[str, WalkEntry],
    missing: NotRestored,
) -> None:
    """Give folders that are root's in the snapshot too their modes: a new one of the copy's looks like the old one."""
    for row in found.values():
        entry = origin.entries.get(row.path)
        is_roots = row.kind is EntryKind.DIR and row.uid == ROOT_UID and row.path not in copied
        if is_roots and entry is not None and entry.kind is EntryKind.DIR:
            _give(top, entry, missing)


def _add_what_s3_cannot_hold(
    top: ConfinedDir, origin: _Origin, found: Mapping[str, WalkEntry], not_restored: NotRestored
) -> None:
    missing = [entry for entry in origin.manifest.entries if entry.path not in found]
    for entry in missing:
        if entry.hard_link_to:
            # Of a file the copy has brought the first name, or nothing; that of a symlink was made just now.
            if entry.hard_link_to in found or entry.kind is EntryKind.SYMLINK:
                with not_restored.noting("the hard link", entry.path):
                    _link(top, entry)
            continue
        if entry.kind is EntryKind.FILE:
            continue
        with (
            not_restored.noting(f"the {entry.kind.value}", entry.path),
            _parent(top, entry.path) as (folder, name),
            contextlib.suppress(FileExistsError),
        ):
            if entry.kind is EntryKind.DIR:
                os.mkdir(name, OWNER_BITS, dir_fd=folder)
            else:
                os.symlink(entry.target, name, dir_fd=folder)
                os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
                os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)
    for entry in (row for row in missing if row.kind is EntryKind.DIR):
        _give(top, entry, not_restored)
    absent = sum(entry.kind is EntryKind.FILE and _is_encoded(entry) for entry in missing)
    if absent:
        _log.warning(
            "Warning: %d files of snapshot %s have names that no plain copy brings back; "
            "openclaw-s3-restore.py run --snapshot %s does.",
            absent,
            origin.manifest.snapshot,
            origin.manifest.snapshot,
        )


def _link(top: ConfinedDir, entry: Entry) -> None:
    """A second name of a file that the copy has brought; S3 holds it under the first alone."""
    with (
        _parent(top, entry.hard_link_to) as (folder, name),
        _parent(top, entry.path) as (other_folder, other),
        contextlib.suppress(FileExistsError),
    ):
        os.link(name, other, src_dir_fd=folder, dst_dir_fd=other_folder, follow_symlinks=False)


def _is_encoded(entry: Entry) -> bool:
    return entry.relative_key.startswith(ENCODED_PREFIX)


@contextlib.contextmanager
def _parent(top: ConfinedDir, path: str) -> Iterator[tuple[int, str]]:
    folder, _, name = path.rpartition("/")
    handle = top.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle, name
    finally:
        os.close(handle)
