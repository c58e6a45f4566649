"""Back the same states up and restore them with the agent and its peers, over lines of several lengths.

Run by `make bench` (QUICK=1: two small rounds in under 3 minutes). One compiled server, `rclone serve s3`, behind a
relay that holds every answer back and counts what passes. In each cycle the programs take turns. The rows go to
--results as JSON; bench/report.py makes docs/benchmarks.md of them. The exit code is 1 when a program fails or restores
other bytes.
"""

import argparse
import dataclasses
import filecmp
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "scripts"), str(ROOT / "bench")]

from child_run import ChildRun, run_child  # noqa: E402
from peers import AGENT, PEERS, Place, Program, bucket_of, found_programs, the_agent  # noqa: E402
from rclone_server import rclone_server  # noqa: E402
from slow_line import SlowLine, slow_line  # noqa: E402
from states import State, change_files, change_one_page, plant_state  # noqa: E402

from openclaw_agent import AGENT_VERSION  # noqa: E402
from openclaw_agent.store.cost import request_cost  # noqa: E402

# Programs that go by whole seconds must be able to see a change.
SECONDS_BETWEEN_CYCLES = 1.1
SHARE_CHANGED = 0.01
DATABASE_SUFFIX = ".sqlite"
VERSIONS = {
    "aws": ("--version",),
    "s5cmd": ("version",),
    "rclone": ("version",),
    "restic": ("version",),
}


@dataclass(frozen=True, slots=True)
class Round:
    """One state behind one line, measured so many times."""

    files: int
    database_mib: int
    line_ms: float
    runs: int


# Larger states behind a longer line would take days with the slower peers: what is left out is said in the docs.
FULL = (
    *(Round(1_000, 500, line, 5) for line in (0, 20, 100)),
    *(Round(2_000, 0, line, 5) for line in (0, 20)),
    *(Round(10_000, 0, line, 5) for line in (0, 20)),
    Round(100_000, 0, 0, 1),
)
QUICK = (Round(300, 16, 0, 1), Round(300, 16, 20, 1))


@dataclass(frozen=True, slots=True)
class Row:
    """One measured command: seconds, MiB, requests by kind, bytes over the line, the requests' price."""

    files: int
    database_mib: int
    line_ms: float
    run: int
    cycle: str
    program: str
    seconds: float
    cpu_seconds: float
    peak_mib: float
    requests: Mapping[str, int]
    bytes_up: int
    bytes_down: int
    usd: float
    failure: str


def measured(commands: Sequence[Sequence[str]], environment: Mapping[str, str], scratch: Path) -> ChildRun:
    """Run commands one after the other, as one."""
    runs = [run_child(command, environment, scratch / "messages") for command in commands]
    return ChildRun(
        max(run.exit_code for run in runs),
        sum(run.seconds for run in runs),
        sum(run.cpu_seconds for run in runs),
        max(run.peak_mib for run in runs),
        " ".join(run.complaint for run in runs).strip(),
    )


class Contest:
    """One run of one round: fresh buckets, every program, every cycle."""

    def __init__(self, state: State, line: SlowLine, chosen: Round, number: int, scratch: Path) -> None:
        self._state, self._line, self._round, self._number = state, line, chosen, number
        self._scratch = scratch
        self._cycle = 0
        self.rows: list[Row] = []

    def play(self, programs: Sequence[Program], environment: Mapping[str, str]) -> None:
        """Measure all cycles."""
        for program in programs:
            if program.prepare:
                measured((program.prepare,), {**environment, **program.environment}, self._scratch)
        changed = max(1, int(self._round.files * SHARE_CHANGED))
        for cycle in self._cycles(changed):
            time.sleep(SECONDS_BETWEEN_CYCLES)
            self._cycle += 1
            for program in programs:
                self._measure(program, cycle, environment)
        for program in programs:
            self._compare(program)

    def _cycles(self, changed: int) -> Iterator[str]:
        yield "first backup"
        yield "nothing changed"
        if self._round.database_mib:
            change_one_page(self._state)
            yield "one page of the database"
        change_files(self._state, changed)
        yield f"{changed:,} files changed"
        yield "restore"
        yield "restore of one path"

    def _measure(self, program: Program, cycle: str, environment: Mapping[str, str]) -> None:
        commands = {"restore": (program.restore,), "restore of one path": (program.restore_path,)}.get(
            cycle, tuple(tuple(word.replace("{cycle}", str(self._cycle)) for word in row) for row in program.backup)
        )
        self._line.traffic()
        run = measured(commands, {**environment, **program.environment}, self._scratch)
        passed = self._line.traffic()
        failure = run.complaint if run.exit_code else ""
        self.rows.append(
            Row(
                self._round.files,
                self._round.database_mib,
                self._round.line_ms,
                self._number,
                cycle,
                program.name,
                round(run.seconds, 3),
                round(run.cpu_seconds, 3),
                round(run.peak_mib, 1),
                dict(sorted(passed.requests.items())),
                passed.bytes_up,
                passed.bytes_down,
                request_cost(passed.requests),
                failure,
            )
        )
        print(
            f"  {cycle:<26} {program.name:<26} {run.seconds:8.2f} s  {run.complaint if run.exit_code else ''}",
            flush=True,
        )

    def _compare(self, program: Program) -> None:
        source = self._state.folder
        wrong = "" if same_content(source, program.restored) else "the restore has other bytes"
        one = self._state.note(0)
        if not program.restored_path.is_file() or not filecmp.cmp(one, program.restored_path, shallow=False):
            wrong = wrong or "the path that was restored alone has other bytes"
        if wrong:
            last = self.rows[-1]
            self.rows.append(dataclasses.replace(last, program=program.name, cycle="restore", failure=wrong))


