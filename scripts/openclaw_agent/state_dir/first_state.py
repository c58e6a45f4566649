"""The state that a first boot begins with: the folder, and the minimal configuration where the gateway has none."""

import errno
import os
from pathlib import Path

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.state_dir.openclaw import CONFIG_FILE


def make_first_state(state_dir: Path, minimal_config: Path, owner: int | None) -> None:
    """Make the folder and the configuration, where `minimal_config` exists; give them to `owner` unless None.

    Whatever has the configuration's name stays, a dangling link too: what the gateway left there is not followed.

    Raises:
        LocalStorageError: when the disk refuses it.
    """
    try:
        # Above it everything is root's.
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ConfinedDir(state_dir, follow=False) as top:
            if minimal_config.exists():
                _write(top, minimal_config.read_bytes(), owner)
            if owner is not None:
                top.give_to(owner)
    except OSError as problem:
        raise LocalStorageError(f"The state folder {state_dir} cannot be prepared ({problem.strerror}).") from problem


def _write(top: ConfinedDir, content: bytes, owner: int | None) -> None:
    try:
        handle = top.create(CONFIG_FILE, 0o600)
    except OSError as problem:
        if problem.errno == errno.EEXIST:
            return
        raise
    with os.fdopen(handle, "wb") as writing:
        writing.write(content)
        if owner is not None:
            os.fchown(handle, owner, owner)
