"""The record of a run: one JSON line in a log file. What a person reads meanwhile goes by `logging`."""

import json
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from openclaw_agent.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RunRecord:
    """One run of one command: its facts are collected on the way and written once, whatever the result."""

    command: str
    settings: Settings
    began: float = field(default_factory=time.monotonic)
    facts: dict[str, object] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, **facts: object) -> None:
        """Remember facts for the line."""
        self.facts.update(facts)

    def count(self, metric: str, value: int) -> None:
        """Remember how many of something a metric counts in this run; none is not sent."""
        self.counts[metric] = value

    def line(self, result: str) -> dict[str, object]:
        """The run as one JSON object."""
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "command": self.command,
            "stack": self.settings.stack,
            "bucket": self.settings.bucket,
            "result": result,
            "seconds": round(time.monotonic() - self.began, 3),
            **self.facts,
        }

    def write(self, result: str) -> dict[str, object]:
        """Append the run's line to its log file; a full or missing disk costs the line, never the run."""
        line = self.line(result)
        target: Path = self.settings.log_dir / f"{self.command}.log"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("a") as out:
                out.write(json.dumps(line) + "\n")
        except OSError as problem:
            _log.warning("The log %s cannot be written (%s); the run itself is not affected.", target, problem.strerror)
        return line
