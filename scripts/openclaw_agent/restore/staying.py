"""What only the disk has, and so stays where it is when a restore replaces what is around it.

S3 does not have what the rules leave out, what is no file, and what is mounted. A restore in place never ends it: it
stays; or, where the restore point has something else in its place, it is put aside and kept; or the restore is refused
before anything is downloaded.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openclaw_agent.errors import Refused
from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath
from openclaw_agent.fs.mounts import mounts_below
from openclaw_agent.session import Session
from openclaw_agent.snapshot.manifest import Entry, EntryKind
from openclaw_agent.sqlite.files import is_database, is_sidecar, sidecar_base
from openclaw_agent.state_dir.exclusions import CONFIGURED, Exclusions
from openclaw_agent.state_dir.swap import ALL, Replacement
from openclaw_agent.state_dir.walk import open_state_folder, walk_left_out

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OnDiskOnly:
    """Paths that a backup leaves out: mounts; what nobody can make again; and what OpenClaw rebuilds."""

    mounts: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()
    rebuilt: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Wanted:
    """What the restore point has at the paths that are asked about, and below them."""

    kinds: dict[str, EntryKind] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    databases: set[str] = field(default_factory=set)

    def collides(self, path: str) -> bool:
        """Whether the restore point has something in place of a folder that is on the disk, or in it."""
        return self._is_other_than_folder(path) or any(map(self._is_other_than_folder, _folders_of(path)))

    def _is_other_than_folder(self, path: str) -> bool:
        return self.kinds.get(path, EntryKind.DIR) is not EntryKind.DIR


def plan_replacement(
    session: Session, entries: Iterable[Entry], targets: tuple[str, ...] = ALL, *, not_below: str = ""
) -> Replacement:
    """What a restore of `entries` into the state folder replaces, and what stays.

    `targets` are the paths that are replaced ("" for all); what lies below the folder `not_below` came out of S3.

    Raises:
        Refused: when a mount is in the way.
        AgentError: when a folder of the state cannot be read.
    """
    state_dir = session.settings.state_dir
    found = on_disk_only(state_dir, session.exclusions)
    if not_below:
        found = OnDiskOnly(
            found.mounts,
            frozenset(path for path in found.kept if not path.startswith(not_below)),
            frozenset(path for path in found.rebuilt if not path.startswith(not_below)),
        )
    wanted = _look_up(entries, {*found.mounts, *found.kept, *found.rebuilt, *targets})
    mounts = _mounts_that_stay(state_dir, found.mounts, targets, wanted)
    stay = set(mounts)
    only_copies: set[str] = set()
    if state_dir.is_dir():
        with open_state_folder(state_dir) as top:
            only_copies = _sort_out(top, found, targets, wanted, stay)
    # What lies in a folder that stays, stays with it.
    topmost = frozenset(path for path in stay if stay.isdisjoint(_folders_of(path)))
    return Replacement(targets, topmost, tuple(sorted(only_copies)))


def _sort_out(
    top: ConfinedDir, found: OnDiskOnly, targets: tuple[str, ...], wanted: _Wanted, stay: set[str]
) -> set[str]:
    """Add to `stay` what may; return what has to make room and is in no backup."""
    only_copies = {
        target
        for target in targets
        if any(folder in found.kept for folder in _folders_of(target)) and top.is_there(target)
    }
    for path in filter(lambda path: _is_replaced(path, targets), found.kept):
        (stay if _may_stay(top, path, wanted) else only_copies).add(path)
    for path in filter(lambda path: _is_replaced(path, targets), found.rebuilt):
        folder = path.rpartition("/")[0]
        comes_back = not folder or wanted.kinds.get(folder) is EntryKind.DIR
        if comes_back and _may_stay(top, path, wanted):
            stay.add(path)
    return only_copies


def on_disk_only(state_dir: Path, exclusions: Exclusions) -> OnDiskOnly:
    """What the state folder holds that no backup has."""
    if not state_dir.is_dir():
        return OnDiskOnly()
    tree = walk_left_out(state_dir, exclusions)
    # Of what cannot be read nobody knows what S3 has of it.
    left_out = {row.path: row.reason for row in (*tree.excluded, *tree.skipped, *tree.unreadable)}
    with open_state_folder(state_dir) as top:
        # A sidecar goes where its database goes, whatever the rules say of its name.
        for row in (*tree.found, *tree.withheld):
            base = sidecar_base(row.path) or ""
            database = ConfinedPath(top, base)
            if is_database(database) and is_sidecar(database, row.path.removeprefix(base)):
                if base in left_out:
                    left_out[row.path] = left_out[base]
                else:
                    left_out.pop(row.path, None)
    by_rule = {row.path for row in tree.excluded if row.reason != CONFIGURED}
    mounts = mounts_below(state_dir)
    kept = {path for path, reason in left_out.items() if path not in by_rule and path not in mounts}
    return OnDiskOnly(mounts, frozenset(kept), frozenset(by_rule & left_out.keys()))


def _look_up(entries: Iterable[Entry], paths: set[str]) -> _Wanted:
    asked = {*paths, *(folder for path in paths for folder in _folders_of(path))}
    bases = {base for path in paths if (base := sidecar_base(path)) is not None}
    wanted = _Wanted()
    for entry in entries:
        if entry.path in asked:
            wanted.kinds[entry.path] = entry.kind
        if entry.database and entry.path in bases:
            wanted.databases.add(entry.path)
        folder = entry.path.rpartition("/")[0]
        while folder:
            if folder in paths:
                wanted.held[folder] = wanted.held.get(folder, 0) + 1
            folder = folder.rpartition("/")[0]
    return wanted


def _may_stay(top: ConfinedDir, path: str, wanted: _Wanted) -> bool:
    # A log beside a database that is not its own would corrupt it.
    if wanted.collides(path) or wanted.held.get(path) or sidecar_base(path) in wanted.databases:
        return False
    return path not in wanted.kinds or top.is_folder(path)


def _mounts_that_stay(
    state_dir: Path, mounts: Iterable[str], targets: tuple[str, ...], wanted: _Wanted
) -> Iterator[str]:
    for mount in mounts:
        inner = next((target for target in targets if target == mount or target.startswith(f"{mount}/")), None)
        held = wanted.held.get(mount, 0)
        if inner is not None or (_is_replaced(mount, targets) and (held or wanted.collides(mount))):
            place = state_dir / mount
            raise Refused(
                f"Refused: something is mounted at {str(place)!r}, where the restore point has something of its own; "
                f"nothing was changed. Unmount it first (umount '{place}'), or restore beside it with --to DIR."
            )
        if _is_replaced(mount, targets):
            yield mount


def _is_replaced(path: str, targets: tuple[str, ...]) -> bool:
    """Whether it lies in what is replaced."""
    return any(not target or path == target or path.startswith(f"{target}/") for target in targets)


def _folders_of(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def say_what_is_kept(replacement: Replacement, previous: Path | None) -> None:
    """Tell of what is in no backup and could not stay."""
    if replacement.only_copies and previous is not None:
        first, more = replacement.only_copies[0], len(replacement.only_copies) - 1
        _log.warning(
            "Warning: %r%s had to make room for what was restored, and %s in no backup: it stays in %s.",
            first,
            f" and {more} more" if more else "",
            "are" if more else "is",
            previous,
        )
