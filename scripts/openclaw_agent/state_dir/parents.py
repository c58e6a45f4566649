"""The folders on the way to a path of the state folder, opened one by one.

They belong to the gateway's user, who could put a symlink there: root must not follow it out of the state folder.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from openclaw_agent.errors import Refused
from openclaw_agent.fs.attributes import copy_xattrs
from openclaw_agent.fs.confined import ConfinedDir

_REAL_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def require_real_parents(state_dir: Path, path: str) -> None:
    """Refuse a path of which a folder on the way is none; one that is missing is no objection.

    Raises:
        Refused: naming what is no folder.
    """
    with contextlib.suppress(FileNotFoundError), opened_parent(state_dir, path):
        pass


@contextlib.contextmanager
def opened_parent(state_dir: Path, path: str, like: Path | None = None) -> Iterator[int]:
    """A handle of the folder that holds `path`; missing folders are made like those of the tree `like`, if given.

    Raises:
        Refused: when a folder on the way is a symlink or a file.
        OSError: when one is missing or cannot be made.
    """
    handle = os.open(state_dir, _REAL_FOLDER)
    try:
        parts = path.split("/")[:-1]
        for depth, name in enumerate(parts, start=1):
            way = "/".join(parts[:depth])
            inner = _opened(name, handle, way, like)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _opened(name: str, parent: int, way: str, like: Path | None) -> int:
    try:
        return os.open(name, _REAL_FOLDER, dir_fd=parent)
    except NotADirectoryError:
        raise Refused(
            f"Refused: {way!r} in the state folder is no folder, so nothing can be put into it; move it away, or pass "
            "--to."
        ) from None
    except FileNotFoundError:
        if like is None:
            raise
    os.mkdir(name, 0o700, dir_fd=parent)
    made = os.open(name, _REAL_FOLDER, dir_fd=parent)
    with ConfinedDir(like) as tree:
        pattern = tree.open(way, _REAL_FOLDER)
    try:
        wanted = os.fstat(pattern)
        if os.geteuid() == 0:
            # The gateway, an ordinary user, must be able to write where it could before.
            os.fchown(made, wanted.st_uid, wanted.st_gid)
        # Without its access list the mode would give the group what the list gave others.
        copy_xattrs(pattern, made)
        os.fchmod(made, wanted.st_mode & 0o7777)
    finally:
        os.close(pattern)
    return made
