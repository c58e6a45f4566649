"""Measure a backup of many files: peak memory, time and requests of each run, against what was promised.

Run: python bench/agent_memory.py [--files 100000] [--changed 100] [--rclone PROGRAM]
The server is the embedded AWS, or `rclone serve s3`, which is many times faster.
"""

import argparse
import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "scripts"), str(ROOT / "bench")]

from planted_state import change, plant  # noqa: E402
from rclone_server import rclone_server  # noqa: E402

MIB = 1024 * 1024
LIMIT_MIB = 150_000_000 / MIB
BUCKET = "bench"


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: its wall clock in seconds, its peak resident memory in MiB, and its line in the log."""

    what: str
    exit_code: int
    seconds: float
    peak_mib: float
    line: dict[str, Any]

    @property
    def requests(self) -> int:
        """How many requests the run made of S3."""
        return sum(self.line.get("requests", {}).values())

    def __str__(self) -> str:
        requests = self.line.get("requests", {})
        return (
            f"{self.what:<28} exit {self.exit_code}  {self.seconds:7.1f} s  peak {self.peak_mib:6.1f} MiB  "
            f"{self.line.get('result')}  {json.dumps(requests)}"
        )


def measured(what: str, command: str, arguments: list[str], environment: dict[str, str], log: Path) -> Measured:
    """Run one command in a process of its own, so that its peak is its own; what it says goes beside its log."""
    began = time.monotonic()
    said = said_beside(log)
    said.parent.mkdir(parents=True, exist_ok=True)
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, str(ROOT / "scripts" / command), *arguments],
        environment,
        file_actions=[(os.POSIX_SPAWN_OPEN, 2, str(said), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)],
    )
    _, status, usage = os.wait4(child, 0)
    line = json.loads(log.read_text().splitlines()[-1]) if log.exists() else {}
    return Measured(
        what, os.waitstatus_to_exitcode(status), time.monotonic() - began, usage.ru_maxrss * 1024 / MIB, line
    )


def said_beside(log: Path) -> Path:
    """Where what a command says is kept."""
    return log.with_suffix(".stderr")


@contextlib.contextmanager
def server(rclone: str | None, folder: Path) -> Iterator[dict[str, str]]:
    """Serve an empty bucket, and yield the environment that points the agent at it."""
    if rclone:
        with rclone_server(rclone, folder, BUCKET) as environment:
            yield environment
        return
    from lab.moto.server import EmbeddedAws

    with EmbeddedAws() as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET)
        yield aws.environment


def main() -> int:
    """Print one line a run; the exit code is 1 when a run fails or needs more memory than allowed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=100)
    parser.add_argument("--rclone", help="the rclone program to serve S3 with (default: the embedded AWS serves)")
    chosen = parser.parse_args()

    with (
        tempfile.TemporaryDirectory(prefix="agent-memory-") as scratch,
        server(chosen.rclone, Path(scratch) / "served") as served,
    ):
        folder = Path(scratch)
        state, agent = folder / "state", folder / "agent"
        state.mkdir()
        environment = {
            **os.environ,
            **served,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
            "OPENCLAW_AGENT_DIR": str(agent),
            "OPENCLAW_AGENT_SETTINGS": str(folder / "instance.json"),
            "OPENCLAW_INSTANCE_ID": "bench",
        }
        flags = ["--bucket", BUCKET, "--state-dir", str(state)]
        log = agent / "log" / "backup.log"
        plant(state, chosen.files)
        time.sleep(1.1)

        runs: list[Measured] = []
        broken: list[str] = []

        def run(what: str, command: str, arguments: list[str], log: Path, at_most: int) -> None:
            row = measured(what, command, arguments, environment, log)
            runs.append(row)
            print(row, flush=True)
            if row.exit_code:
                broken.append(said_beside(log).read_text().strip()[-1000:])
            if row.exit_code or row.requests > at_most:
                broken.append(f"{what}: exit code {row.exit_code}, {row.requests:,} requests of {at_most:,} allowed")

        backup = "openclaw-s3-backup.py"
        run("first backup", backup, flags, log, 2 * chosen.files + 12)
        run("nothing changed", backup, flags, log, 2)
        change(state, chosen.changed)
        run(f"{chosen.changed} files changed", backup, flags, log, chosen.files + chosen.changed + 6)
        restore = "openclaw-s3-restore.py"
        run("restore by hand", restore, [*flags, "run", "--force"], agent / "log" / "restore.log", chosen.files + 9)
        environment |= {"OPENCLAW_AGENT_DIR": str(folder / "another"), "OPENCLAW_INSTANCE_ID": "another"}
        boot = ["--bucket", BUCKET, "--state-dir", str(folder / "restored"), "boot", "--owner-wait", "0"]
        # A boot also lists what lies in latest/, a thousand objects a request.
        at_most = chosen.files + chosen.files // 1000 + 12
        run("boot of a new machine", restore, boot, folder / "another" / "log" / "restore.log", at_most)
    worst = max(run.peak_mib for run in runs)
    print(f"{chosen.files:,} files: worst peak {worst:.1f} MiB of {LIMIT_MIB:.1f} MiB (150 MB) allowed")
    print(f"peak of the bench itself: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f} MiB")
    print("\n".join(broken) or "No run asked more of S3 than promised.")
    return 0 if worst < LIMIT_MIB and not broken else 1


if __name__ == "__main__":
    sys.exit(main())
