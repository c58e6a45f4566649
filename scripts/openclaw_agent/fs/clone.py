"""Cloning one file as it is at this moment: FICLONE where the file system can, else a copy that keeps holes."""

import errno
import fcntl
import os
import stat
from pathlib import Path

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.confined import ConfinedPath

# A file of the state folder is reached without following symlinks; a clone lies in a folder of the agent's own.
Source = Path | ConfinedPath

FICLONE = 0x40049409  # linux/fs.h
_CANNOT_CLONE = frozenset({errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM})
_COPY_CHUNK = 1024 * 1024


def open_nofollow(source: Source) -> int:
    """Open a regular file for reading without following a symlink or waiting on a FIFO that took its name.

    Raises:
        FileNotFoundError: when there is no regular file of that name (any more).
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = source.open(flags) if isinstance(source, ConfinedPath) else os.open(source, flags)
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.ENXIO, errno.ENOTDIR):
            raise FileNotFoundError(errno.ENOENT, "no regular file any more", str(source)) from problem
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "no regular file any more", str(source))
    return handle


def clone_file(source: Source, target: Path) -> os.stat_result:
    """Clone `source` into the new file `target` and return the source's status at the start.

    Raises:
        FileNotFoundError: when the source has vanished.
        LocalStorageError: when there is no room for the clone.
        OSError: when the source cannot be read.
    """
    reading = open_nofollow(source)
    try:
        writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Taken first: a write during the copy must leave a status that no longer fits.
            status = os.fstat(reading)
            try:
                fcntl.ioctl(writing, FICLONE, reading)
            except OSError as problem:
                if problem.errno not in _CANNOT_CLONE:
                    raise
                _copy_bytes(reading, writing)
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                raise LocalStorageError(
                    f"There is no room for a clone of {str(source)!r} in {target.parent}; free some space on that disk."
                ) from problem
            raise
        finally:
            os.close(writing)
        return status
    finally:
        os.close(reading)


def _copy_bytes(reading: int, writing: int) -> None:
    # Bounded by the size at the start: a log that grows as fast as it is read would never end.
    size = os.fstat(reading).st_size
    position = 0
    while position < size:
        try:
            begin = os.lseek(reading, position, os.SEEK_DATA)
        except OSError as problem:
            if problem.errno != errno.ENXIO:
                raise
            break
        end = min(os.lseek(reading, begin, os.SEEK_HOLE), size)
        os.lseek(writing, begin, os.SEEK_SET)
        os.lseek(reading, begin, os.SEEK_SET)
        while begin < end:
            copied = os.sendfile(writing, reading, None, min(end - begin, _COPY_CHUNK))
            if copied == 0:
                break
            begin += copied
        if begin < end:
            break
        position = end
    os.ftruncate(writing, min(size, os.fstat(reading).st_size))
