"""Restart a gateway that runs but no longer answers, with a limit (openclaw-health.timer runs this every minute)."""

from __future__ import annotations

import enum
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

UNIT = "openclaw.service"
HEALTH_URL = "http://127.0.0.1:18789/healthz"
ANSWER_SECONDS = 10
MOST_ANSWER_BYTES = 65_536
# Each of at most three calls of a check, beside the answer: all within TimeoutStartSec= of the unit.
SYSTEMCTL_SECONDS = 10
SILENT_CHECKS_BEFORE_RESTART = 5
RESTARTS_ALLOWED = 3
RESTART_WINDOW_SECONDS = 6 * 3600
RETRY_AFTER_SECONDS = 3600
REPORT_EVERY_SILENT_CHECKS = 60
# How a unit fails that systemd gave up on (systemd.exec(5), SERVICE_RESULT); a stop that had to be forced is "timeout".
GIVEN_UP_RESULTS = frozenset({"exit-code", "signal", "core-dump", "oom-kill", "start-limit-hit"})


class Verdict(enum.Enum):
    """What one check leads to; the values are the words of the log."""

    FINE = "answers"
    IDLE = "not running"
    SILENT = "silent"
    RESTART = "restarted"
    LIMIT = "restart limit reached"
    RETRY = "started again after systemd gave up"


REPORTED = frozenset({Verdict.RESTART, Verdict.LIMIT, Verdict.RETRY})


@dataclass(frozen=True, slots=True)
class Observation:
    """What one check saw: the unit's state as systemctl names it, and whether the gateway answered."""

    active_state: str
    result: str
    invocation: str
    answers: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept between checks: silent checks of the running invocation, our restarts and the failure's beginning.

    Times are seconds since the epoch; failed_since is None while the unit has not failed.
    """

    invocation: str = ""
    silent_checks: int = 0
    restarts: tuple[float, ...] = ()
    failed_since: float | None = None


def judge(memory: Memory, seen: Observation, now: float) -> tuple[Memory, Verdict]:
    """Decide on one check, and return what to remember.

    A stopped gateway is left alone: an operator, a fence or a spot notice stopped it. One that failed until systemd
    gave up is tried again after an hour (a masked one is not).
    """
    recent = tuple(moment for moment in memory.restarts if now - moment < RESTART_WINDOW_SECONDS)
    if seen.active_state == "failed" and seen.result in GIVEN_UP_RESULTS:
        since = now if memory.failed_since is None else memory.failed_since
        if now - since < RETRY_AFTER_SECONDS:
            return Memory(restarts=recent, failed_since=since), Verdict.IDLE
        return Memory(restarts=recent), Verdict.RETRY
    if seen.active_state != "active":
        return Memory(restarts=recent), Verdict.IDLE
    if seen.answers:
        return Memory(seen.invocation, restarts=recent), Verdict.FINE
    silent = memory.silent_checks + 1 if memory.invocation == seen.invocation else 1
    if silent < SILENT_CHECKS_BEFORE_RESTART:
        return Memory(seen.invocation, silent, recent), Verdict.SILENT
    if len(recent) < RESTARTS_ALLOWED:
        return Memory(seen.invocation, restarts=(*recent, now)), Verdict.RESTART
    due = (silent - SILENT_CHECKS_BEFORE_RESTART) % REPORT_EVERY_SILENT_CHECKS == 0
    return Memory(seen.invocation, silent, recent), Verdict.LIMIT if due else Verdict.SILENT


class _Arrived(io.RawIOBase):
    """What a connection brings until a deadline, and no more than MOST_ANSWER_BYTES of it."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._left = MOST_ANSWER_BYTES

    def readable(self) -> bool:
        """It is read, and nothing else."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Wait for the next bytes.

        Raises:
            TimeoutError: when the deadline has passed, however much came until then.
        """
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the answer was not complete in time")
        self._connection.settimeout(seconds)
        count = self._connection.recv_into(buffer, min(len(buffer), self._left)) if self._left else 0
        self._left -= count
        return count

    def makefile(self, *_mode: object) -> io.BufferedReader:
        """What `http.client` asks of a socket."""
        return io.BufferedReader(self)


