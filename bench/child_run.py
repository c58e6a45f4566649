"""Running one program to its end and measuring it."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ChildRun:
    """One run: its exit code, its wall clock in seconds, its peak resident memory in MiB, and what it complained of."""

    exit_code: int
    seconds: float
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
        peak = 0.0
        while child.poll() is None:
            peak = max(peak, _high_water_mib(child.pid))
            time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - began
    said = errors.read_text(errors="replace").strip().splitlines()
    return ChildRun(child.returncode, seconds, peak, said[-1] if said and child.returncode else "")


def _high_water_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