def same_content(one: Path, other: Path) -> bool:
    """Whether both folders hold the same files with the same bytes; folders with nothing in them are no matter."""
    names = {path.relative_to(one) for path in one.rglob("*") if path.is_file()}
    if names != {path.relative_to(other) for path in other.rglob("*") if path.is_file()}:
        return False
    return all(
        same_rows(one / name, other / name)
        if name.suffix == DATABASE_SUFFIX
        else filecmp.cmp(one / name, other / name, shallow=False)
        for name in names
    )


def same_rows(one: Path, other: Path) -> bool:
    """Whether both databases say the same; the agent folds one into a clean file, which has other bytes."""
    dumps = []
    for each in (one, other):
        with closing(sqlite3.connect(f"file:{each}?mode=ro", uri=True)) as database:
            digest = hashlib.sha256()
            for line in database.iterdump():
                digest.update(line.encode())
            dumps.append(digest.digest())
    return dumps[0] == dumps[1]


def measure_round(chosen: Round, rclone: str, peers: Mapping[str, str]) -> Iterator[Row]:
    """Measure one round; each run has a state, buckets and a server of its own."""
    for number in range(1, chosen.runs + 1):
        print(f"{chosen.files:,} files, database of {chosen.database_mib} MiB, {chosen.line_ms:g} ms, run {number}")
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            scratch = Path(folder)
            state = plant_state(scratch / "state", chosen.files, chosen.database_mib)
            buckets = [bucket_of(name) for name in (AGENT, *peers)]
            with (
                rclone_server(rclone, scratch / "served", *buckets) as served,
                slow_line(served["AWS_ENDPOINT_URL"], chosen.line_ms / 1000) as line,
            ):
                one_path = str(state.note(0).relative_to(state.folder))
                environment = {**os.environ, **served, "AWS_ENDPOINT_URL": line.url, "HOME": folder}
                places = {
                    name: Place(state.folder, scratch, line.url, bucket_of(name), one_path) for name in (AGENT, *peers)
                }
                programs = [the_agent(places[AGENT], "")]
                programs += [PEERS[name](places[name], program) for name, program in peers.items()]
                contest = Contest(state, line, chosen, number, scratch)
                contest.play(programs, environment)
                yield from contest.rows


def machine() -> dict[str, Any]:
    """What it was measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown",
    )
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "processor": model,
        "kernel": os.uname().release,
        "load_before": round(os.getloadavg()[0], 2),
    }


def version_of(name: str, program: str) -> str:
    """A program's version as it says it, in one line."""
    said = subprocess.run((program, *VERSIONS[name]), capture_output=True, text=True, check=False)  # noqa: S603
    return (said.stdout or said.stderr).splitlines()[0].strip()


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small rounds, under 3 minutes")
    parser.add_argument(
        "--peers", type=Path, default=ROOT / ".cache" / "peers" / "bin", help="where they are, then PATH"
    )
    parser.add_argument("--results", type=Path, default=ROOT / ".cache" / "bench" / "results.json")
    chosen = parser.parse_args()
    peers = found_programs(chosen.peers)
    rclone = peers.get("rclone") or shutil.which("rclone")
    if rclone is None:
        parser.error(f"rclone, which serves, is neither in {chosen.peers} nor on the PATH; make bench installs it.")
    for name in sorted(set(PEERS) - set(peers)):
        print(f"{name} is not installed; its rows are left out.")
    about = {
        "machine": machine(),
        "versions": {AGENT: AGENT_VERSION, **{name: version_of(name, program) for name, program in peers.items()}},
    }
    rows: list[Row] = []
    for each in QUICK if chosen.quick else FULL:
        rows += measure_round(each, rclone, peers)
        # After each round: a long bench that is ended keeps what it has.
        chosen.results.parent.mkdir(parents=True, exist_ok=True)
        document = {**about, "rows": [dataclasses.asdict(row) for row in rows]}
        chosen.results.write_text(json.dumps(document, indent=1))
    failures = [row for row in rows if row.failure]
    for row in failures:
        print(f"{row.program}, {row.cycle}, {row.files:,} files, {row.line_ms:g} ms: {row.failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
