"""The staging directories in which a restore is built, and how what was built gets to its place."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.atomic import exchange, sync_folder

STAGING_SUFFIX = ".restoring"
PREVIOUS_INFIX = ".before-restore-"


def fresh_staging_dir(state_dir: Path) -> Path:
    """An empty sibling of the state folder; what a broken restore left there is removed.

    Raises:
        LocalStorageError: when it cannot be created.
    """
    building = state_dir.with_name(state_dir.name + STAGING_SUFFIX)
    try:
        if building.is_symlink() or building.is_file():
            building.unlink()
        elif building.exists():
            shutil.rmtree(building)
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        building.mkdir(mode=0o700)
    except OSError as problem:
        raise LocalStorageError(
            f"The folder {building} cannot be created ({problem.strerror or problem}); the state in place is untouched."
        ) from problem
    return building


@contextlib.contextmanager
def staging_beside(state_dir: Path) -> Iterator[Path]:
    """A fresh building folder, of which a failure or an interruption leaves nothing."""
    building = fresh_staging_dir(state_dir)
    try:
        yield building
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


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


def swap_in(building: Path, state_dir: Path) -> Path | None:
    """Swap the built state in; return where the old one is kept, or None when there was none.

    Raises:
        LocalStorageError: when the swap fails; the old state is in place then, and what was built is removed.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    previous = state_dir.with_name(f"{state_dir.name}{PREVIOUS_INFIX}{stamp}")
    try:
        if not os.path.lexists(state_dir):
            building.rename(state_dir)
            sync_folder(state_dir.parent)
            return None
        if exchange(building, state_dir):
            try:
                building.rename(previous)
            except OSError:
                exchange(building, state_dir)
                raise
        else:
            state_dir.rename(previous)
            try:
                building.rename(state_dir)
            except OSError:
                previous.rename(state_dir)
                raise
        sync_folder(state_dir.parent)
    except OSError as problem:
        shutil.rmtree(building, ignore_errors=True)
        raise LocalStorageError(
            f"The restored state cannot be moved to {state_dir} ({problem.strerror}); the old state is in place."
        ) from problem
    return previous


def previous_states(state_dir: Path) -> list[Path]:
    """The old states that restores have put aside, oldest first."""
    return sorted(state_dir.parent.glob(_glob_escape(state_dir.name) + PREVIOUS_INFIX + "*"))


def remove_previous_states(state_dir: Path) -> None:
    """Remove what restores have put aside: a good backup of the state that replaced them exists."""
    for folder in previous_states(state_dir):
        with contextlib.suppress(OSError):
            shutil.rmtree(folder) if folder.is_dir() and not folder.is_symlink() else folder.unlink()


def _glob_escape(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


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
