"""The last look at the state folder before the gateway starts on it."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from openclaw_agent.bucket_layout import DAMAGED_PREFIX, QUARANTINED_FILE, RESERVED_FILE
from openclaw_agent.errors import (
    AgentError,
    CorruptObject,
    LocalStorageError,
    ManifestInvalid,
    NotOwner,
    Refused,
    StoreError,
)
from openclaw_agent.exclusions import Exclusions
from openclaw_agent.identity import boot_id
from openclaw_agent.local_memory import BootRecord, LatestRecord, LocalMemory
from openclaw_agent.manifest import ENCODED_PREFIX, STATE_PREFIX, Entry, EntryKind, Manifest
from openclaw_agent.manifest_text import decode_manifest
from openclaw_agent.object_store import ObjectStore
from openclaw_agent.owner_record_store import read_ownership
from openclaw_agent.ownership import OWNER_KEY
from openclaw_agent.rebuild import FolderContent, rebuild, require_room
from openclaw_agent.restore_points import GATEWAY_UID
from openclaw_agent.restore_workspace import fresh_building_folder, put_in_place
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot_names import MANIFEST_FILE
from openclaw_agent.tree_walk import walk

MANIFEST_START = b'{"format":'
# docker-compose.yaml mounts it at ~/.config/openclaw: the key that opens stored auth profiles is part of the state.
AUTH_KEY_FOLDER = ".config/openclaw"
SNAPSHOT_PARTS = frozenset(
    {
        MANIFEST_FILE,
        RESERVED_FILE,
        QUARANTINED_FILE,
        *(part.rstrip("/") for part in (STATE_PREFIX, ENCODED_PREFIX, DAMAGED_PREFIX)),
    }
)


def prepare_start(settings: Settings, store: ObjectStore, log: RunLog) -> None:
    """Let the gateway start only on a state that is in order. The lock must be held.

    The runbook's `aws s3 sync …/snapshots/<name>/ <state folder>/ --delete` puts the snapshot's own `.openclaw/` and
    manifest into the state folder; that is a restore one folder too deep, and is finished here.

    Raises:
        Refused: when this boot's restore has not finished, or the state is gone though backups exist.
        NotOwner: when another instance owns the bucket by now.
        AgentError: when a nested restore does not agree with its manifest.
    """
    memory = LocalMemory(settings.agent_dir)
    boot = memory.boot()
    if boot is None or not boot.restored or boot.boot_id != boot_id():
        raise Refused(
            "The gateway must not start: this boot's restore has not finished; see "
            "journalctl -u openclaw-s3-restore.service."
        )
    _require_ownership(store, boot, log)
    folder = settings.state_dir
    nested = folder / STATE_PREFIX.rstrip("/")
    if nested.is_dir() and not nested.is_symlink() and _was_synced_here(folder):
        _finish_nested_restore(settings, memory, folder, nested, log)
    base = memory.base()
    held = base.counted().file_count if base else 0
    if held and (not folder.is_dir() or not any(folder.iterdir())):
        raise Refused(
            f"The gateway must not start: the state folder {folder} is empty or missing, the last backup held {held} "
            "files. Bring them back with openclaw-s3-restore.py, or start afresh with "
            "openclaw-s3-backup.py --accept-shrink after mkdir."
        )
    if settings.on_instance:
        _provide_auth_key_folder(folder)


def _provide_auth_key_folder(state_dir: Path) -> None:
    folder = state_dir
    for part in AUTH_KEY_FOLDER.split("/"):
        folder /= part
        try:
            folder.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(folder, GATEWAY_UID, GATEWAY_UID)
        except FileExistsError:
            # What is mounted into the container must not be of the container's choosing.
            if folder.is_symlink() or not folder.is_dir():
                raise Refused(
                    f"The gateway must not start: {folder} is no folder, and it is mounted into the gateway's "
                    "container; move it away."
                ) from None
        except OSError as problem:
            raise LocalStorageError(f"The folder {folder} cannot be made ({problem.strerror}).") from problem


def _require_ownership(store: ObjectStore, boot: BootRecord, log: RunLog) -> None:
    try:
        owner = read_ownership(store)
    except StoreError as problem:
        # The state is here and in order; an outage of S3 must not keep a restarted gateway down.
        log.say(f"Ownership could not be checked: {problem}")
        return
    if owner is None or not owner.record.is_current(boot.epoch, boot.instance_id):
        raise NotOwner(
            "The gateway must not start: another instance owns the bucket now. Stop this instance, or run "
            "openclaw-s3-restore.py --boot to take over."
        )
    if owner.record.released:
        # A final backup has let go, and yet the gateway is started again on this instance.
        store.put(OWNER_KEY, replace(owner.record, released=False).encode(), if_match=owner.etag)
        log.say("Took the released bucket back.")


def _was_synced_here(folder: Path) -> bool:
    """Whether a snapshot's folder was synced into the state folder, which may hold a `.openclaw/` of its own too."""
    with contextlib.suppress(OSError), (folder / MANIFEST_FILE).open("rb") as manifest:
        if manifest.read(len(MANIFEST_START)) == MANIFEST_START:
            return True
    # An upload without a manifest: the sync's --delete has left no other file.
    found = walk(folder, Exclusions()).found
    return all(row.path.split("/")[0] in SNAPSHOT_PARTS for row in found if row.kind is EntryKind.FILE)


def _finish_nested_restore(settings: Settings, memory: LocalMemory, folder: Path, nested: Path, log: RunLog) -> None:
    manifest = _nested_manifest(folder / MANIFEST_FILE)
    entries = _entries_as_found(nested) if manifest is None else manifest.entries
    building = fresh_building_folder(folder)
    require_room(building.parent, entries)
    try:
        built = rebuild(entries, FolderContent(folder), building)
    except CorruptObject as problem:
        raise AgentError(
            f"The snapshot synced into {folder} is not whole ({problem}); sync it again, or use "
            "openclaw-s3-restore.py --snapshot NAME."
        ) from problem
    kept = put_in_place(building, folder)
    if manifest is None:
        memory.latest_is_being_written()
        memory.forget_base()
        memory.remember_latest(memory.latest() or LatestRecord(settings.bucket, ""))
    else:
        known = memory.latest() or LatestRecord(settings.bucket, "")
        memory.remember(replace(manifest, entries=built), known, latest_holds_base=False, snapshot_holds_base=False)
    name = manifest.snapshot if manifest else "a state without a manifest"
    log.say(f"Finished the restore of {name} that lay one folder too deep; what was there before is kept in {kept}.")
    log.add(mended_nested_restore=name)


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
