"""Restoring single files or folders out of a restore point."""

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from openclaw_agent.errors import AgentError, LocalStorageError, UsageError
from openclaw_agent.restore.rebuild import rebuild, require_room
from openclaw_agent.restore.restorer import OpenPoint, Restorer
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot.manifest import Entry, EntryKind, path_order
from openclaw_agent.sqlite.files import COMPANION_SUFFIXES, LOG_SUFFIXES
from openclaw_agent.state_dir.parents import opened_parent, require_real_parents
from openclaw_agent.state_dir.staging import PREVIOUS_INFIX, staging_beside
from openclaw_agent.state_dir.target import staging_at
from openclaw_agent.state_dir.walk import require_state_folder


def restore_paths_to(restorer: Restorer, snapshot: str | None, paths: Sequence[str], target: Path) -> None:
    """Build `paths` (relative to the state folder) in a folder (see `resolve_target`); the state is not looked at.

    Raises:
        UsageError: when a path is absolute or climbs out of the state folder.
        AgentError: when the restore point does not hold it.
    """
    point, _, chosen = _chosen(restorer, snapshot, _cleaned(paths))
    with staging_at(target) as building:
        _build(restorer, point, chosen, building)


def restore_paths(settings: Settings, restorer: Restorer, snapshot: str | None, paths: Sequence[str]) -> Path | None:
    """Bring `paths` (relative to the state folder) back; return the folder in which what they replaced is kept.

    Raises:
        UsageError: when a path is absolute or climbs out of the state folder.
        Refused: when a folder on the way is a symlink or a file.
        AgentError: when the restore point does not hold it, or there is no state folder.
    """
    wanted = _cleaned(paths)
    require_state_folder(settings.state_dir)
    point, wanted, chosen = _chosen(restorer, snapshot, wanted)
    for path in wanted:
        require_real_parents(settings.state_dir, path)
    known = {entry.path: entry for entry in chosen}
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    kept = settings.state_dir.with_name(f"{settings.state_dir.name}{PREVIOUS_INFIX}{stamp}")
    with staging_beside(settings.state_dir) as building:
        _build(restorer, point, chosen, building)
        for path in wanted:
            _move_in(building, settings.state_dir, known[path], kept)
    shutil.rmtree(building, ignore_errors=True)
    return kept if kept.exists() else None


def _cleaned(paths: Sequence[str]) -> list[str]:
    """The paths, each once, without those that lie in another one: they come back with it."""
    unique = dict.fromkeys(_clean(path) for path in paths)
    return [path for path in unique if not any(path.startswith(f"{other}/") for other in unique)]


def _clean(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not parts:
        raise UsageError(
            f"--path {path!r} is not allowed: it must be relative to the state folder, like workspace/notes.md."
        )
    return "/".join(parts)


def _chosen(restorer: Restorer, snapshot: str | None, paths: Sequence[str]) -> tuple[OpenPoint, list[str], list[Entry]]:
    """The restore point, what is wanted of it, and the entries with the folders they are in."""
    point = restorer.with_manifest(snapshot)
    known = point.manifest.by_path()
    wanted = [name for path in paths for name in (path, *_logs_of(path, known))]
    chosen: dict[str, Entry] = {"": replace(known[""], mode=0o700)}
    for path in wanted:
        if path not in known:
            raise AgentError(f"The snapshot {point.manifest.snapshot} holds no {path!r}.")
        parts = path.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            chosen[parent] = known[parent]
        chosen[path] = known[path]
        if known[path].kind is EntryKind.DIR:
            chosen.update((name, entry) for name, entry in known.items() if name.startswith(path + "/"))
    return point, wanted, sorted(chosen.values(), key=lambda entry: path_order(entry.path))


def _logs_of(path: str, known: Mapping[str, Entry]) -> list[str]:
    # Of a database that could not be folded, a part is in its log.
    if path not in known or not known[path].database:
        return []
    return [path + suffix for suffix in LOG_SUFFIXES if path + suffix in known]


def _build(restorer: Restorer, point: OpenPoint, chosen: list[Entry], building: Path) -> None:
    require_room(building, chosen)
    rebuild(chosen, restorer.content(point.keys_of), building)
    restorer.report_skipped_copies(point.manifest)


def _move_in(building: Path, state_dir: Path, entry: Entry, kept: Path) -> None:
    """Put one path in place of what is there, which is put there again if that fails."""
    folder, _, name = entry.path.rpartition("/")
    # A log that stays beside a restored database would corrupt it.
    names = [name, *(name + suffix for suffix in COMPANION_SUFFIXES if entry.database)]
    moved: list[str] = []
    try:
        with opened_parent(state_dir, entry.path, building) as parent:
            try:
                for old in filter(lambda old: _is_there(old, parent), names):
                    (kept / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
                    os.rename(old, kept / folder / old, src_dir_fd=parent)
                    moved.append(old)
                os.rename(building / entry.path, name, dst_dir_fd=parent)
            except OSError:
                for old in moved:
                    os.rename(kept / folder / old, old, dst_dir_fd=parent)
                _remove_empty(kept, folder)
                raise
    except OSError as problem:
        others = f" What other paths have replaced is kept in {kept}." if kept.exists() else ""
        raise LocalStorageError(
            f"{entry.path!r} cannot be put in place ({problem.strerror}); what was there is untouched.{others}"
        ) from problem


def _is_there(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _remove_empty(kept: Path, folder: str) -> None:
    with contextlib.suppress(OSError):
        place = kept / folder
        while place != kept.parent:
            place.rmdir()
            place = place.parent
