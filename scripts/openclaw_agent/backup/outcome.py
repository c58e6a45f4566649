"""How a backup ended: codes and values for the machine; the sentences are printed where they arise. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from openclaw_agent.errors import AgentError, DatabaseDamaged, NotOwner, Refused


class BackupOutcome(StrEnum):
    """The code of a backup that ended well."""

    DONE = "done"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class BackupResult:
    """The code, and the snapshot that holds the state now."""

    outcome: BackupOutcome
    snapshot: str


def metrics_of(error: AgentError | None) -> list[str]:
    """What a backup adds one to: the alarms tell a failure from a refusal, and damage from both."""
    if error is None:
        return ["BackupSucceeded"]
    if isinstance(error, DatabaseDamaged):
        return ["BackupFailed", "DatabaseDamaged"]
    return ["BackupRefused"] if isinstance(error, Refused | NotOwner) else ["BackupFailed"]


def is_kept(error: AgentError) -> bool:
    """Whether a backup that raised has kept all there is, so that the lease may be released."""
    return isinstance(error, Refused | DatabaseDamaged)
