"""Errors whose text is the sentence for the user; each knows its exit code."""

from openclaw_agent.exit_codes import ExitCode


class AgentError(Exception):
    """A run that failed for a reason the user can read."""

    exit_code = ExitCode.FAILED


class UsageError(AgentError):
    """A flag or a setting is missing, malformed or out of range."""

    exit_code = ExitCode.USAGE


class Refused(AgentError):
    """A guard stopped the run before it could do harm."""

    exit_code = ExitCode.REFUSED


class OverBudget(AgentError):
    """A backup would cost more than the day has left; nothing was written."""

    exit_code = ExitCode.OVER_BUDGET


class NotOwner(AgentError):
    """Another instance holds the lease; this one is fenced."""

    exit_code = ExitCode.NOT_OWNER


class Terminated(AgentError):
    """The run was asked to end (SIGTERM)."""

    exit_code = ExitCode.TERMINATED


class StoreError(AgentError):
    """S3 did not do what was asked, after retries."""


class ObjectMissing(StoreError):
    """The object does not exist; `key` names it."""

    def __init__(self, key: str) -> None:
        super().__init__(f"The object {key!r} does not exist in the bucket.")
        self.key = key


class ObjectUnavailable(StoreError):
    """A request for this object is refused, while others may well be answered: it is archived, or forbidden."""


class SourcesUnavailable(StoreError):
    """Objects cannot be copied, though they are there; `keys` name them."""

    def __init__(self, sentence: str, keys: frozenset[str]) -> None:
        super().__init__(sentence)
        self.keys = keys


class PreconditionFailed(StoreError):
    """A conditional write lost: somebody else wrote the object first."""


class CorruptObject(StoreError):
    """An object's bytes are not those its manifest promises."""


class ManifestInvalid(AgentError):
    """A manifest cannot be read, or does not agree with itself."""


class LeaseInvalid(AgentError):
    """The lease record in the bucket is none; it is never taken for "nobody holds the lease"."""


class ManifestTooNew(AgentError):
    """A manifest was written by a newer agent; no ManifestInvalid, since nothing older may be taken in its place."""


class LocalStorageError(AgentError):
    """The local disk is full, read-only, or refuses a file."""


class DoneWithGaps(AgentError):
    """Everything was backed up or restored but for some paths; `count` of all of them, accepted ones too."""

    exit_code = ExitCode.GAPS

    def __init__(self, sentence: str, count: int, *, databases: bool = False) -> None:
        super().__init__(sentence)
        self.count = count
        self.databases = databases
