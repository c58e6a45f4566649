"""Makes the way by which people reach the state folder one that follows none of the gateway's symlinks.

/opt/openclaw/state holds the state, and the container mounts the state folder from there. /opt/openclaw/view is the
same folder in a mount of its own with nosymfollow, nosuid and nodev, and /opt/openclaw/.openclaw a link of root's into
it: what a person types as root there ends at a planted link with ELOOP. util-linux 2.37 does not know nosymfollow, the
kernel does. Runs at each boot, before anything uses the state.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

STATE = Path("/opt/openclaw/state")
VIEW = Path("/opt/openclaw/view")
# Where older notes have the state folder. Somebody's own volume may be mounted there.
TYPED = Path("/opt/openclaw/.openclaw")

# The same on every architecture (asm-generic/unistd.h).
SYS_OPEN_TREE = 428
SYS_MOVE_MOUNT = 429
SYS_MOUNT_SETATTR = 442
# linux/mount.h, linux/fcntl.h
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOSYMFOLLOW = 0x200000
MS_PRIVATE = 1 << 18

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _call(number: int, *arguments: int | bytes | ctypes.Structure) -> int:
    given = [
        ctypes.c_char_p(argument)
        if isinstance(argument, bytes)
        else ctypes.byref(argument)
        if isinstance(argument, ctypes.Structure)
        else ctypes.c_long(argument)
        for argument in arguments
    ]
    result: int = _libc.syscall(ctypes.c_long(number), *given)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def clone(source: Path) -> int:
    """Return a handle of a copy of the mount at `source`, with what is mounted in it, not yet visible anywhere.

    Raises:
        OSError: when the kernel refuses it.
    """
    return _call(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(source), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)


def forbid_links(handle: int) -> None:
    """Let nobody follow a symlink, run as another user or open a device by way of this mount and those in it.

    Raises:
        OSError: when the kernel refuses it.
    """
    wanted = MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
    # Private: what is mounted over the state later would show through without these attributes.
    attributes = _MountAttributes(wanted, 0, MS_PRIVATE, 0)
    _call(SYS_MOUNT_SETATTR, handle, b"", AT_EMPTY_PATH | AT_RECURSIVE, attributes, ctypes.sizeof(attributes))


def attach(handle: int, target: Path) -> None:
    """Mount what `clone` returned.

    Raises:
        OSError: when the kernel refuses it.
    """
    _call(SYS_MOVE_MOUNT, handle, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)


def is_mounted(place: Path) -> bool:
    """Tell whether something is mounted at `place`; False where nothing is there."""
    try:
        inner, outer = (os.open(folder, os.O_PATH | os.O_NOFOLLOW) for folder in (place, place.parent))
    except FileNotFoundError:
        return False
    try:
        # A mount of the same disk has the same st_dev.
        return _mount_id(inner) != _mount_id(outer)
    finally:
        os.close(inner)
        os.close(outer)


def _mount_id(handle: int) -> str:
    lines = Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="ascii").splitlines()
    return next(line for line in lines if line.startswith("mnt_id:"))


def show_state(state: Path = STATE, view: Path = VIEW, typed: Path = TYPED) -> None:
    """Mount the view, and where a volume is mounted at the typed path the volume as the state folder too.

    Raises:
        OSError: when the kernel refuses it.
    """
    if is_mounted(typed):
        inner = state / typed.name
        inner.mkdir(mode=0o700, exist_ok=True)
        if not is_mounted(inner):
            handle = clone(typed)
            attach(handle, inner)
            os.close(handle)
        handle = os.open(typed, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        forbid_links(handle)
        os.close(handle)
    if not is_mounted(view):
        handle = clone(state)
        # Before anybody can see it.
        forbid_links(handle)
        attach(handle, view)
        os.close(handle)


def main() -> int:
    """Mount the view; 0, or 1 with one sentence on standard error."""
    try:
        show_state()
    except OSError as problem:
        print(
            f"{STATE} cannot be shown at {VIEW} without following links ({problem}); nothing was mounted.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
