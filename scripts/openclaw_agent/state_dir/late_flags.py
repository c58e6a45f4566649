"""Flags of what a restore has built: given once it lies in the state folder, also where the restore was cut off.

An immutable file could not be moved there, so that its flags come after the swap. They are noted before it, with the
inode under which each file was built: only that very file is given them by whoever takes the agent's lock next.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from openclaw_agent.agent_dir.aside import AsideRecords, LateFlags
from openclaw_agent.fs.attributes import set_flags
from openclaw_agent.fs.confined import ConfinedDir


def note_late_flags(records: AsideRecords, building: Path, state_dir: Path, flags: Mapping[str, str]) -> None:
    """Note which flags (letters by path) what was built in `building` is to have once it is swapped in."""
    if not flags:
        return
    rows: dict[str, tuple[str, int]] = {}
    with ConfinedDir(building) as top:
        for path, letters in flags.items():
            # What could not be built is told elsewhere.
            with contextlib.suppress(OSError):
                rows[path] = letters, _inode(top, path)
    records.note_late_flags(LateFlags(str(state_dir), rows))


def give_noted_flags(records: AsideRecords) -> str:
    """Give the flags that a restore was cut off before; return a sentence, "" where none were noted.

    Raises:
        LocalStorageError: when the record cannot be read.
    """
    late = records.late_flags()
    if late is None:
        return ""
    given = 0
    with contextlib.suppress(OSError), ConfinedDir(Path(late.state)) as top:
        for path, (letters, inode) in late.rows.items():
            with contextlib.suppress(OSError):
                given += _give(top, path, letters, inode)
    records.forget_late_flags()
    files = f"{given} restored file{'s' if given > 1 else ''}"
    return f"Gave {files} in {late.state} the flags (chattr) that a restore was cut off before." if given else ""


def _give(top: ConfinedDir, path: str, letters: str, inode: int) -> bool:
    handle = top.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if os.fstat(handle).st_ino != inode:
            return False
        set_flags(handle, letters)
        return True
    finally:
        os.close(handle)


def _inode(top: ConfinedDir, path: str) -> int:
    handle = top.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.fstat(handle).st_ino
    finally:
        os.close(handle)
