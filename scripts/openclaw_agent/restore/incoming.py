"""Putting an operator's plain copy in place: `aws s3 sync …/snapshots/<name>/`, into the inbox or as notes type it.

The inbox is root's alone, and what lies in it is taken at its word. The older command puts the snapshot's `.openclaw/`
and its manifest into the state folder, one folder too deep, and deletes what was there. That folder is the gateway's,
who may plant the same: there only what root alone can have put there counts, and not the manifest on the disk but the
one that the bucket has under that name.
"""

import contextlib
import io
import logging
import os
import stat
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace

from openclaw_agent.agent_dir.records import BaseHeld, LatestRecord
from openclaw_agent.errors import (
    AgentError,
    CorruptObject,
    ManifestInvalid,
    ManifestTooNew,
    ObjectMissing,
    ObjectUnavailable,
    Refused,
    StoreError,
)
from openclaw_agent.fs.clone import open_nofollow
from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath
from openclaw_agent.restore.activation import activate, report_not_restored
from openclaw_agent.restore.content import BucketContent, CompletedFolder, ContentSource, FolderContent
from openclaw_agent.restore.part_copies import Copies, known_manifests, require_no_part
from openclaw_agent.restore.staying import plan_replacement
from openclaw_agent.restore.tree import rebuild, require_room
from openclaw_agent.session import Session
from openclaw_agent.snapshot.codec import decode_manifest
from openclaw_agent.snapshot.keys import MANIFEST_FILE, OWN_NAMES, STATE_PREFIX, snapshot_key, snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.inbox import empty_inbox, inbox_of, open_inbox
from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from openclaw_agent.state_dir.staging import disk_of, staging_for
from openclaw_agent.state_dir.walk import WalkEntry, open_state_folder, walk
from openclaw_agent.store.manifests import read_manifest

_log = logging.getLogger(__name__)

NESTED = STATE_PREFIX.rstrip("/")
# In an inbox: a person's word that a copy without a manifest has come to its end.
COMPLETE_MARK = "complete"
MANIFEST_START = b'{"format":'
# The longest line of a manifest, and the most of one that is read; 500,000 files take 250 MiB.
MOST_OF_A_LINE = 8 * 1024 * 1024
MOST_OF_A_MANIFEST = 1024 * 1024 * 1024
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def put_incoming_in_place(session: Session) -> None:
    """Make the state what an operator has copied; do nothing where nothing was. The gateway must not run.

    Raises:
        Refused: when it is not known what was copied, or others may write where it lies.
        AgentError: when what was copied does not agree with its manifest; the state is as it was.
    """
    state_dir = session.settings.state_dir
    inbox = open_inbox(state_dir)
    if inbox is not None:
        with inbox:
            _take_inbox(session, inbox)
        empty_inbox(state_dir)
        return
    if not state_dir.is_dir():
        return
    with open_state_folder(state_dir) as top:
        _take_nested(session, top)


def _take_inbox(session: Session, inbox: ConfinedDir) -> None:
    names = inbox.names()
    if NESTED not in names:
        raise Refused(
            f"Refused: {inbox.path} holds {names[0]!r} and no {STATE_PREFIX}: copy the whole folder of a snapshot "
            f"there, or that of an archive below {inbox.path}/{STATE_PREFIX}; or empty it."
        )
    manifest = None
    if MANIFEST_FILE in names:
        copied = _read_copied(inbox)
        manifest = copied
        with contextlib.suppress(StoreError):
            manifest = _of_the_bucket(session, copied.snapshot) or copied
    elif COMPLETE_MARK not in names:
        raise Refused(
            f"Refused: {inbox.path} holds no {MANIFEST_FILE}, so the copy may not have ended. Let it end; if it is of "
            f"an archive that has none: touch {inbox.path}/{COMPLETE_MARK}"
        )
    _put_in_place(session, inbox, None, manifest)


