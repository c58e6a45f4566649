"""How a backup ended: codes and values for the machine; the sentences are printed where they arise. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from openclaw_agent.errors import AgentError, DoneWithGaps, NotOwner, OverBudget, Refused

SKIPPED_METRIC = "Skipped"


class BackupOutcome(StrEnum):
    """The code of a backup that ended well."""

    DONE = "done"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class BackupResult:
    """The code, the snapshot that holds the state now, and how many accepted gaps it has."""

    outcome: BackupOutcome
    snapshot: str
    gaps: int = 0


def metrics_of(error: AgentError | None, gaps: int = 0) -> list[str]:
    """What a backup counts, a name for each time: the alarms tell a failure from a refusal, and damage from both.

    Accepted gaps are counted, and are no failure.
    """
    if error is None:
        return ["BackupSucceeded", *["Gaps"] * gaps]
    if isinstance(error, DoneWithGaps):
        return ["BackupFailed", *["DatabaseDamaged"] * error.databases, *["Gaps"] * error.count]
    return ["BackupRefused"] if isinstance(error, Refused | NotOwner | OverBudget) else ["BackupFailed"]


def is_kept(error: AgentError) -> bool:
    """Whether a backup that raised has kept all there is, so that the lease may be released."""
    return isinstance(error, Refused | DoneWithGaps)
