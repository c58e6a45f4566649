"""Removing: the one place of the agent that deletes files, and it follows neither a symlink nor a mount.

A test (tests/agent/fs/test_removal.py) looks that nothing else in the agent deletes.
"""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

from openclaw_agent.fs.confined import open_beneath
from openclaw_agent.fs.mounts import is_mount_point, mounts_below

# Deeper folders are moved up, so that a tree of any depth needs few handles and no path as long as its depth.
MOST_HANDLES = 100
_FS_IOC_GETFLAGS = 0x80086601  # linux/fs.h
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE_FL = 0x10
_FS_APPEND_FL = 0x20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_OWNER_MAY_ALL = 0o700


def remove_file(place: Path, *, missing_ok: bool = True) -> None:
    """Remove a file, or a symlink itself.

    Raises:
        OSError: when it cannot be removed.
    """
    place.unlink(missing_ok=missing_ok)


def remove_beside(name: str, folder: int) -> None:
    """Remove a file, or a symlink itself, of an open folder.

    Raises:
        OSError: when it cannot be removed.
    """
    os.unlink(name, dir_fd=folder)


def remove_empty_folder(place: Path) -> None:
    """Remove a folder that is empty.

    Raises:
        OSError: when it cannot be removed, holds anything, or is a mount point.
    """
    place.rmdir()


def remove_tree(place: Path) -> None:
    """Remove whatever is at `place`: a folder with all in it, a file, or a symlink itself; nothing where nothing is.

    Raises:
        OSError: EBUSY, before anything is touched, where something is mounted in it; else why it cannot be removed.
    """
    parent = os.open(place.parent, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.lstat(place.name, dir_fd=parent).st_mode):
                _unlink(place.name, parent)
                return
            _require_no_mount(place)
            folder = _opened(place.name, parent)
            try:
                _empty(folder)
            finally:
                os.close(folder)
            _rmdir(place.name, parent)
    finally:
        os.close(parent)


def remove_content(place: Path) -> None:
    """Remove all that is in a folder, and leave the folder.

    Raises:
        OSError: as `remove_tree`.
    """
    _require_no_mount(place, itself=False)
    for name in os.listdir(place):  # noqa: PTH208 - names alone
        remove_tree(place / name)


def _require_no_mount(place: Path, *, itself: bool = True) -> None:
    mounted = [str(place)] if itself and is_mount_point(place) else [str(place / name) for name in mounts_below(place)]
    if mounted:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), mounted[0])


def _empty(top: int) -> None:
    """Remove what is in an open folder, from the bottom, without recursion."""
    above: list[tuple[int, str]] = []
    here, waiting = os.dup(top), _unlink_all_but_folders(top)
    lists = [waiting]
    moved = 0
    try:
        while True:
            if lists[-1]:
                name = lists[-1].pop()
                if len(above) >= MOST_HANDLES:
                    moved_name = f"{name[:100]}.{os.getpid()}.{moved}"
                    moved += 1
                    os.rename(name, moved_name, src_dir_fd=here, dst_dir_fd=top)
                    lists[0].append(moved_name)
                    continue
                deeper = _opened(name, here)
                above.append((here, name))
                here = deeper
                lists.append(_unlink_all_but_folders(here))
                continue
            if not above:
                return
            os.close(here)
            lists.pop()
            here, name = above.pop()
            _rmdir(name, here)
    finally:
        os.close(here)
        for handle, _ in above:
            os.close(handle)


def _unlink_all_but_folders(folder: int) -> list[str]:
    """Remove the files of an open folder; return the names of the folders in it."""
    with os.scandir(folder) as listing:
        rows = [(item.name, item.is_dir(follow_symlinks=False)) for item in listing]
    for name, is_folder in rows:
        if not is_folder:
            _unlink(name, folder)
    return [name for name, is_folder in rows if is_folder]


def _opened(name: str, parent: int) -> int:
    """Open a folder so that it can be emptied; refuses what is mounted there (EXDEV) or has become a symlink."""
    try:
        handle = open_beneath(parent, name, _FOLDER)
    except PermissionError:
        looked_at = open_beneath(parent, name, os.O_PATH | os.O_DIRECTORY)
        try:
            Path(f"/proc/self/fd/{looked_at}").chmod(_OWNER_MAY_ALL)
        finally:
            os.close(looked_at)
        handle = open_beneath(parent, name, _FOLDER)
    if os.geteuid() != 0 and os.fstat(handle).st_mode & _OWNER_MAY_ALL != _OWNER_MAY_ALL:
        with contextlib.suppress(PermissionError):
            os.fchmod(handle, _OWNER_MAY_ALL)
    return handle


def _unlink(name: str, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except PermissionError:
        if not made_mutable(name, parent):
            raise
        os.unlink(name, dir_fd=parent)


def _rmdir(name: str, parent: int) -> None:
    try:
        os.rmdir(name, dir_fd=parent)
    except PermissionError:
        if not made_mutable(name, parent):
            raise
        os.rmdir(name, dir_fd=parent)


def made_mutable(name: str, parent: int) -> bool:
    """Take the flags off that keep `name` from being removed (chattr +i, +a), its folder's too."""
    cleared = make_mutable(parent)
    with contextlib.suppress(OSError):
        kind = stat.S_IFMT(os.lstat(name, dir_fd=parent).st_mode)
        if kind in (stat.S_IFREG, stat.S_IFDIR):
            handle = open_beneath(parent, name, os.O_RDONLY | os.O_NONBLOCK)
            try:
                cleared |= make_mutable(handle)
            finally:
                os.close(handle)
    return cleared


def make_mutable(handle: int) -> bool:
    """Take the flags off an open file or folder that keep it from being changed; return whether there were any."""
    try:
        flags = int.from_bytes(fcntl.ioctl(handle, _FS_IOC_GETFLAGS, bytes(8))[:4], "little")
        if not flags & (_FS_IMMUTABLE_FL | _FS_APPEND_FL):
            return False
        mutable = flags & ~(_FS_IMMUTABLE_FL | _FS_APPEND_FL)
        fcntl.ioctl(handle, _FS_IOC_SETFLAGS, mutable.to_bytes(8, "little"))
    except OSError:
        return False
    return True
