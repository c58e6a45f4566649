"""Running one program to its end and measuring it."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ChildRun:
    """One run: its exit code, its wall clock and processor time in seconds, its peak resident memory in MiB.

    `complaint` is the last line of what it said, when it failed. The processor time is that of its children too.
    """

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    complaint: str


def run_child(command: Sequence[str], environment: Mapping[str, str], errors: Path) -> ChildRun:
    """Run a command whose messages go to the file `errors`.

    The peak is the kernel's high-water mark of the program's own memory, asked for every 20 ms: what wait4() tells
    counts the memory of the bench itself, which the child shared before it became another program.
    """
    began = time.monotonic()
    with errors.open("wb") as out:
        child = subprocess.Popen(  # noqa: S603 - programs that the bench names
            command, env=dict(environment), stdout=out, stderr=out
        )
        peak = _Peak(child.pid)
        peak.start()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        peak.join()
    said = errors.read_text(errors="replace").strip().splitlines()
    complaint = said[-1] if said and child.returncode else ""
    return ChildRun(child.returncode, seconds, usage.ru_utime + usage.ru_stime, peak.mib, complaint)


class _Peak(threading.Thread):
    """Looks at a process for as long as it lives."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self.mib = 0.0

    def run(self) -> None:
        while (now := self._high_water_mib()) is not None:
            self.mib = max(self.mib, now)
            time.sleep(POLL_SECONDS)

    def _high_water_mib(self) -> float | None:
        try:
            lines = self._status.read_text().splitlines()
        except OSError:
            return None
        # A process that has ended and is not yet waited for has no memory any more.
        return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)
