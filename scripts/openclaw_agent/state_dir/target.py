"""The folder that `--to` names: where it really is, and building in it so that a failure leaves nothing behind."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from openclaw_agent.errors import LocalStorageError, UsageError
from openclaw_agent.fs.atomic import sync_folder
from openclaw_agent.state_dir.staging import STAGING_SUFFIX


def resolve_target(text: str, state_dir: Path) -> Path:
    """The folder itself, symlinks followed.

    Raises:
        UsageError: when it is neither empty nor new, or has to do with the state folder.
    """
    target = Path(os.path.realpath(text))
    if target == state_dir or target in state_dir.parents or state_dir in target.parents:
        raise UsageError(
            f"--to {text} is not allowed: {target} and the state folder {state_dir} must lie beside each other, "
            "neither in the other."
        )
    try:
        usable = _is_new(target) or (target.is_dir() and not any(target.iterdir()))
    except OSError as problem:
        raise UsageError(f"The folder {target} cannot be looked into ({problem.strerror}).") from problem
    if not usable:
        raise UsageError(f"The folder {target} is not empty; --to needs an empty or new folder.")
    return target


def _is_new(target: Path) -> bool:
    try:
        target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    return False


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
        _remove(building, but_the_folder=is_there)
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


def _remove(building: Path, *, but_the_folder: bool) -> None:
    if not but_the_folder:
        shutil.rmtree(building, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        for row in list(building.iterdir()):
            if row.is_dir() and not row.is_symlink():
                shutil.rmtree(row, ignore_errors=True)
            else:
                row.unlink(missing_ok=True)
