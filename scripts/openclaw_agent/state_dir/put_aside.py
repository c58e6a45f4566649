"""What restores have put aside: kept until a good backup, and removed only where a record proves whose it is."""

import contextlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path

from openclaw_agent.agent_dir.aside import NOT_MADE_YET, AsideRecords, MadeFolder
from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.removal import remove_empty_folder, remove_tree
from openclaw_agent.state_dir.staging import remove_work_folder, work_folder

PREVIOUS_INFIX = ".before-restore-"
STAMP_FORMAT = "%Y%m%dT%H%M%S%fZ"
_STAMP = re.compile(r"\d{8}T\d{12}Z")
# A rename sets a folder's ctime; the name was made right before.
RENAMED_WITHIN_SECONDS = 60


def aside_path(state_dir: Path) -> Path:
    """A name under which a restore can put aside what it replaces."""
    return work_folder(state_dir) / f"{state_dir.name}{PREVIOUS_INFIX}{datetime.now(UTC).strftime(STAMP_FORMAT)}"


def remove_put_aside(records: AsideRecords, state_dir: Path) -> list[str]:
    """Remove what restores have put aside; return a sentence for each folder that could not be removed.

    Called after a good backup of the state that replaced it. What is in it alone stays, and so does what no record
    names, and what an agent of another time seems to have left but nothing proves.
    """
    told: list[str] = []
    try:
        known = records.put_aside()
    except LocalStorageError as problem:
        return [f"Warning: what restores have put aside stays. {problem}"]
    for made in known:
        if made.only_copies and made.is_there():
            continue
        told += _removed(made)
        if not made.is_there():
            records.forget_put_aside(made.path)
    recorded = {made.path for made in known}
    for place in (place for place in _of_earlier_agents(state_dir) if str(place) not in recorded):
        told += _removed(MadeFolder(str(place), place.lstat().st_ino))
    return told


def _removed(made: MadeFolder) -> list[str]:
    place = Path(made.path)
    try:
        if made.is_there():
            remove_tree(place)
        elif made.inode == NOT_MADE_YET and place.is_dir() and not place.is_symlink():
            with contextlib.suppress(OSError):
                remove_empty_folder(place)
        remove_work_folder(place.parent)
    except OSError as problem:
        return [
            f"Warning: {place}, which a restore has put aside, cannot be removed ({problem.strerror}: "
            f"{problem.filename or place}); remove it by hand, or it takes room for ever."
        ]
    return []


def _of_earlier_agents(state_dir: Path) -> list[Path]:
    """Folders that agents without records have put aside: by the exact name, and renamed in the instant it tells."""
    begin = state_dir.name + PREVIOUS_INFIX
    found = []
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(state_dir.parent)):  # noqa: PTH208 - names alone
            place = state_dir.parent / name
            if name.startswith(begin) and _is_proved(place, name.removeprefix(begin)):
                found.append(place)
    return found


def _is_proved(place: Path, stamp: str) -> bool:
    if not _STAMP.fullmatch(stamp) or place.is_symlink() or not place.is_dir():
        return False
    try:
        instant = datetime.strptime(stamp, STAMP_FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return False
    return abs(place.lstat().st_ctime - instant) < RENAMED_WITHIN_SECONDS
