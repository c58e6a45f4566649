"""Giving what was built its owner, mode, attributes, time and flags: by handle, in an order that widens nothing."""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from openclaw_agent.fs.attributes import set_flags
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.restore.privileges import what_was_refused, without_privileges
from openclaw_agent.snapshot.access_list import mode_without
from openclaw_agent.snapshot.manifest import NO_ATTRIBUTES, Entry, EntryKind
from openclaw_agent.state_dir.attributes import ACCESS_LIST, USERS_OWN, is_kept

_SETUID_AND_SETGID = 0o6000


class NotRestored:
    """What of the metadata this disk or this user could not be given; no restore is refused for it."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], str] = {}

    def note(self, what: str, path: str, reason: str) -> None:
        """Note one thing, which is told together with others of its kind."""
        self._counts[what, reason] += 1
        self._first.setdefault((what, reason), path)

    @property
    def count(self) -> int:
        """How many things."""
        return self._counts.total()

    def sentences(self) -> list[str]:
        """One for each kind."""
        return [
            f"Warning: {what} of {number} path{'s' if number > 1 else ''} ({self._first[what, reason]!r}"
            f"{' among them' if number > 1 else ''}) could not be restored: {reason}."
            for (what, reason), number in self._counts.items()
        ]

    @contextlib.contextmanager
    def noting(self, what: str, path: str) -> Iterator[None]:
        """Note a system call that fails, and go on."""
        try:
            yield
        except OSError as problem:
            self.note(what, path, problem.strerror or str(problem))


def set_metadata(top: ConfinedDir, entry: Entry, missing: NotRestored) -> os.stat_result:
    """Give what lies at the entry's path its metadata, but for its flags; return its status then.

    As an ordinary user owners stay as they are, since only root may give files away.

    Raises:
        OSError: when it cannot be opened, or its mode cannot be set.
    """
    if entry.kind is EntryKind.SYMLINK:
        return _of_a_symlink(top, entry, missing)
    handle = top.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | (os.O_DIRECTORY if entry.kind is EntryKind.DIR else 0))
    try:
        set_metadata_of(handle, entry, missing)
        return os.fstat(handle)
    finally:
        os.close(handle)


def set_metadata_of(handle: int, entry: Entry, missing: NotRestored) -> None:
    """Give an open file or folder its metadata, but for its flags.

    Raises:
        OSError: when its mode cannot be set.
    """
    entry = _without_privileges(entry, missing)
    mode = entry.mode
    if not _owned(handle, entry, missing):
        # Else a program of the gateway would become one of root.
        mode &= ~_SETUID_AND_SETGID
    # While the mode lets its owner write: a user's own attributes ask for that.
    _set_xattrs(handle, entry, missing, users_own=True)
    # After chown, which clears setuid and setgid.
    os.fchmod(handle, _without_the_lists_mask(entry, mode))
    # After chown, which clears capabilities; a list sets the mask in the mode's group bits by itself.
    _set_xattrs(handle, entry, missing, users_own=False)
    _take_inherited(handle, entry)
    _set_time(handle, entry, missing)


def flags_by_path(entries: Iterable[Entry]) -> dict[str, str]:
    """The letters of what has flags."""
    return {entry.path: letters for entry in entries if (letters := _flags_of(entry))}


def _without_privileges(entry: Entry, missing: NotRestored) -> Entry:
    given = without_privileges(entry)
    if refused := what_was_refused(entry, given):
        missing.note(refused, entry.path, "a restore gives them to nobody but the gateway")
    return given


def give_all_flags(place: Path, entries: Iterable[Entry]) -> NotRestored:
    """Give what was restored its flags where it belongs: an immutable file could not have been moved there."""
    missing = NotRestored()
    flagged = [entry for entry in entries if _flags_of(entry)]
    if not flagged:
        return missing
    with ConfinedDir(place) as top:
        for entry in flagged:
            with missing.noting("the flags", entry.path):
                handle = top.open(entry.path, os.O_RDONLY | os.O_NONBLOCK)
                try:
                    give_flags(handle, entry, missing)
                finally:
                    os.close(handle)
    return missing


def give_flags(handle: int, entry: Entry, missing: NotRestored) -> None:
    """Give an open file or folder its flags, after which nothing of it can be changed any more."""
    if entry.attributes is not None and entry.attributes.flags:
        with missing.noting(f"the flags (chattr +{entry.attributes.flags})", entry.path):
            set_flags(handle, entry.attributes.flags)


def _flags_of(entry: Entry) -> str:
    return entry.attributes.flags if entry.attributes is not None else ""


def _of_a_symlink(top: ConfinedDir, entry: Entry, missing: NotRestored) -> os.stat_result:
    folder, _, name = entry.path.rpartition("/")
    parent = top.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if os.geteuid() == 0:
            with missing.noting("the owner", entry.path):
                os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        with missing.noting("the time", entry.path):
            os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(parent)


def _owned(handle: int, entry: Entry, missing: NotRestored) -> bool:
    if os.geteuid() != 0:
        return True
    try:
        os.fchown(handle, entry.uid, entry.gid)
    except OSError as problem:
        missing.note(f"the owner {entry.uid}:{entry.gid}", entry.path, problem.strerror or str(problem))
        return False
    return True


def _without_the_lists_mask(entry: Entry, mode: int) -> int:
    rows = entry.attributes.xattrs if entry.attributes else ()
    lists = [value for name, value in rows if name == ACCESS_LIST]
    return mode_without(lists[0], mode) if lists else mode


def _set_xattrs(handle: int, entry: Entry, missing: NotRestored, *, users_own: bool) -> None:
    if entry.attributes is None or entry.attributes is NO_ATTRIBUTES:
        return
    for name, value in entry.attributes.xattrs:
        if name.startswith(USERS_OWN) is not users_own:
            continue
        if not is_kept(name):
            missing.note(f"the attribute {name!r}", entry.path, "it is of a kind that this agent does not set")
            continue
        with missing.noting(f"the attribute {name!r}", entry.path):
            os.setxattr(handle, name, value)


def _take_inherited(handle: int, entry: Entry) -> None:
    """Take away what a default list of the folder above has given a new file."""
    if entry.attributes is None:
        return
    wanted = {name for name, _ in entry.attributes.xattrs}
    with contextlib.suppress(OSError):
        for name in os.listxattr(handle):
            if name not in wanted and is_kept(name):
                os.removexattr(handle, name)


def _set_time(handle: int, entry: Entry, missing: NotRestored) -> None:
    with missing.noting("the time", entry.path):
        os.utime(handle, ns=(entry.mtime_ns, entry.mtime_ns))
        if os.fstat(handle).st_mtime_ns != entry.mtime_ns:
            missing.note("the exact time", entry.path, "the file system keeps no such one")
