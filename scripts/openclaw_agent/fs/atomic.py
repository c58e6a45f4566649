"""Changes that a crash leaves done or not done: whole files replaced, folders exchanged, and what makes both last."""

import contextlib
import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.removal import remove_file

_RENAME_EXCHANGE = 2  # linux/fs.h
_AT_FDCWD = -100
_CANNOT_EXCHANGE = frozenset({errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EOPNOTSUPP})


def replace_file(path: Path, chunks: Iterable[bytes], *, mode: int = 0o600) -> None:
    """Write a file so that a crash leaves the old content or the new, never a part.

    Raises:
        LocalStorageError: when the disk is full or read-only; the old file is untouched.
    """
    unfinished = path.with_name(path.name + ".new")
    try:
        with unfinished.open("wb") as out:
            os.fchmod(out.fileno(), mode)
            for chunk in chunks:
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(path)
        sync_folder(path.parent)
    except OSError as problem:
        with contextlib.suppress(OSError):
            remove_file(unfinished)
        raise LocalStorageError(
            f"{path} cannot be written ({problem.strerror}); free some space or make the disk writable."
        ) from problem


def sync_folder(folder: Path) -> None:
    """Make the renames in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step of the kernel, so that no instant has no state; False where it cannot be done."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    result = libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if result == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))


def sync_file_system(folder: Path) -> None:
    """Wait until everything written to the file system that `folder` is on has reached the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(handle)
