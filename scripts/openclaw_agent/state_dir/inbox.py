"""The inbox beside the state folder: root's alone, for an operator's plain copy of a snapshot.

The gateway owns the state folder, so that nothing in it can be an instruction; it cannot even look into the inbox.
"""

import os
import stat
from pathlib import Path

from openclaw_agent.errors import LocalStorageError, Refused
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.fs.removal import remove_content

INBOX_SUFFIX = ".incoming"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def inbox_of(state_dir: Path) -> Path:
    """Where the inbox of a state folder is."""
    return state_dir.with_name(state_dir.name + INBOX_SUFFIX)


def open_inbox(state_dir: Path) -> ConfinedDir | None:
    """The inbox, or None where there is none or nothing is in it; the caller closes it.

    Raises:
        Refused: when it is no folder, or anybody else may write into it.
    """
    place = inbox_of(state_dir)
    try:
        inbox = ConfinedDir(place, follow=False)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise Refused(
            f"Refused: {place} is no folder that can be read ({problem.strerror}); move it away."
        ) from problem
    status = inbox.status()
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS_MAY_WRITE:
        inbox.close()
        raise Refused(
            f"Refused: others than uid {os.geteuid()} may write into {place}, so what lies in it cannot be trusted; "
            "look at it, then remove it."
        )
    if not inbox.names():
        inbox.close()
        return None
    return inbox


def empty_inbox(state_dir: Path) -> None:
    """Remove what lies in the inbox, once it is in place.

    Raises:
        LocalStorageError: when it cannot be removed; it would be put in place again at the next start.
    """
    place = inbox_of(state_dir)
    try:
        remove_content(place)
    except OSError as problem:
        raise LocalStorageError(
            f"The inbox {place} cannot be emptied ({problem.strerror}); empty it by hand."
        ) from problem
