"""Restoring single files or folders out of a restore point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_agent.catalog.choice import Wanted
from openclaw_agent.catalog.reader import CatalogReader, OpenPoint
from openclaw_agent.errors import AgentError, StoreError, UsageError
from openclaw_agent.restore.activation import activate, report_not_restored
from openclaw_agent.restore.content import BucketContent
from openclaw_agent.restore.metadata import give_all_flags
from openclaw_agent.restore.restorer import Finished, report_skipped_copies
from openclaw_agent.restore.staying import plan_replacement
from openclaw_agent.restore.tree import rebuild, require_room
from openclaw_agent.session import Session
from openclaw_agent.snapshot.manifest import Entry, EntryKind, path_order
from openclaw_agent.sqlite.files import LOG_SUFFIXES, SIDECAR_SUFFIXES
from openclaw_agent.state_dir.parents import require_real_parents
from openclaw_agent.state_dir.staging import staging_at, staging_for
from openclaw_agent.state_dir.walk import require_state_folder


@dataclass(frozen=True, slots=True)
class PathSource:
    """Which paths (relative to the state folder) of which restore point; `finished` is told the bytes of each file."""

    reader: CatalogReader
    wanted: Wanted
    paths: Sequence[str]
    finished: Finished = lambda _bytes: None


def restore_paths_to(session: Session, source: PathSource, target: Path) -> None:
    """Build the paths in a folder (see `resolve_target`); the state folder is not looked at.

    Raises:
        UsageError: when a path is absolute or climbs out of the state folder.
        AgentError: when the restore point does not hold it.
    """
    point, _, chosen = _chosen(source, _cleaned(source.paths))
    with staging_at(target) as building:
        _build(session, source, point, chosen, building)
    report_not_restored(session, give_all_flags(target, chosen))


def restore_paths(session: Session, source: PathSource) -> Path | None:
    """Bring the paths back; return the folder in which what they replaced is kept.

    Raises:
        UsageError: when a path is absolute or climbs out of the state folder.
        Refused: when a folder on the way is a symlink or a file.
        AgentError: when the restore point does not hold it, or there is no state folder.
    """
    state_dir = session.settings.state_dir
    cleaned = _cleaned(source.paths)
    require_state_folder(state_dir)
    point, paths, chosen = _chosen(source, cleaned)
    for path in paths:
        require_real_parents(state_dir, path)
    known = {entry.path: entry for entry in chosen}
    targets = tuple(dict.fromkeys(name for path in paths for name in _with_sidecars(known[path])))
    replacement = plan_replacement(session, chosen, targets)
    with staging_for(session.agent_dir.aside, state_dir) as building:
        _build(session, source, point, chosen, building)
    return activate(session, building, chosen, replacement)


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


def _chosen(source: PathSource, paths: Sequence[str]) -> tuple[OpenPoint, list[str], list[Entry]]:
    """The restore point, what is wanted of it, and the entries with the folders they are in."""
    point = source.reader.with_manifest(source.wanted)
    known = point.manifest.by_path()
    wanted = [name for path in paths for name in (path, *_logs_of(path, known))]
    chosen: dict[str, Entry] = {"": replace(known[""], mode=0o700)}
    for path in wanted:
        if path not in known:
            raise AgentError(
                f"The snapshot {point.manifest.snapshot} holds no {path!r}; openclaw-s3-restore.py list names the "
                "others, and --snapshot NAME takes it from one of them."
            )
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


def _with_sidecars(entry: Entry) -> list[str]:
    # A log that stays beside a restored database would corrupt it.
    return [entry.path, *(entry.path + suffix for suffix in SIDECAR_SUFFIXES if entry.database)]


def _build(session: Session, source: PathSource, point: OpenPoint, chosen: list[Entry], building: Path) -> None:
    require_room(building, chosen)
    skipped: list[StoreError] = []
    content = BucketContent(session.bucket, point.keys_of, source.finished, skipped.append, source.reader.elsewhere)
    built = rebuild(chosen, content, building)
    report_not_restored(session, built.not_restored)
    report_skipped_copies(session, point.manifest, tuple(skipped))
