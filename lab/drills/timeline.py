"""When what happened in a drill: events, and spans taken from the gateway's answers and the agent's own log lines."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.report.record import DrillRecord, Event, Severity, Span, Track

AGENT_LOGS = "var/log/openclaw"
SHORTEST_OUTAGE = 0.5
# The result codes of the agent's log lines for what is as it should be; others are refusals and failures, or steps.
GOOD_RESULTS = frozenset(
    {
        "done",
        "unchanged",
        "restored",
        "kept",
        "already-restored",
        "first-boot",
        "ready",
        "listed",
        "verified",
        "compared",
    }
)


@dataclass(slots=True)
class Timeline:
    """The clock of one drill, and what it has seen. Safe to use from several threads."""

    record: DrillRecord
    # Seconds on a clock that only goes on; what it begins at says nothing.
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _ready_changes: list[tuple[float, str, bool]] = field(default_factory=list)
    _lines_seen: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def now(self) -> float:
        """Seconds since the drill began."""
        return self.clock() - self.began

    def note(self, track: Track, text: str, severity: Severity = Severity.NEUTRAL, *, at: float | None = None) -> None:
        """Note an event, now unless `at` says when."""
        self.record.events.append(Event(round(self.now() if at is None else at, 2), track, text, severity))

    def gateway_changed(self, instance_id: str, moment: float, ready: bool) -> None:
        """Take a change of readiness; `moment` is on the clock."""
        with self._lock:
            self._ready_changes.append((moment - self.began, instance_id, ready))

    def outages(self) -> list[tuple[float, float | None]]:
        """When no gateway was ready: from and until, None where it has not come back; the start is no outage."""
        ready: set[str] = set()
        found: list[tuple[float, float | None]] = []
        down_since: float | None = None
        for moment, instance_id, is_ready in sorted(self._ready_changes):
            (ready.add if is_ready else ready.discard)(instance_id)
            if ready and down_since is not None:
                found.append((down_since, moment))
                down_since = None
            elif not ready and down_since is None:
                down_since = moment
        if down_since is not None:
            found.append((down_since, None))
        return [row for row in found if row[1] is None or row[1] - row[0] >= SHORTEST_OUTAGE]

    def read_agent_logs(self, disk: Path, track: Track | None = None) -> None:
        """Turn the agent's log lines on a machine's disk into spans, each line once; `track` names the machine."""
        for command, command_track in (("backup", Track.BACKUP), ("restore", Track.RESTORE)):
            log = disk / AGENT_LOGS / f"{command}.log"
            if not log.exists():
                continue
            for line in log.read_text().splitlines():
                if line not in self._lines_seen:
                    self._lines_seen.add(line)
                    self._note_run(json.loads(line), track or command_track)

    def close(self) -> None:
        """Note the outages as spans, and how long the drill took."""
        for began, ended in self.outages():
            self.record.spans.append(
                Span(round(began, 2), round(ended or self.now(), 2), Track.GATEWAY, "gateway not ready", Severity.BAD)
            )
        self.record.seconds = round(self.now(), 1)
        self.record.events.sort(key=lambda event: event.at)
        self.record.spans.sort(key=lambda span: span.began)

    def _note_run(self, line: dict[str, Any], track: Track) -> None:
        ended = (datetime.fromisoformat(line["time"]) - self.began_at).total_seconds()
        began = ended - line["seconds"]
        if began < -1:
            return
        good = line["result"] in GOOD_RESULTS
        facts = [str(line["result"]), *(str(line[key]) for key in ("snapshot", "error") if line.get(key))]
        if "files" in line:
            facts.append(f"{line['files']} files")
        severity = Severity.GOOD if good else Severity.BAD if "error" in line else Severity.NEUTRAL
        self.record.spans.append(Span(round(max(began, 0), 2), round(ended, 2), track, ", ".join(facts), severity))
        frozen = float(line.get("freeze_ms") or 0)
        if frozen:
            # The line says how long, not when; a capture comes first in a backup.
            start = max(began, 0)
            self.record.spans.append(
                Span(round(start, 3), round(start + frozen / 1000, 3), Track.FREEZE, f"frozen for {frozen:.0f} ms")
            )
