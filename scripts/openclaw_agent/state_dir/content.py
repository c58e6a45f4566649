"""What the state folder holds, asked without S3."""

from pathlib import Path

from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.walk import walk


def holds_files(folder: Path, exclusions: Exclusions) -> bool:
    """Whether there is a regular file that a backup would take: empty folders alone are no state.

    What cannot be read may well be one.

    Raises:
        AgentError: when the folder itself cannot be read.
    """
    if not folder.is_dir():
        return False
    tree = walk(folder, exclusions)
    return tree.file_count() > 0 or bool(tree.unreadable)
