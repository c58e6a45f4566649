"""What the state folder holds, asked without S3."""

from pathlib import Path

from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.walk import walk


def holds_files(folder: Path, exclusions: Exclusions) -> bool:
    """Whether there is a regular file that a backup would take: empty folders alone are no state.

    Raises:
        AgentError: when a folder in it cannot be read.
    """
    return folder.is_dir() and walk(folder, exclusions).file_count() > 0
