"""Where other file systems are mounted in a tree: told by the kernel's table, without touching what is mounted.

What is mounted may refuse root (a user's FUSE) or never answer (a dead NFS server). A bind mount of the same disk has
the same st_dev, so that mounts are told apart by the kernel's own ids.
"""

import os
import re
from pathlib import Path

MOUNT_TABLE = Path("/proc/self/mountinfo")
_FOLDER_ONLY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def mount_id(handle: int) -> int:
    """The id of the mount that an open file or folder was reached by."""
    for line in Path(f"/proc/self/fdinfo/{handle}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "mnt_id":
            return int(value)
    raise OSError(f"/proc/self/fdinfo/{handle} names no mount")


def mounts_below(folder: Path) -> tuple[str, ...]:
    """The paths, relative to `folder`, at which something else is mounted, from the top; none of a missing folder.

    What lies below a mount is not told: nobody gets there.
    """
    try:
        handle = os.open(folder, _FOLDER_ONLY)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    try:
        own, place = mount_id(handle), os.fsencode(Path(f"/proc/self/fd/{handle}").readlink()).rstrip(b"/") + b"/"
    finally:
        os.close(handle)
    # A mount on the folder's own mount can be met in it; those below others, or that another one hides, cannot.
    points = (point for parent, point in _table() if parent == own and point.startswith(place))
    found: list[str] = []
    for point in sorted(os.fsdecode(point.removeprefix(place)) for point in points):
        if not any(point.startswith(f"{upper}/") for upper in found) and point not in found:
            found.append(point)
    return tuple(found)


def is_mount_point(folder: Path) -> bool:
    """Whether something is mounted at `folder` itself; False where it is missing."""
    try:
        inner, outer = os.open(folder, _FOLDER_ONLY), os.open(folder.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return mount_id(inner) != mount_id(outer)
    finally:
        os.close(inner)
        os.close(outer)


def _table() -> list[tuple[int, bytes]]:
    """Each mount's parent and its place."""
    rows = []
    # The kernel escapes a newline in a name, and none of what else splitlines() ends a line at.
    for line in MOUNT_TABLE.read_bytes().split(b"\n")[:-1]:
        # proc_pid_mountinfo(5): id, parent's id, device, root, mount point, …
        fields = line.split(b" ")
        rows.append((int(fields[1]), _unescaped(fields[4])))
    return rows


def _unescaped(point: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), point)