def gateway_answers(url: str = HEALTH_URL, timeout: float = ANSWER_SECONDS) -> bool:
    """Tell whether /healthz answers with JSON that says ok (the control UI answers unknown paths with 200 and HTML).

    The gateway may be hostile: nothing but a whole answer of its own within `timeout` seconds is health. A redirect is
    none, nor is what drips, has no end, or cannot be read.
    """
    deadline = time.monotonic() + timeout
    place = urllib.parse.urlsplit(url)
    request = f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((place.hostname or "", place.port or 80), timeout) as connection:
            connection.sendall(request.encode())
            response = http.client.HTTPResponse(_Arrived(connection, deadline))  # type: ignore[arg-type]
            response.begin()
            answer = json.loads(response.read()) if response.status == http.HTTPStatus.OK else None
    except Exception:  # noqa: BLE001 - whatever it answers with, RecursionError included: the silence is counted
        return False
    return isinstance(answer, dict) and answer.get("ok") is True


def observe() -> Observation:
    """Ask systemd for the unit and, if it runs, the gateway for its health."""
    names = "ActiveState,Result,InvocationID"
    shown = subprocess.run(  # noqa: S603 (fixed words)
        ["/usr/bin/systemctl", "show", UNIT, f"--property={names}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=SYSTEMCTL_SECONDS,
    ).stdout
    properties = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    state = properties.get("ActiveState", "")
    return Observation(
        active_state=state,
        result=properties.get("Result", ""),
        invocation=properties.get("InvocationID", ""),
        answers=state == "active" and gateway_answers(),
    )


def load_memory(path: Path) -> Memory:
    """Read what was kept; a missing or damaged file counts as nothing kept."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        since = kept["failed_since"]
        return Memory(
            invocation=str(kept["invocation"]),
            silent_checks=int(kept["silent_checks"]),
            restarts=tuple(float(moment) for moment in kept["restarts"]),
            failed_since=None if since is None else float(since),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Memory()


def act(verdict: Verdict) -> None:
    """Carry out a verdict; the jobs are only queued, so that this check ends before the gateway is back."""
    systemctl = "/usr/bin/systemctl"
    if verdict is Verdict.RETRY:
        subprocess.run([systemctl, "reset-failed", UNIT], check=True, timeout=SYSTEMCTL_SECONDS)  # noqa: S603 (fixed words)
        subprocess.run([systemctl, "start", "--no-block", UNIT], check=True, timeout=SYSTEMCTL_SECONDS)  # noqa: S603 (fixed words)
    elif verdict is Verdict.RESTART:
        subprocess.run([systemctl, "restart", "--no-block", UNIT], check=True, timeout=SYSTEMCTL_SECONDS)  # noqa: S603 (fixed words)


def report(verdict: Verdict, seen: Observation, memory: Memory, now: float, log: Path) -> None:
    """Append one JSON line for the log group, and say the same on standard error for the journal."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    line = {
        "time": moment,
        "command": "openclaw-health",
        "result": verdict.value,
        "unit_state": seen.active_state,
        "restarts_in_6_hours": len(memory.restarts),
    }
    with log.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
    print(f"gateway: {verdict.value} ({len(memory.restarts)} restarts by this watchdog in 6 h)", file=sys.stderr)


def check(memory_file: Path, log: Path, look: Callable[[], Observation] = observe, now: float | None = None) -> Verdict:
    """Run one check from observation to action."""
    moment = time.time() if now is None else now
    before, seen = load_memory(memory_file), look()
    after, verdict = judge(before, seen, moment)
    if after != before:
        memory_file.write_text(json.dumps(asdict(after)), encoding="utf-8")
    if verdict in REPORTED:
        report(verdict, seen, after, moment, log)
    act(verdict)
    return verdict


if __name__ == "__main__":
    logs = Path(os.environ.get("OPENCLAW_LOG_DIR", "/var/log/openclaw"))
    kept_in = Path(os.environ.get("STATE_DIRECTORY", "/var/lib/openclaw-health"))
    check(kept_in / "memory.json", logs / "health.log")
