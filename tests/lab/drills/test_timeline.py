import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.drills.timeline import Timeline
from lab.report.record import DrillRecord, Severity, Track
from openclaw_agent.backup.outcome import BackupOutcome
from openclaw_agent.boot.boot import BootOutcome

BEGAN = 5.0


@dataclass(slots=True)
class Clock:
    """A clock that stands where it is put; no test may depend on how long its machine has been up."""

    now: float = BEGAN

    def __call__(self) -> float:
        return self.now


def timeline(clock: Clock | None = None) -> Timeline:
    return Timeline(DrillRecord(1, "name", "Title"), clock=clock or Clock(), began_at=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("changes", "outages"),
    [
        ([], []),
        ([(0, "a", True)], []),
        ([(5, "a", True)], []),
        ([(0, "a", True), (5, "a", False), (20, "a", True)], [(5, 20)]),
        ([(0, "a", True), (5, "a", False)], [(5, None)]),
        ([(0, "a", True), (5, "a", False), (30, "b", True), (31, "a", False)], [(5, 30)]),
        ([(0, "a", True), (4, "b", True), (5, "a", False)], []),
        ([(0, "a", True), (5, "a", False), (5.2, "a", True)], []),
        ([(0, "a", True), (5, "a", False), (9, "a", True), (20, "a", False), (30, "a", True)], [(5, 9), (20, 30)]),
    ],
)
def test_an_outage_is_when_no_gateway_is_ready(
    changes: list[tuple[float, str, bool]], outages: list[tuple[float, float | None]]
) -> None:
    seen = timeline()
    for moment, instance_id, ready in reversed(changes):
        seen.gateway_changed(instance_id, BEGAN + moment, ready)
    assert seen.outages() == outages


def log_line(**facts: object) -> str:
    ended = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=10)
    return json.dumps({"time": ended.isoformat(), "seconds": 4.0, **facts}) + "\n"


def test_the_agents_log_becomes_spans_once(tmp_path: Path) -> None:
    log = tmp_path / "var/log/openclaw/backup.log"
    log.parent.mkdir(parents=True)
    log.write_text(log_line(result="done", snapshot="2026-01-01-00-00", files=7, freeze_ms=30.0))
    seen = timeline()
    for _reading in range(2):
        seen.read_agent_logs(tmp_path)
    run, freeze = seen.record.spans
    assert (run.began, run.ended, run.track, run.severity) == (6, 10, Track.BACKUP, Severity.GOOD)
    assert run.text == "done, 2026-01-01-00-00, 7 files"
    assert freeze.track is Track.FREEZE
    assert freeze.ended - freeze.began == pytest.approx(0.03)


@pytest.mark.parametrize("code", [*BootOutcome, *BackupOutcome, "verified"], ids=str)
def test_every_code_of_a_run_that_ended_well_is_good(tmp_path: Path, code: str) -> None:
    log = tmp_path / "var/log/openclaw/restore.log"
    log.parent.mkdir(parents=True)
    log.write_text(log_line(result=str(code)))
    seen = timeline()
    seen.read_agent_logs(tmp_path)
    (run,) = seen.record.spans
    assert (run.severity, run.text) == (Severity.GOOD, str(code))


def test_a_run_that_failed_is_bad_and_one_from_before_the_drill_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "var/log/openclaw/restore.log"
    log.parent.mkdir(parents=True)
    before = json.dumps({"time": "2025-12-31T23:59:50+00:00", "seconds": 1.0, "result": "restored"})
    log.write_text(f"{before}\n" + log_line(result="failed", error="S3 cannot be reached"))
    seen = timeline()
    seen.read_agent_logs(tmp_path)
    (run,) = seen.record.spans
    assert (run.track, run.severity, run.text) == (Track.RESTORE, Severity.BAD, "failed, S3 cannot be reached")


def test_an_outage_that_has_not_ended_lasts_until_the_drill_does() -> None:
    clock = Clock()
    seen = timeline(clock)
    seen.gateway_changed("a", BEGAN + 1, True)
    seen.gateway_changed("a", BEGAN + 2, False)
    clock.now = BEGAN + 7
    seen.close()
    (span,) = seen.record.spans
    assert (span.began, span.track, span.severity) == (2, Track.GATEWAY, Severity.BAD)
    assert span.ended == 7
