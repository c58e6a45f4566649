"""The staging directories in which a restore is built: which of them are ours is known by record."""

import contextlib
import itertools
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from openclaw_agent.agent_dir.aside import NOT_MADE_YET, AsideRecords, MadeFolder
from openclaw_agent.errors import LocalStorageError, Refused
from openclaw_agent.fs.atomic import sync_folder
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.fs.mounts import is_mount_point
from openclaw_agent.fs.removal import remove_content, remove_empty_folder, remove_tree
from openclaw_agent.state_dir.exclusions import AGENT_FOLDER

STAGING_SUFFIX = ".restoring"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def work_folder(state_dir: Path) -> Path:
    """Where a restore builds and puts aside: on the state's own mount, or nothing could be renamed into place."""
    return state_dir / AGENT_FOLDER if is_mount_point(state_dir) else state_dir.parent


def disk_of(state_dir: Path) -> Path:
    """A folder that is on the disk on which a restore builds."""
    return state_dir if is_mount_point(state_dir) else state_dir.parent


def fresh_staging_dir(records: AsideRecords, state_dir: Path) -> Path:
    """An empty folder to build in, noted as ours; what is there under its name is somebody's, and left alone.

    Raises:
        LocalStorageError: when it cannot be created.
    """
    place = state_dir.with_name(state_dir.name + STAGING_SUFFIX)
    try:
        folder = _made_work_folder(state_dir)
        for number in itertools.count(1):
            place = folder / f"{state_dir.name}{STAGING_SUFFIX}{'' if number == 1 else f'-{number}'}"
            if not os.path.lexists(place):
                break
        records.note_staging(MadeFolder(str(place), NOT_MADE_YET))
        records.note_staging(MadeFolder(str(place), make_in_work_folder(place)))
    except OSError as problem:
        raise LocalStorageError(
            f"The folder {place} cannot be created ({problem.strerror or problem}); the state in place is untouched."
        ) from problem
    return place


def _made_work_folder(state_dir: Path) -> Path:
    folder = work_folder(state_dir)
    if folder == state_dir.parent:
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    with contextlib.suppress(OSError), ConfinedDir(folder, follow=False) as opened:
        require_ours(opened)
        return folder
    raise _not_ours(folder)


def make_in_work_folder(place: Path) -> int:
    """Make a folder where restores work, and return its inode.

    Raises:
        Refused: when somebody has put something else in the place of the folder around it.
        OSError: when it cannot be made.
    """
    with ConfinedDir(place.parent, follow=place.parent.name != AGENT_FOLDER) as folder:
        if place.parent.name == AGENT_FOLDER:
            require_ours(folder)
        return folder.make_folder(place.name)


def require_ours(folder: ConfinedDir) -> None:
    """Refuse to work in a folder that others may write to: in a volume it lies in the gateway's own.

    Raises:
        Refused: naming it.
    """
    status = folder.status()
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
        raise _not_ours(folder.path)


def _not_ours(folder: Path) -> Refused:
    return Refused(f"Refused: {folder} is no folder of the agent's, which would build there; move it away.")


@contextlib.contextmanager
def staging_for(records: AsideRecords, state_dir: Path) -> Iterator[Path]:
    """A fresh building folder, of which a failure or an interruption leaves nothing."""
    building = fresh_staging_dir(records, state_dir)
    try:
        yield building
    except BaseException:
        drop_staging(records)
        raise


def drop_staging(records: AsideRecords) -> None:
    """Remove the staging directory, if it is the one that was made; what cannot be removed now is tried again."""
    made = records.staging()
    # A swap that was cut off still needs what was built.
    if made is None or records.swap() is not None:
        return
    place = Path(made.path)
    with contextlib.suppress(OSError):
        if made.is_there():
            remove_tree(place)
        elif made.inode == NOT_MADE_YET and place.is_dir() and not place.is_symlink():
            # Made, and cut off before that was noted: it is empty then, or it is not ours.
            with contextlib.suppress(OSError):
                remove_empty_folder(place)
        remove_work_folder(place.parent)
        records.forget_staging()


def remove_work_folder(folder: Path) -> None:
    """Remove the folder in a volume in which restores work, once nothing is left in it."""
    if folder.name == AGENT_FOLDER:
        with contextlib.suppress(OSError):
            status = folder.parent.stat()
            remove_empty_folder(folder)
            # The state folder has the times that it had when it was backed up.
            os.utime(folder.parent, ns=(status.st_atime_ns, status.st_mtime_ns))


@contextlib.contextmanager
def staging_at(target: Path) -> Iterator[Path]:
    """A folder to build in, which is at `target` when the block ends well; else nothing of it is left.

    An existing folder may be a mount point, which cannot be renamed over, or lie on another disk than its parent: it is
    built in itself.

    Raises:
        LocalStorageError: when it cannot be created or moved.
    """
    is_there = target.is_dir()
    building = target if is_there else _new_sibling(target)
    try:
        yield building
        if not is_there:
            _move(building, target)
    except BaseException:
        with contextlib.suppress(OSError):
            (remove_content if is_there else remove_tree)(building)
        raise


def _new_sibling(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{target.name}{STAGING_SUFFIX}-", dir=target.parent))
    except OSError as problem:
        raise LocalStorageError(f"No folder can be created beside {target} ({problem.strerror}).") from problem


def _move(building: Path, target: Path) -> None:
    try:
        building.rename(target)
        sync_folder(target.parent)
    except OSError as problem:
        raise LocalStorageError(
            f"What was restored cannot be moved to {target} ({problem.strerror}); nothing was changed."
        ) from problem
