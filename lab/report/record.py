"""What a drill leaves behind: its timeline and its verdict, for the table at the end and for the report. Pure."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Track(StrEnum):
    """The line of the timeline on which something happened."""

    DRILL = "drill"
    INSTANCE = "instance"
    REPLACEMENT = "replacement"
    GATEWAY = "gateway"
    BACKUP = "backup"
    FREEZE = "freeze"
    RESTORE = "restore"
    S3 = "S3"


class Severity(StrEnum):
    """How an event or a span is to be read: as it should be, a loss or an outage, or merely a step."""

    GOOD = "good"
    BAD = "bad"
    NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one moment: seconds since the drill began, and one short sentence."""

    at: float
    track: Track
    text: str
    severity: Severity = Severity.NEUTRAL


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted: from and until, in seconds since the drill began."""

    began: float
    ended: float
    track: Track
    text: str
    severity: Severity = Severity.NEUTRAL


@dataclass(slots=True)
class DrillRecord:
    """One drill: what was checked, what it cost, and when what happened.

    `lost_seconds` is the work that is gone: the time between the last thing that came back and the disaster (0.0 when
    nothing is lost, None when the drill is not about that). `ready_seconds` is the time from the disaster until the
    gateway answers /readyz with ready again (0.0 when it never ceased to, None when the drill is not about that).
    """

    number: int
    name: str
    title: str
    what_happened: str = ""
    lost_seconds: float | None = None
    ready_seconds: float | None = None
    seconds: float = 0.0
    failure: str = ""
    skipped: str = ""
    checks: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check holds and nothing was left out."""
        return not self.failure and not self.skipped

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Read what `encode_records` wrote for one record."""
        events = [
            Event(row["at"], Track(row["track"]), row["text"], Severity(row["severity"])) for row in fields["events"]
        ]
        spans = [
            Span(row["began"], row["ended"], Track(row["track"]), row["text"], Severity(row["severity"]))
            for row in fields["spans"]
        ]
        return cls(**{**fields, "events": events, "spans": spans})


def encode_records(records: Iterable[DrillRecord]) -> str:
    """Records as JSON text; `decode_records` reads it."""
    return json.dumps([asdict(record) for record in records], indent=2)


def decode_records(text: str) -> list[DrillRecord]:
    """The records of a JSON text that `encode_records` wrote."""
    return [DrillRecord.from_json(fields) for fields in json.loads(text)]
