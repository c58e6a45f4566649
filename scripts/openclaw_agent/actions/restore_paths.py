"""Restoring single files or folders out of a restore point."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from openclaw_agent.actions.restore import Restorer
from openclaw_agent.errors import AgentError, LocalStorageError, UsageError
from openclaw_agent.manifest import Entry, EntryKind, Manifest
from openclaw_agent.rebuild import rebuild, require_room
from openclaw_agent.restore_workspace import PREVIOUS_INFIX, fresh_building_folder, put_in_place
from openclaw_agent.settings import Settings


def restore_paths(
    settings: Settings,
    restorer: Restorer,
    snapshot: str | None,
    paths: Sequence[str],
    target: Path | None,
) -> Path | None:
    """Bring `paths` (relative to the state folder) back; return the folder in which what they replaced is kept.

    With `target` they are built in that new or empty folder, and nothing is replaced.

    Raises:
        UsageError: when a path is absolute or climbs out of the state folder.
        AgentError: when the restore point does not hold it.
    """
    _choice, manifest, keys_of = restorer.manifest_of(snapshot)
    wanted = [_clean(path) for path in paths]
    chosen = _chosen_entries(manifest, wanted)
    if target is not None and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"The folder {target} is not empty; --to needs an empty or new folder.")
    place = target or settings.state_dir
    building = fresh_building_folder(place)
    require_room(building.parent, chosen)
    rebuild(chosen, restorer.content(keys_of), building)
    restorer.tell_of_passed_over(manifest)
    if target is not None:
        if target.exists():
            target.rmdir()
        put_in_place(building, target)
        return None
    return _move_in(building, settings.state_dir, wanted)


def _clean(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not parts:
        raise UsageError(
            f"--path {path!r} is not allowed: it must be relative to the state folder, like workspace/notes.md."
        )
    return "/".join(parts)


def _chosen_entries(manifest: Manifest, wanted: Sequence[str]) -> list[Entry]:
    known = manifest.by_path()
    chosen: dict[str, Entry] = {"": replace(known[""], mode=0o700)}
    for path in wanted:
        if path not in known:
            raise AgentError(f"The snapshot {manifest.snapshot} holds no {path!r}.")
        parts = path.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            chosen[parent] = known[parent]
        chosen[path] = known[path]
        if known[path].kind is EntryKind.DIR:
            chosen.update((name, entry) for name, entry in known.items() if name.startswith(path + "/"))
    return sorted(chosen.values(), key=lambda entry: entry.path.split("/"))


def _move_in(building: Path, state_dir: Path, wanted: Sequence[str]) -> Path | None:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    kept = state_dir.with_name(f"{state_dir.name}{PREVIOUS_INFIX}{stamp}")
    try:
        for path in wanted:
            place = state_dir / path
            _create_parents(building, state_dir, path)
            companions = [place.with_name(place.name + suffix) for suffix in ("-wal", "-shm", "-journal")]
            for old in (place, *companions):
                # A log that stays beside a restored database would corrupt it.
                if old.is_symlink() or old.exists():
                    aside = kept / old.relative_to(state_dir)
                    aside.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    old.rename(aside)
            (building / path).rename(place)
        shutil.rmtree(building, ignore_errors=True)
    except OSError as problem:
        raise LocalStorageError(
            f"{str(problem.filename)!r} cannot be put in place ({problem.strerror}); what was moved away is in {kept}."
        ) from problem
    return kept if kept.exists() else None


def _create_parents(building: Path, state_dir: Path, path: str) -> None:
    parts = path.split("/")
    for depth in range(1, len(parts)):
        parent = "/".join(parts[:depth])
        if not (state_dir / parent).exists():
            made = building / parent
            status = made.stat()
            (state_dir / parent).mkdir()
            if os.geteuid() == 0:
                # The gateway, an ordinary user, must be able to write where it could before.
                os.chown(state_dir / parent, status.st_uid, status.st_gid)
            (state_dir / parent).chmod(status.st_mode & 0o7777)
