"""Repairing the runbook's `aws s3 sync …/snapshots/<name>/ <state folder>/ --delete`, a restore one folder too deep.

The sync puts the snapshot's own `.openclaw/` and its manifest into the state folder, and deletes what was there.
"""

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from openclaw_agent.agent_dir.records import BaseHeld, LatestRecord
from openclaw_agent.errors import AgentError, CorruptObject, ManifestInvalid
from openclaw_agent.restore.content import FolderContent
from openclaw_agent.restore.tree import rebuild, require_room
from openclaw_agent.session import Session
from openclaw_agent.snapshot.codec import decode_manifest
from openclaw_agent.snapshot.keys import MANIFEST_FILE, OWN_NAMES, STATE_PREFIX
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Fingerprint, Manifest
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from openclaw_agent.state_dir.staging import staging_beside, swap_in
from openclaw_agent.state_dir.walk import walk

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
    require_room(folder.parent, entries)
    with staging_beside(folder) as building:
        try:
            built = rebuild(entries, FolderContent(folder), building)
        except CorruptObject as problem:
            raise AgentError(
                f"The snapshot synced into {folder} is not complete ({problem}); sync it again, or use "
                "openclaw-s3-restore.py run --snapshot NAME."
            ) from problem
        kept = swap_in(building, folder)
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
    with contextlib.suppress(OSError), (folder / MANIFEST_FILE).open("rb") as manifest:
        if manifest.read(len(MANIFEST_START)) == MANIFEST_START:
            return True
    # An upload without a manifest: the sync's --delete has left no other file, but for what a running gateway wrote
    # between the sync and its stop.
    files = {row.path: row.fingerprint for row in walk(folder, Exclusions()).found if row.kind is EntryKind.FILE}
    if not any(path.startswith(STATE_PREFIX) for path in files):
        return False
    if all(_is_of_a_snapshot(path) for path in files):
        return True
    return base is not None and _most_is_deleted(base, files)


def _is_of_a_snapshot(path: str) -> bool:
    return path.startswith(STATE_PREFIX) or path.split("/")[0] in OWN_NAMES


def _most_is_deleted(base: Manifest, files: Mapping[str, Fingerprint]) -> bool:
    """Whether most files of the last known state are gone, and those in `.openclaw/` are none of it."""
    outside = [entry.path for entry in base.files() if not entry.path.startswith(STATE_PREFIX)]
    own_folder = any(
        entry.path.startswith(STATE_PREFIX) and (now := files.get(entry.path)) and now.mtime_ns == entry.mtime_ns
        for entry in base.files()
    )
    return not own_folder and 2 * sum(path in files for path in outside) < len(outside)


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
    entries: list[Entry] = []
    for place, folders, files in os.walk(nested):
        relative = os.path.relpath(place, nested)
        path = "" if relative == "." else relative
        status = Path(place).lstat()
        entries.append(Entry(path, EntryKind.DIR, 0o700, GATEWAY_UID, GATEWAY_UID, status.st_mtime_ns))
        folders.sort()
        for name in sorted(files):
            found = Path(place) / name
            status = found.lstat()
            entries.append(
                Entry(
                    f"{path}/{name}" if path else name,
                    EntryKind.FILE,
                    0o600,
                    GATEWAY_UID,
                    GATEWAY_UID,
                    status.st_mtime_ns,
                    size=status.st_size,
                )
            )
    return tuple(entries)
