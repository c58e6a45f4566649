"""Measure a backup of many files: peak memory, time and requests of each run, against the embedded AWS.

Run: python bench/agent_memory.py [--files 100000] [--changed 100]
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "scripts"), str(ROOT / "bench")]

from planted_state import change, plant  # noqa: E402

MIB = 1024 * 1024
LIMIT_MIB = 150


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: its wall clock in seconds, its peak resident memory in MiB, and its line in the log."""

    what: str
    exit_code: int
    seconds: float
    peak_mib: float
    line: dict[str, object]

    def __str__(self) -> str:
        requests = self.line.get("requests", {})
        return (
            f"{self.what:<28} exit {self.exit_code}  {self.seconds:7.1f} s  peak {self.peak_mib:6.1f} MiB  "
            f"{self.line.get('result')}  {json.dumps(requests)}"
        )


def measured(what: str, command: str, arguments: list[str], environment: dict[str, str], log: Path) -> Measured:
    """Run one command in a process of its own, so that its peak is its own."""
    began = time.monotonic()
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, str(ROOT / "scripts" / command), *arguments],
        environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    line = json.loads(log.read_text().splitlines()[-1]) if log.exists() else {}
    return Measured(
        what, os.waitstatus_to_exitcode(status), time.monotonic() - began, usage.ru_maxrss * 1024 / MIB, line
    )


def main() -> int:
    """Print one line a run; the exit code is 1 when a run fails or needs more memory than allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=100)
    chosen = parser.parse_args()

    from lab.aws.server import EmbeddedAws

    with tempfile.TemporaryDirectory(prefix="agent-memory-") as scratch, EmbeddedAws() as aws:
        folder = Path(scratch)
        state, agent = folder / "state", folder / "agent"
        state.mkdir()
        aws.client("s3").create_bucket(Bucket="bench")
        environment = {
            **os.environ,
            **aws.environment,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
            "OPENCLAW_AGENT_DIR": str(agent),
            "OPENCLAW_AGENT_SETTINGS": str(folder / "instance.json"),
            "OPENCLAW_INSTANCE_ID": "bench",
        }
        flags = ["--bucket", "bench", "--state-dir", str(state)]
        log = agent / "log" / "backup.log"
        plant(state, chosen.files)
        time.sleep(1.1)

        runs = [measured("first backup", "openclaw-s3-backup.py", flags, environment, log)]
        runs.append(measured("nothing changed", "openclaw-s3-backup.py", flags, environment, log))
        change(state, chosen.changed)
        runs.append(measured(f"{chosen.changed} files changed", "openclaw-s3-backup.py", flags, environment, log))
        restore_log = agent / "log" / "restore.log"
        runs.append(measured("restore", "openclaw-s3-restore.py", [*flags, "--force"], environment, restore_log))
    for run in runs:
        print(run, flush=True)
    worst = max(run.peak_mib for run in runs)
    print(f"{chosen.files:,} files: worst peak {worst:.1f} MiB of {LIMIT_MIB} MiB allowed")
    print(f"peak of the bench itself: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f} MiB")
    return 0 if worst < LIMIT_MIB and all(run.exit_code == 0 for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
