"""Extended attributes and flags (chattr) of what lies in an open folder, read without opening or following it."""

import ctypes
import errno
import fcntl
import os

IMMUTABLE, APPEND_ONLY = "i", "a"
# Letter of chattr(1), bit of statx(2) and bit of FS_IOC_GETFLAGS (linux/stat.h, linux/fs.h).
_FLAGS = ((IMMUTABLE, 0x10, 0x10), (APPEND_ONLY, 0x20, 0x20))
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_AT_SYMLINK_NOFOLLOW = 0x100
_AT_EMPTY_PATH = 0x1000
_STATX_BYTES = 256
_STATX_ATTRIBUTES = slice(8, 16)
NO_SUCH_ATTRIBUTE = frozenset({errno.ENODATA, errno.EOPNOTSUPP})

_libc = ctypes.CDLL(None, use_errno=True)
_libc.statx.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_char_p)


def names_of(folder: int, name: str) -> list[str]:
    """The names of the extended attributes of what lies in an open folder ("" is the folder itself).

    Raises:
        OSError: when they cannot be listed; a file system that has none is no error.
    """
    try:
        return os.listxattr(_place(folder, name), follow_symlinks=not name)
    except OSError as problem:
        if problem.errno == errno.EOPNOTSUPP:
            return []
        raise


def value_of(folder: int, name: str, attribute: str) -> bytes | None:
    """One attribute's value, or None where it is gone.

    Raises:
        OSError: when it cannot be read.
    """
    try:
        return os.getxattr(_place(folder, name), attribute, follow_symlinks=not name)
    except OSError as problem:
        if problem.errno in NO_SUCH_ATTRIBUTE:
            return None
        raise


def flags_of(folder: int, name: str) -> str:
    """The letters of the flags of what lies in an open folder ("" is the folder itself).

    Raises:
        OSError: when it is not there.
    """
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    how = _AT_SYMLINK_NOFOLLOW | (0 if name else _AT_EMPTY_PATH)
    if _libc.statx(folder, os.fsencode(name), how, 0, buffer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    found = int.from_bytes(buffer.raw[_STATX_ATTRIBUTES], "little")
    return "".join(letter for letter, bit, _ in _FLAGS if found & bit) if found else ""


def copy_xattrs(source: int, target: int) -> None:
    """Give one open file or folder the extended attributes of another, and no others.

    Raises:
        OSError: when one cannot be read or set.
    """
    wanted = set(names_of(source, ""))
    for name in set(names_of(target, "")) - wanted:
        os.removexattr(target, name)
    for name in wanted:
        os.setxattr(target, name, os.getxattr(source, name))


def set_flags(handle: int, flags: str) -> None:
    """Give an open file or folder these flags, and take the others of ours away.

    Raises:
        OSError: when that is not allowed, or its file system knows none.
    """
    current = int.from_bytes(fcntl.ioctl(handle, _FS_IOC_GETFLAGS, bytes(8))[:4], "little")
    wanted = current
    for letter, _, bit in _FLAGS:
        wanted = wanted | bit if letter in flags else wanted & ~bit
    if wanted != current:
        fcntl.ioctl(handle, _FS_IOC_SETFLAGS, wanted.to_bytes(8, "little"))


def _place(folder: int, name: str) -> str | int:
    # The kernel takes the first part for the open folder itself, wherever that has been moved meanwhile.
    return f"/proc/self/fd/{folder}/{name}" if name else folder
