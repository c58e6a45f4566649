"""Walking the state folder: everything that is there, what is left out and why, whatever changes meanwhile."""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from openclaw_agent.errors import AgentError
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.fs.mounts import mounts_below
from openclaw_agent.snapshot.manifest import Attributes, Entry, EntryKind, Fingerprint, Omission, intern_int, path_order
from openclaw_agent.sqlite.files import sidecar_base
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.limits import UNLIMITED, Admission, StateLimits

# A restore builds the tree in a folder of its own, by names: PATH_MAX (4,096) less room for that folder's path.
MOST_PATH_BYTES = 4096 - 256
MOST_BYTES_A_CHARACTER = 4
NOTHING_KNOWN: Mapping[str, Entry] = MappingProxyType({})
A_SOCKET = "a socket"
MOUNTED = "another file system is mounted there"
MOUNT_POINT_MODE = 0o700

_SPECIAL_KINDS = {
    stat.S_IFSOCK: A_SOCKET,
    stat.S_IFIFO: "a FIFO",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


@dataclass(frozen=True, slots=True)
class WalkEntry:
    """One path of the tree with its metadata as lstat gave it.

    `shared_inode` is device and inode of a file or symlink that has other names, wherever they are. `attributes` are
    not read by the walk.
    """

    path: str
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    fingerprint: Fingerprint
    target: str = ""
    shared_inode: tuple[int, int] | None = None
    attributes: Attributes | None = None


@dataclass(slots=True)
class Tree:
    """One walk's result; `found` is sorted by path, parents first.

    `withheld` are excluded files that have the name of a database's sidecar: those follow their database, whatever
    the rules say of them. They are listed in `excluded` too. `unreadable` is there, and what it holds is not taken: a
    folder that could not be listed (whole or in part), a path that could not even be looked at, what is over a limit.
    """

    found: list[WalkEntry] = field(default_factory=list)
    excluded: list[Omission] = field(default_factory=list)
    skipped: list[Omission] = field(default_factory=list)
    withheld: list[WalkEntry] = field(default_factory=list)
    unreadable: list[Omission] = field(default_factory=list)

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


def open_state_folder(root: Path) -> ConfinedDir:
    """Open the state folder; the caller closes it.

    Raises:
        AgentError: naming what is there instead, or why it cannot be read.
    """
    require_state_folder(root)
    try:
        return ConfinedDir(root)
    except OSError as problem:
        raise _unreadable(root, problem) from problem


@dataclass(frozen=True, slots=True)
class _Walking:
    """What holds for all of one walk."""

    top: ConfinedDir
    exclusions: Exclusions
    known: Mapping[str, Entry]
    tree: Tree
    mounts: frozenset[str]
    limits: StateLimits
    admission: Admission


def walk(
    root: Path,
    exclusions: Exclusions,
    known: Mapping[str, Entry] = NOTHING_KNOWN,
    limits: StateLimits = UNLIMITED,
    in_last: Mapping[str, Entry] = NOTHING_KNOWN,
) -> Tree:
    """List the tree below `root` without following symlinks; what vanishes on the way is not there.

    Of what is mounted in it only the empty folder is listed, to be mounted at again, and nothing is asked of it.
    What exists and cannot be read is named in `Tree.unreadable`: left out without a word it would look like deleted.
    Files that are as in `known` share its fingerprints and paths, which is most of what a large tree takes in memory.
    So is what is over `limits`, but for what the last backup had (`in_last`) of too many entries.

    Raises:
        AgentError: when `root` itself cannot be read.
    """
    tree = Tree()
    for _folder in _walked_folders(root, exclusions, known, tree, limits, in_last):
        pass
    # Sorting part by part keeps a folder before what is in it: "a" < "a/b" < "a.c" does not hold for plain strings.
    tree.found.sort(key=lambda row: path_order(row.path))
    return tree


def walk_left_out(root: Path, exclusions: Exclusions) -> Tree:
    """The same without what a backup takes, but for files that have the name of a database's sidecar.

    Raises:
        AgentError: as `walk`.
    """
    tree = Tree()
    sidecars: list[WalkEntry] = []
    for _folder in _walked_folders(root, exclusions, NOTHING_KNOWN, tree):
        # Of a large tree nothing else is kept in memory.
        sidecars += (row for row in tree.found if row.kind is EntryKind.FILE and sidecar_base(row.path) is not None)
        tree.found.clear()
    tree.found = sidecars
    return tree


def _walked_folders(
    root: Path,
    exclusions: Exclusions,
    known: Mapping[str, Entry],
    tree: Tree,
    limits: StateLimits = UNLIMITED,
    in_last: Mapping[str, Entry] = NOTHING_KNOWN,
) -> Iterator[str]:
    """Walk folder by folder; after each of them `tree` holds what was found in it too."""
    with open_state_folder(root) as top:
        tree.found.append(_found("", EntryKind.DIR, top.status()))
        walking = _Walking(top, exclusions, known, tree, _mounts_below(root), limits, Admission(limits, in_last))
        # What lies near the top comes first, where there is not room for all.
        pending = deque([""])
        while pending:
            folder = pending.popleft()
            pending.extend(_walk_folder(walking, folder))
            yield folder


def _mounts_below(root: Path) -> frozenset[str]:
    try:
        return frozenset(mounts_below(root))
    except OSError as problem:
        raise AgentError(f"What is mounted below {root} cannot be told ({problem}).") from problem


def _walk_folder(walking: _Walking, folder: str) -> list[str]:
    """Add what lies in one folder to the tree; return the folders in it that are to be walked."""
    top, tree, exclusions, admission = walking.top, walking.tree, walking.exclusions, walking.admission
    try:
        handle = top.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return []
    except OSError as problem:
        _note_unreadable(top, folder, problem, tree)
        return []
    admission.begin_folder()
    left_out = ""
    deeper: list[str] = []
    try:
        with os.scandir(handle) as listing:
            for item in listing:
                path = f"{folder}/{item.name}" if folder else item.name
                if not admission.admits(path):
                    left_out = left_out or path
                    if admission.has_read_enough:
                        break
                    continue
                if path in walking.mounts:
                    is_folder = item.is_dir(follow_symlinks=False)
                    _add_mount(path, os.fstat(handle), walking.known, exclusions, tree, is_folder=is_folder)
                    continue
                try:
                    status = item.stat(follow_symlinks=False)
                    target = os.readlink(item.name, dir_fd=handle) if stat.S_ISLNK(status.st_mode) else ""
                except OSError as problem:
                    # Gone, or no symlink any more.
                    if problem.errno not in (errno.ENOENT, errno.EINVAL):
                        _note_unseen(path, problem, exclusions, tree)
                    continue
                if _add(path, status, target, walking):
                    deeper.append(path)
    except OSError as problem:
        _note_unreadable(top, folder, problem, tree)
    finally:
        os.close(handle)
    if left_out:
        # Of the state folder itself the first path stands for all.
        tree.unreadable.append(Omission(folder or left_out, admission.reason))
    return deeper


def _add(path: str, status: os.stat_result, target: str, walking: _Walking) -> bool:
    """Add one path to the tree; return whether it is a folder to be walked."""
    tree, limits = walking.tree, walking.limits
    kind = stat.S_IFMT(status.st_mode)
    is_folder = kind == stat.S_IFDIR
    reason = walking.exclusions.reason_for(path, is_folder=is_folder)
    if reason is not None:
        tree.excluded.append(Omission(path, reason))
        if kind == stat.S_IFREG and sidecar_base(path) is not None:
            tree.withheld.append(_found(path, EntryKind.FILE, status))
    elif _is_too_long(path):
        tree.skipped.append(Omission(path, f"its path has more than {MOST_PATH_BYTES:,} bytes"))
    elif is_folder:
        tree.found.append(_found(path, EntryKind.DIR, status))
        if (too_deep := limits.why_too_deep(path)) is None:
            return True
        tree.unreadable.append(Omission(path, too_deep))
    elif kind == stat.S_IFREG and (too_large := limits.why_too_large(status.st_size)) is not None:
        tree.unreadable.append(Omission(path, too_large))
    elif kind == stat.S_IFREG:
        tree.found.append(_found_file(path, status, walking.known.get(path)))
    elif kind == stat.S_IFLNK:
        tree.found.append(_found(path, EntryKind.SYMLINK, status, target))
    else:
        tree.skipped.append(Omission(path, _SPECIAL_KINDS.get(kind, "no regular file")))
    return False


def _add_mount(
    path: str,
    parent: os.stat_result,
    known: Mapping[str, Entry],
    exclusions: Exclusions,
    tree: Tree,
    *,
    is_folder: bool,
) -> None:
    """Add a mount point; what is mounted is not even looked at, for it may refuse root, or never answer."""
    if (reason := exclusions.reason_for(path, is_folder=is_folder)) is not None:
        tree.excluded.append(Omission(path, reason))
        return
    tree.skipped.append(Omission(path, MOUNTED))
    if not is_folder:
        return
    before = known.get(path)
    if before is not None and before.kind is EntryKind.DIR:
        # What the folder beneath was, as far as anybody can tell.
        mode, uid, gid, mtime_ns = before.mode, before.uid, before.gid, before.mtime_ns
    else:
        mode, uid, gid, mtime_ns = MOUNT_POINT_MODE, parent.st_uid, parent.st_gid, parent.st_mtime_ns
    nothing = Fingerprint(0, mtime_ns, mtime_ns, 0)
    tree.found.append(WalkEntry(path, EntryKind.DIR, intern_int(mode), intern_int(uid), intern_int(gid), nothing))


def _is_too_long(path: str) -> bool:
    return len(path) > MOST_PATH_BYTES // MOST_BYTES_A_CHARACTER and len(os.fsencode(path)) > MOST_PATH_BYTES


def why_unreadable(problem: OSError) -> str:
    """The reason for people, as it stands in a manifest's gaps."""
    return f"it cannot be read ({problem.strerror or problem})"


def _note_unreadable(top: ConfinedDir, folder: str, problem: OSError, tree: Tree) -> None:
    if not folder:
        raise _unreadable(top.path, problem) from problem
    tree.unreadable.append(Omission(folder, why_unreadable(problem)))


def _note_unseen(path: str, problem: OSError, exclusions: Exclusions, tree: Tree) -> None:
    # Whether it is a folder cannot be told: a rule for either leaves it out.
    for is_folder in (True, False):
        reason = exclusions.reason_for(path, is_folder=is_folder)
        if reason is not None:
            tree.excluded.append(Omission(path, reason))
            return
    tree.unreadable.append(Omission(path, why_unreadable(problem)))


def _unreadable(place: Path, problem: OSError) -> AgentError:
    return AgentError(f"The folder {str(place)!r} cannot be read ({problem.strerror}); run as root or mend its mode.")


def _found_file(path: str, status: os.stat_result, known: Entry | None) -> WalkEntry:
    fingerprint = Fingerprint.of(status)
    if known is None or known.fingerprint is None or known.fingerprint != fingerprint:
        return _found(path, EntryKind.FILE, status)
    # Put together here, for replace() takes a third of the whole walk.
    mode, uid, gid = intern_int(stat.S_IMODE(status.st_mode)), intern_int(status.st_uid), intern_int(status.st_gid)
    shared = (status.st_dev, status.st_ino) if status.st_nlink > 1 else None
    return WalkEntry(known.path, EntryKind.FILE, mode, uid, gid, known.fingerprint, "", shared)


def _found(path: str, kind: EntryKind, status: os.stat_result, target: str = "") -> WalkEntry:
    mode, uid, gid = intern_int(stat.S_IMODE(status.st_mode)), intern_int(status.st_uid), intern_int(status.st_gid)
    shared = (status.st_dev, status.st_ino) if status.st_nlink > 1 and kind is not EntryKind.DIR else None
    return WalkEntry(path, kind, mode, uid, gid, Fingerprint.of(status), target, shared)
