"""Measure final backups over a line on which every request takes as long as S3 takes: do they fit a spot notice?

Run: python bench/final_backup.py --rclone PROGRAM [--s5cmd PROGRAM] [--files 20000] [--changed 200]
`rclone serve s3` serves behind a relay that holds every answer back (--milliseconds). s5cmd does the same copies and
uploads over the same line in the same run. The exit code is 1 when a final backup fails,
or that of the changed files takes longer than --limit.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "scripts"), str(ROOT / "bench")]

from child_run import ChildRun, run_child  # noqa: E402
from planted_state import change, plant  # noqa: E402
from rclone_server import rclone_server  # noqa: E402
from slow_line import SlowLine, Traffic, slow_line  # noqa: E402

BUCKETS = ("agent", "fresh", "s5cmd")
# A notice comes two minutes before the end; the gateway's stop takes 55 s of it at most.
LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """One measured run, and what passed over the line."""

    what: str
    run: ChildRun
    traffic: Traffic
    is_final_backup: bool

    def text(self, beside: float | None) -> str:
        """The row of the table; `beside` are the seconds that the agent took for the same."""
        requests = self.traffic.requests.total()
        rate = requests / self.run.seconds
        ratio = f"{self.run.seconds / beside:7.2f}" if beside else "      -"
        failed = f"  exit {self.run.exit_code}: {self.run.complaint}" if self.run.exit_code else ""
        return (
            f"{self.what:<44} {self.run.seconds:8.1f} {self.run.cpu_seconds:8.1f} {requests:9,}"
            f" {self.traffic.at_once:8,} {rate:10,.0f} {self.run.peak_mib:9.1f} {ratio}{failed}"
        )


class Bench:
    """The agent's and its peer's commands, over the line or (for what is not measured) straight to the server."""

    def __init__(self, scratch: Path, served: Mapping[str, str], line: SlowLine) -> None:
        self._scratch = scratch
        self._line = line
        self._straight = {**os.environ, **served, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"}
        self.rows: list[Row] = []

    def agent(self, bucket: str, command: str, *words: str, what: str = "") -> None:
        """Run one of the agent's commands; it is measured, over the line, where `what` names it."""
        environment = {
            **self._straight,
            "OPENCLAW_AGENT_DIR": str(self._scratch / f"{bucket}-agent"),
            "OPENCLAW_AGENT_SETTINGS": str(self._scratch / "instance.json"),
            "OPENCLAW_INSTANCE_ID": "bench",
            "OPENCLAW_BOOT_ID": "bench",
        }
        place = ("--bucket", bucket, "--state-dir", str(self.state))
        self._run((sys.executable, str(ROOT / "scripts" / command), *place, *words), environment, what, final=True)

    def peer(self, program: str, *words: str, what: str) -> None:
        """Measure s5cmd, over the line."""
        command = (program, "--log", "error", "--endpoint-url", self._line.url, *words)
        self._run(command, self._straight, what, final=False)

    @property
    def state(self) -> Path:
        """The state folder."""
        return self._scratch / "state"

    def _run(self, command: tuple[str, ...], environment: Mapping[str, str], what: str, *, final: bool) -> None:
        if what:
            environment = {**environment, "AWS_ENDPOINT_URL": self._line.url}
            self._line.traffic()
        run = run_child(command, environment, self._scratch / "messages")
        if run.exit_code and not what:
            raise RuntimeError(f"{' '.join(command)}: {run.complaint}")
        if what:
            row = Row(what, run, self._line.traffic(), is_final_backup=final)
            self.rows.append(row)
            print(row.text(None), flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rclone", required=True, help="the rclone program, which serves")
    parser.add_argument("--s5cmd", help="the s5cmd program, to measure beside")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--changed", type=int, default=200)
    parser.add_argument("--milliseconds", type=float, default=100.0)
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS)
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="final-backup-") as folder,
        rclone_server(chosen.rclone, Path(folder) / "served", *BUCKETS) as served,
        slow_line(served["AWS_ENDPOINT_URL"], chosen.milliseconds / 1000) as line,
    ):
        bench = Bench(Path(folder), served, line)
        bench.state.mkdir()
        print(f"{'':<44}  seconds   of CPU  requests  at once requests/s  peak MiB   ratio")
        for bucket in ("agent", "fresh"):
            bench.agent(bucket, "openclaw-s3-restore.py", "boot", "--owner-wait", "0")
        plant(bench.state, chosen.files)
        time.sleep(1.1)
        bench.agent("agent", "openclaw-s3-backup.py")
        change(bench.state, chosen.changed)
        changed = f"final backup, {chosen.changed:,} files changed"
        bench.agent("agent", "openclaw-s3-backup.py", "--final", what=changed)
        everything = "final backup, every file new"
        bench.agent("fresh", "openclaw-s3-backup.py", "--final", what=everything)
        beside: dict[str, str] = {}
        if chosen.s5cmd:
            newest = max((Path(folder) / "served" / "agent" / "snapshots").iterdir()).name
            for workers in (128, 256):
                what = f"s5cmd cp, the same copies, {workers} at once"
                beside[what] = changed
                source = f"s3://agent/snapshots/{newest}/*"
                target = f"s3://s5cmd/copied-{workers}/"
                bench.peer(chosen.s5cmd, "--numworkers", str(workers), "cp", source, target, what=what)
            what = "s5cmd cp, the uploads alone, 128 at once"
            beside[what] = everything
            words = ("--numworkers", "128", "cp", f"{bench.state}/", "s3://s5cmd/uploaded/")
            bench.peer(chosen.s5cmd, *words, what=what)
    seconds = {row.what: row.run.seconds for row in bench.rows}
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"\n{chosen.files:,} files, {chosen.milliseconds:g} ms a request, {machine}")
    for row in bench.rows:
        print(row.text(seconds.get(beside.get(row.what, row.what))))
    finals = [row for row in bench.rows if row.is_final_backup]
    promised = finals[0]
    kept = promised.run.seconds <= chosen.limit
    print(f"Promised: {promised.what}, within {chosen.limit:g} s: {'kept' if kept else 'BROKEN'}.")
    return 0 if kept and not any(row.run.exit_code for row in finals) else 1


if __name__ == "__main__":
    sys.exit(main())
