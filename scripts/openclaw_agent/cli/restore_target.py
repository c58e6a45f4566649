"""The folder that `--to` names: where it really is, and whether a restore may fill it."""

import os
from pathlib import Path

from openclaw_agent.errors import UsageError


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
