"""Walking the state folder: everything that is there, what is left out and why, whatever changes meanwhile."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from openclaw_agent.errors import AgentError
from openclaw_agent.exclusions import Exclusions
from openclaw_agent.manifest import Entry, EntryKind, Fingerprint, LeftOut, path_order, shared

NOTHING_KNOWN: Mapping[str, Entry] = MappingProxyType({})

_SPECIAL_KINDS = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One path of the tree with its metadata as lstat gave it."""

    path: str
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    fingerprint: Fingerprint
    target: str = ""


@dataclass(slots=True)
class Tree:
    """One walk's result; `found` is sorted by path, parents first."""

    found: list[Found] = field(default_factory=list)
    excluded: list[LeftOut] = field(default_factory=list)
    skipped: list[LeftOut] = field(default_factory=list)

    def file_count(self) -> int:
        """How many regular files there are."""
        return sum(1 for row in self.found if row.kind is EntryKind.FILE)


def require_state_folder(root: Path) -> None:
    """Refuse a state folder that is missing or no folder.

    Raises:
        AgentError: naming what is there instead.
    """
    if not root.exists():
        raise AgentError(f"The state folder {root} does not exist; restore it with openclaw-s3-restore.py.")
    if not root.is_dir():
        raise AgentError(f"The state folder {root} is a file; move it away and restore with openclaw-s3-restore.py.")


def walk(root: Path, exclusions: Exclusions, known: Mapping[str, Entry] = NOTHING_KNOWN) -> Tree:
    """List the tree below `root` without following symlinks; what vanishes on the way is not there.

    Files that are as in `known` share its fingerprints and paths, which is most of what a large tree takes in memory.

    Raises:
        AgentError: when a folder that exists cannot be read: leaving it out would look like its deletion.
    """
    tree = Tree()
    require_state_folder(root)
    top = os.lstat(root)
    tree.found.append(_found("", EntryKind.DIR, top))
    pending = [""]
    while pending:
        folder = pending.pop()
        for name, status in _list_folder(root, folder):
            path = f"{folder}/{name}" if folder else name
            kind = stat.S_IFMT(status.st_mode)
            is_folder = kind == stat.S_IFDIR
            reason = exclusions.reason_for(path, is_folder=is_folder)
            if reason is not None:
                tree.excluded.append(LeftOut(path, reason))
            elif is_folder:
                tree.found.append(_found(path, EntryKind.DIR, status))
                pending.append(path)
            elif kind == stat.S_IFREG:
                tree.found.append(_found_file(path, status, known.get(path)))
            elif kind == stat.S_IFLNK:
                try:
                    target = os.readlink(root / path)  # noqa: PTH115 - Path.readlink would tidy the target up
                except OSError:
                    continue
                tree.found.append(_found(path, EntryKind.SYMLINK, status, target))
            else:
                tree.skipped.append(LeftOut(path, _SPECIAL_KINDS.get(kind, "no regular file")))
    # Sorting part by part keeps a folder before what is in it: "a" < "a/b" < "a.c" does not hold for plain strings.
    tree.found.sort(key=lambda row: path_order(row.path))
    return tree


def _list_folder(root: Path, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(root / folder) as listing:
            for item in listing:
                try:
                    status = item.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield item.name, status
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as problem:
        raise AgentError(
            f"The folder {str(root / folder)!r} cannot be read ({problem.strerror}); run as root or mend its mode."
        ) from problem


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """What lstat says that changes when the file does."""
    return Fingerprint(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _found_file(path: str, status: os.stat_result, known: Entry | None) -> Found:
    found = _found(path, EntryKind.FILE, status)
    if known is None or known.fingerprint is None or known.fingerprint != found.fingerprint:
        return found
    return replace(found, path=known.path, fingerprint=known.fingerprint)


def _found(path: str, kind: EntryKind, status: os.stat_result, target: str = "") -> Found:
    mode, uid, gid = shared(stat.S_IMODE(status.st_mode)), shared(status.st_uid), shared(status.st_gid)
    return Found(path, kind, mode, uid, gid, fingerprint_of(status), target)