def _take_nested(session: Session, top: ConfinedDir) -> None:
    base = session.records.base()
    tree = walk(top.path, Exclusions())
    rows = {row.path: row for row in tree.found}
    nested = rows.get(NESTED)
    if nested is None or nested.kind is not EntryKind.DIR or not _was_synced_here(top, rows, base):
        return
    others = next((row for row in _copied_rows(top) if not _is_roots(row)), None)
    if others is not None:
        _log.warning(
            "Warning: %r in the state folder looks like a snapshot that was copied there, and is not root's (%r): it "
            "is left alone. A copy belongs into %s.",
            STATE_PREFIX,
            others.path,
            inbox_of(top.path),
        )
        return
    manifest = None
    if MANIFEST_FILE in rows:
        copied = _read_copied(top)
        manifest = _of_the_bucket(session, copied.snapshot)
        if manifest is None:
            place, inbox = top.path, inbox_of(top.path)
            raise Refused(
                f"Refused: the copy in {place} is of snapshot {copied.snapshot!r}, which this bucket does not have, "
                "so nobody can tell whether it is that. If it is yours: "
                f"mv {place}/{NESTED} {place}/{MANIFEST_FILE} {inbox}/"
            )
    _put_in_place(session, top, os.geteuid(), manifest, not_below=STATE_PREFIX)


def _put_in_place(
    session: Session, top: ConfinedDir, owner: int | None, manifest: Manifest | None, *, not_below: str = ""
) -> None:
    """Make the state what lies in an open folder: what the manifest says, or what is found."""
    settings, records = session.settings, session.records
    folder = settings.state_dir
    entries: Sequence[Entry]
    content: ContentSource
    if manifest is None:
        entries = tuple(_as_found(row) for row in _copied_rows(top) if _is_nested(row.path))
        _require_no_part(session, top, entries)
        content = FolderContent(top, owner, lambda entry: STATE_PREFIX + entry.path)
    else:
        # What a differential snapshot leaves in the folders of its bases was not copied.
        entries, in_bases = manifest.entries, BucketContent(session.bucket, _keys_in(manifest))
        content = CompletedFolder(FolderContent(top, owner), in_bases)
    require_room(disk_of(folder), entries)
    session.agent_dir.prepare()
    replacement = plan_replacement(session, entries, not_below=not_below)
    with staging_for(session.agent_dir.aside, folder) as building:
        try:
            built = rebuild(entries, content, building)
            report_not_restored(session, built.not_restored)
        except (CorruptObject, ObjectMissing, ObjectUnavailable) as problem:
            raise AgentError(
                f"The snapshot that was copied into {top.path} is not complete ({problem}); sync it again, or use "
                "openclaw-s3-restore.py run --snapshot NAME."
            ) from problem
    kept = activate(session, building, entries, replacement)
    known = records.latest() or LatestRecord(settings.bucket, "")
    if manifest is None:
        records.mark_latest_partial()
        records.forget_base()
        records.remember_latest(known)
    else:
        records.remember(replace(manifest, entries=built), known, BaseHeld.KNOWN_NOWHERE)
    name = manifest.snapshot if manifest else "a state without a manifest"
    where = "one folder too deep into the state" if not_below else f"into {top.path}"
    _log.info("Put %s in place, which was copied %s; what was there before is kept in %s.", name, where, kept)
    session.record.add(**{"repaired_nested_restore" if not_below else "restored_from_inbox": name})


def _keys_in(manifest: Manifest) -> Callable[[Entry], tuple[str, ...]]:
    return lambda entry: (snapshot_key(manifest.snapshot, entry),)


def _require_no_part(session: Session, top: ConfinedDir, entries: Sequence[Entry]) -> None:
    copies = Copies(
        top, {entry.path: entry.size for entry in entries if entry.kind is EntryKind.FILE}, below=STATE_PREFIX
    )
    try:
        require_no_part(known_manifests(session, None), copies, copies.sizes.keys(), None)
    except StoreError as problem:
        _log.warning("Whether the copy is only a part of a snapshot could not be looked up: %s", problem)


