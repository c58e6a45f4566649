"""Opening what lies below a folder without ever leaving it: no symlink and no mount is followed, whoever swaps folders.

The agent is root and the gateway owns the state folder: a folder that becomes a symlink between two looks at it must
not bring a file of the host into a backup.
"""

import contextlib
import ctypes
import errno
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

from openclaw_agent.fs.mounts import mount_id

SYS_OPENAT2 = 437  # the same on every architecture (asm-generic/unistd.h)
_RESOLVE_NO_XDEV = 0x01  # linux/openat2.h
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
# An older kernel or a seccomp filter refuses the call; a path may be longer than the kernel takes at once.
_STEP_BY_STEP = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG, errno.EAGAIN, errno.ENAMETOOLONG})

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_libc.syscall.argtypes = (
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(_OpenHow),
    ctypes.c_size_t,
)
_libc.syscall.restype = ctypes.c_long


@lru_cache
def _how(flags: int) -> _OpenHow:
    return _OpenHow(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_XDEV)


class ConfinedDir:
    """An open folder, from which the paths below it are reached."""

    def __init__(self, root: Path, *, follow: bool = True) -> None:
        """Open the folder; unless `follow`, not through a symlink in its place.

        Raises:
            OSError: when it is missing or no folder.
        """
        self.path = root
        self._handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        os.close(self._handle)

    def status(self) -> os.stat_result:
        """The folder's own status."""
        return os.fstat(self._handle)

    def names(self) -> list[str]:
        """What is in the folder, sorted."""
        return sorted(os.listdir(self._handle))  # noqa: PTH208 - a descriptor

    def give_to(self, uid: int) -> None:
        """Make the folder itself this user's, and the group's of the same number.

        Raises:
            OSError: when that is not allowed.
        """
        os.fchown(self._handle, uid, uid)

    def create(self, name: str, mode: int) -> int:
        """Create a file that is not there yet in the folder itself, for writing; the caller closes it.

        Raises:
            FileExistsError: when anything has that name, a dangling symlink too.
            OSError: when it cannot be created.
        """
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode, dir_fd=self._handle)

    def is_there(self, path: str) -> bool:
        """Whether anything lies at the relative `path`, a dangling symlink and a mount point too."""
        return self._kind(path) is not None

    def is_folder(self, path: str) -> bool:
        """Whether a folder lies at the relative `path`, or something is mounted there on one; no symlink is one."""
        return self._kind(path) == stat.S_IFDIR

    def _kind(self, path: str) -> int | None:
        folder, _, name = path.rpartition("/")
        try:
            parent = self.open(folder, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        try:
            return stat.S_IFMT(os.lstat(name or ".", dir_fd=parent).st_mode)
        except FileNotFoundError:
            return None
        finally:
            os.close(parent)

    def make_folders(self, path: str) -> None:
        """Make the folders of the relative `path` that are missing, for their owner alone.

        Raises:
            OSError: when one cannot be made, or a symlink or a file lies in the way.
        """
        here = os.dup(self._handle)
        try:
            for name in path.split("/") if path else ():
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=here)
                deeper = open_beneath(here, name, os.O_RDONLY | os.O_DIRECTORY)
                os.close(here)
                here = deeper
        finally:
            os.close(here)

    def make_folder(self, name: str) -> int:
        """Make a folder that is not there yet in the folder itself, for its owner alone; return its inode.

        Raises:
            FileExistsError: when anything has that name.
            OSError: when it cannot be made.
        """
        os.mkdir(name, 0o700, dir_fd=self._handle)
        return os.lstat(name, dir_fd=self._handle).st_ino

    @property
    def by_handle(self) -> Path:
        """A path that names this very folder while it is open, wherever it is moved: for libraries that take paths."""
        return Path(f"/proc/self/fd/{self._handle}")

    def open(self, path: str, flags: int) -> int:
        """Open the relative `path` ("" is the folder itself); the caller closes it.

        Raises:
            FileNotFoundError: when it is not there, or a symlink or a mount lies on the way or at its end.
            OSError: when it cannot be opened.
        """
        try:
            return open_beneath(self._handle, path, flags)
        except OSError as problem:
            if problem.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV):
                raise FileNotFoundError(errno.ENOENT, "not there any more", str(self.path / path)) from problem
            problem.filename = str(self.path / path)
            raise


def open_beneath(folder: int, path: str, flags: int) -> int:
    """Open what lies below an open folder ("" is the folder itself).

    Raises:
        OSError: ELOOP or ENOTDIR for a symlink, EXDEV for a mount on the way or at the end; else why not.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    how = _how(flags)
    handle: int = _libc.syscall(SYS_OPENAT2, folder, os.fsencode(path) or b".", ctypes.byref(how), ctypes.sizeof(how))
    if handle >= 0:
        return handle
    code = ctypes.get_errno()
    if code in _STEP_BY_STEP:
        return _open_step_by_step(folder, path, flags)
    raise OSError(code, os.strerror(code), path)


def _open_step_by_step(folder: int, path: str, flags: int) -> int:
    *folders, name = path.split("/")
    own = mount_id(folder)
    here = os.dup(folder)
    try:
        for part in folders:
            deeper = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = deeper
            _require_mount(here, own, path)
        handle = os.open(name or ".", flags, dir_fd=here)
    finally:
        os.close(here)
    try:
        _require_mount(handle, own, path)
    except OSError:
        os.close(handle)
        raise
    return handle


def _require_mount(handle: int, own: int, path: str) -> None:
    if mount_id(handle) != own:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)


@dataclass(frozen=True, slots=True)
class ConfinedPath:
    """One path below an open folder."""

    folder: ConfinedDir
    path: str

    @property
    def place(self) -> Path:
        """The path by name, for messages and for programs that open by name."""
        return self.folder.path / self.path

    def __str__(self) -> str:
        return str(self.place)

    def open(self, flags: int) -> int:
        """Open it; see `Folder.open`."""
        return self.folder.open(self.path, flags)

    def lstat(self) -> os.stat_result:
        """Its status; a symlink's is its own."""
        handle = self.open(os.O_PATH)
        try:
            return os.fstat(handle)
        finally:
            os.close(handle)

    def beside(self, suffix: str) -> "ConfinedPath":
        """The path of the same name with a suffix."""
        return ConfinedPath(self.folder, self.path + suffix)
