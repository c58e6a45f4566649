"""Repairing the runbook's `aws s3 sync …/snapshots/<name>/ <state folder>/ --delete`, a restore one folder too deep.

The sync puts the snapshot's own `.openclaw/` and its manifest into the state folder, and deletes what was there.
"""

import contextlib
import logging
import os
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from openclaw_agent.agent_dir.records import BaseHeld, LatestRecord
from openclaw_agent.errors import AgentError, CorruptObject, ManifestInvalid
from openclaw_agent.restore.content import FolderContent
from openclaw_agent.restore.metadata import give_all_flags
from openclaw_agent.restore.restorer import report_not_restored
from openclaw_agent.restore.staying import plan_replacement, say_what_is_kept
from openclaw_agent.restore.tree import rebuild, require_room
from openclaw_agent.session import Session
from openclaw_agent.snapshot.codec import decode_manifest
from openclaw_agent.snapshot.keys import MANIFEST_FILE, OWN_NAMES, STATE_PREFIX
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from openclaw_agent.state_dir.staging import disk_of, staging_for
from openclaw_agent.state_dir.swap import swap_in
from openclaw_agent.state_dir.walk import WalkEntry, walk

_log = logging.getLogger(__name__)

MANIFEST_START = b'{"format":'


def repair_nested_sync(session: Session) -> None:
    """Finish the restore of a snapshot that was synced into the state folder; do nothing where none was.

    Raises:
        AgentError: when what was synced does not agree with its manifest.
    """
    settings, records = session.settings, session.records
    folder = settings.state_dir
    nested = folder / STATE_PREFIX.rstrip("/")
    if not nested.is_dir() or nested.is_symlink() or not _was_synced_here(folder, records.base()):
        return
    manifest = _nested_manifest(folder / MANIFEST_FILE)
    entries = _entries_as_found(nested) if manifest is None else manifest.entries
    content = FolderContent(nested, lambda entry: entry.path) if manifest is None else FolderContent(folder)
    require_room(disk_of(folder), entries)
    replacement = plan_replacement(session, entries, not_below=STATE_PREFIX)
    with staging_for(session.agent_dir.aside, folder) as building:
        try:
            built = rebuild(entries, content, building)
            report_not_restored(session, built.not_restored)
        except CorruptObject as problem:
            raise AgentError(
                f"The snapshot synced into {folder} is not complete ({problem}); sync it again, or use "
                "openclaw-s3-restore.py run --snapshot NAME."
            ) from problem
    kept = swap_in(session.agent_dir.aside, building, folder, replacement)
    say_what_is_kept(replacement, kept)
    report_not_restored(session, give_all_flags(folder, entries))
    known = records.latest() or LatestRecord(settings.bucket, "")
    if manifest is None:
        records.mark_latest_partial()
        records.forget_base()
        records.remember_latest(known)
    else:
        records.remember(replace(manifest, entries=built), known, BaseHeld.KNOWN_NOWHERE)
    name = manifest.snapshot if manifest else "a state without a manifest"
    _log.info(
        "Finished the restore of %s that lay one folder too deep; what was there before is kept in %s.", name, kept
    )
    session.record.add(repaired_nested_restore=name)


def _was_synced_here(folder: Path, base: Manifest | None) -> bool:
    """Whether a snapshot's folder was synced into the state folder, which may hold a `.openclaw/` of its own too."""
    known = base.by_path() if base else {}
    files = {row.path: row for row in walk(folder, Exclusions()).found if row.kind is EntryKind.FILE}
    if MANIFEST_FILE in files and not _is_as_known(files[MANIFEST_FILE], known.get(MANIFEST_FILE)):
        with contextlib.suppress(OSError), (folder / MANIFEST_FILE).open("rb") as manifest:
            if manifest.read(len(MANIFEST_START)) == MANIFEST_START:
                return True
    # An upload without a manifest: the sync's --delete has left no other file, but for what a running gateway wrote
    # between the sync and its stop.
    nested = [row for path, row in files.items() if path.startswith(STATE_PREFIX)]
    if not nested or any(_is_as_known(row, known.get(row.path)) for row in nested):
        return False
    if base is None:
        # What a gateway has made there before the first backup is its own; the sync of an operator is root's.
        return all(map(_is_of_a_snapshot, files)) and (os.geteuid() != 0 or all(row.uid == 0 for row in nested))
    return all(map(_is_of_a_snapshot, files)) or _most_is_deleted(base, files)


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


def _nested_manifest(path: Path) -> Manifest | None:
    try:
        with path.open("rb") as lines:
            return decode_manifest(lines)
    except FileNotFoundError:
        return None
    except (OSError, ManifestInvalid) as problem:
        raise AgentError(
            f"The manifest {path} that was synced with the snapshot cannot be used ({problem}); sync it again."
        ) from problem


def _entries_as_found(nested: Path) -> tuple[Entry, ...]:
    found = walk(nested, Exclusions(rules=())).found
    return tuple(_as_found(row) for row in found)


def _as_found(row: WalkEntry) -> Entry:
    """A path as it is; what root has copied there is nobody's: it becomes the gateway's, and readable by it alone."""
    nobodys = row.uid in (0, os.geteuid())
    uid, gid = (GATEWAY_UID, GATEWAY_UID) if nobodys else (row.uid, row.gid)
    mode = row.mode & 0o700 if nobodys and row.kind is not EntryKind.SYMLINK else row.mode
    size = row.fingerprint.size if row.kind is EntryKind.FILE else 0
    return Entry(row.path, row.kind, mode, uid, gid, row.fingerprint.mtime_ns, size=size, target=row.target)