def _was_synced_here(top: ConfinedDir, rows: dict[str, WalkEntry], base: Manifest | None) -> bool:
    """Whether a snapshot's folder seems synced into the state folder, which may hold a `.openclaw/` of its own too."""
    known = base.by_path() if base else {}
    files = {path: row for path, row in rows.items() if row.kind is EntryKind.FILE}
    if MANIFEST_FILE in files and not _is_as_known(files[MANIFEST_FILE], known.get(MANIFEST_FILE)):
        with contextlib.suppress(OSError), _opened_manifest(top) as manifest:
            if manifest.read(len(MANIFEST_START)) == MANIFEST_START:
                return True
    # An upload without a manifest: the sync's --delete has left no other file, but for what a running gateway wrote
    # between the sync and its stop.
    nested = [row for path, row in files.items() if path.startswith(STATE_PREFIX)]
    if not nested or any(_is_as_known(row, known.get(row.path)) for row in nested):
        return False
    return all(map(_is_of_a_snapshot, files)) or (base is not None and _most_is_deleted(base, files))


def _copied_rows(top: ConfinedDir) -> Iterator[WalkEntry]:
    """What lies in the nested folder, which comes first, and what a snapshot has beside it."""
    found = walk(top.path, Exclusions(rules=())).found
    return (row for row in found if _is_nested(row.path) or row.path.split("/")[0] in OWN_NAMES)


def _is_nested(path: str) -> bool:
    return path == NESTED or path.startswith(STATE_PREFIX)


def _is_roots(row: WalkEntry) -> bool:
    """Whether nobody but root can have made it or written to it, and it has no other name."""
    shared = row.kind is EntryKind.FILE and row.shared_inode is not None
    open_to_others = row.kind is not EntryKind.SYMLINK and row.mode & _OTHERS_MAY_WRITE
    return row.uid == os.geteuid() and not shared and not open_to_others


def _is_of_a_snapshot(path: str) -> bool:
    return path.startswith(STATE_PREFIX) or path.split("/")[0] in OWN_NAMES


def _is_as_known(row: WalkEntry, known: Entry | None) -> bool:
    """Whether the last known state has this file, as it is now or of another owner than a copy's."""
    if known is None or known.kind is not EntryKind.FILE:
        return False
    return row.fingerprint.mtime_ns == known.mtime_ns or (row.uid == known.uid != 0)


def _most_is_deleted(base: Manifest, files: Container[str]) -> bool:
    """Whether most files of the last known state are gone."""
    outside = [entry.path for entry in base.files() if not entry.path.startswith(STATE_PREFIX)]
    return 2 * sum(path in files for path in outside) < len(outside)


def _of_the_bucket(session: Session, name: str) -> Manifest | None:
    """What the bucket says of the snapshot of that name, or None where it has none."""
    try:
        stored = read_manifest(session.bucket, snapshot_manifest_key(name))
    except ValueError:
        return None
    return stored.manifest if stored else None


def _read_copied(top: ConfinedDir) -> Manifest:
    place = top.path / MANIFEST_FILE
    try:
        with _opened_manifest(top) as lines:
            return decode_manifest(_bounded(lines), with_fingerprints=False)
    except (OSError, ManifestInvalid, ManifestTooNew) as problem:
        raise AgentError(
            f"The manifest {place} that was synced with the snapshot cannot be used ({problem}); sync it again."
        ) from problem


@contextlib.contextmanager
def _opened_manifest(top: ConfinedDir) -> Iterator[io.BufferedReader]:
    with os.fdopen(open_nofollow(ConfinedPath(top, MANIFEST_FILE)), "rb") as lines:
        yield lines


def _bounded(lines: io.BufferedReader) -> Iterator[bytes]:
    left = MOST_OF_A_MANIFEST
    while line := lines.readline(MOST_OF_A_LINE):
        left -= len(line)
        if left < 0 or (len(line) == MOST_OF_A_LINE and not line.endswith(b"\n")):
            raise ManifestInvalid("it is longer than any manifest")
        yield line


def _as_found(row: WalkEntry) -> Entry:
    """A path as it is; what root has copied there is nobody's: it becomes the gateway's, and readable by it alone."""
    nobodys = row.uid in (0, os.geteuid())
    uid, gid = (GATEWAY_UID, GATEWAY_UID) if nobodys else (row.uid, row.gid)
    mode = row.mode & 0o700 if nobodys and row.kind is not EntryKind.SYMLINK else row.mode
    size = row.fingerprint.size if row.kind is EntryKind.FILE else 0
    path = row.path.removeprefix(NESTED).removeprefix("/")
    return Entry(path, row.kind, mode, uid, gid, row.fingerprint.mtime_ns, size=size, target=row.target)
