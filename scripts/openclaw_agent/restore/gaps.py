"""What a restore may lack: which files are worth an older restore point rather than their absence. Pure."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openclaw_agent.errors import DoneWithGaps, ObjectUnavailable, StoreError
from openclaw_agent.snapshot.manifest import Entry, Gap
from openclaw_agent.state_dir.openclaw import CONFIG_FILE

WORKSPACES = "workspace"
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Lost:
    """A file whose content was found nowhere, where it was to be written, and why."""

    target: Path
    problem: StoreError


@dataclass(frozen=True, slots=True)
class LostEntry:
    """The same, as the restore point has it."""

    entry: Entry
    problem: StoreError

    @property
    def gap(self) -> Gap:
        """What the next backups say of it."""
        return Gap(self.entry.path, f"it could not be restored ({str(self.problem).rstrip('.')})", missing=True)

    @property
    def may_be_had_later(self) -> bool:
        """Whether its object is worth being kept."""
        return isinstance(self.problem, ObjectUnavailable)


MayLack = Callable[[Sequence[Entry], int], bool]


def nothing(_lost: Sequence[Entry], _files: int) -> bool:
    """No file may be lacking."""
    return False


def few(lost: Sequence[Entry], files: int) -> bool:
    """Where there is a choice: few files may be lacking, and none without which the gateway is another one."""
    return is_not_essential(lost, files) and (len(lost) == 1 or 10 * len(lost) <= files)


def is_not_essential(lost: Sequence[Entry], files: int) -> bool:
    """What is asked for by its name: all but the configuration and the gateway's databases may be lacking."""
    return len(lost) < files and not any(_is_essential(entry) for entry in lost)


def anything(lost: Sequence[Entry], files: int) -> bool:
    """To be looked at: whatever there is."""
    return len(lost) < files


def _is_essential(entry: Entry) -> bool:
    return entry.path == CONFIG_FILE or (entry.database and not entry.path.startswith(WORKSPACES))


def restored_with_gaps(gaps: Sequence[Gap], snapshot: str) -> DoneWithGaps | None:
    """The sentence for the user; None where nothing is lacking."""
    if not gaps:
        return None
    named = ". ".join(f"{gap.path!r}: {gap.reason}" for gap in gaps[:MOST_NAMED])
    more = f". And {len(gaps) - MOST_NAMED} more" if len(gaps) > MOST_NAMED else ""
    path = shlex.quote(gaps[0].path)
    return DoneWithGaps(
        f"Everything is restored, but for {len(gaps)} file{'s' if len(gaps) > 1 else ''}. {named}{more}. Once it can "
        f"be had, openclaw-s3-restore.py run --snapshot {snapshot} --path {path} brings it back; if it may be missing, "
        f"openclaw-s3-backup.py --accept-gap {path} says so.",
        len(gaps),
    )
