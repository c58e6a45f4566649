"""Back the same folder up with the agent and with its peers, in one run on one server, and print the ratios.

Run: python bench/beside_peers.py [--files 10000] [--changed 100] [--peers FOLDER]
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "scripts"), str(ROOT / "bench")]

from child_run import ChildRun, run_child  # noqa: E402
from planted_state import change, plant  # noqa: E402

from lab.aws.server import EmbeddedAws  # noqa: E402
from lab.faults.proxy import FaultProxy  # noqa: E402
from openclaw_agent.cost import REQUEST_PRICES  # noqa: E402

AGENT = "the agent"


@dataclass(frozen=True, slots=True)
class Program:
    """A program that backs the state up: how it is prepared (not measured) and run, and what it keeps in S3.

    In its commands {cycle} stands for the cycle's name.
    """

    name: str
    keeps: str
    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One measured cycle."""

    program: str
    cycle: str
    run: ChildRun
    requests: int
    cost_usd: float


def programs(state: Path, scratch: Path, endpoint: str, peers: str) -> list[Program]:
    """The agent, and those of its peers that are installed."""
    found = {name: shutil.which(name, path=peers) for name in ("aws", "s5cmd", "restic")}
    for name, place in found.items():
        if place is None:
            print(f"{name} is not installed; its rows are left out.")
    agent = (sys.executable, str(ROOT / "scripts" / "openclaw-s3-backup.py"))
    rows = [
        Program(
            AGENT,
            "each snapshot whole, and latest/",
            ((*agent, "--bucket", "agent", "--state-dir", str(state)),),
            {
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
                "OPENCLAW_AGENT_DIR": str(scratch / "agent"),
                "OPENCLAW_AGENT_SETTINGS": str(scratch / "instance.json"),
                "OPENCLAW_INSTANCE_ID": "bench",
            },
        )
    ]
    if found["aws"]:
        command = (found["aws"], "s3", "sync", str(state))
        flags = ("--delete", "--only-show-errors")
        once = (*command, "s3://aws/latest", *flags)
        rows.append(Program("aws s3 sync", "latest/ alone", (once,)))
        twice = ((*command, "s3://twice/latest", *flags), (*command, "s3://twice/snapshots/{cycle}", *flags))
        rows.append(Program("twice aws s3 sync", "each snapshot whole, and latest/", twice))
    if found["s5cmd"]:
        command = (found["s5cmd"], "--log", "error", "--endpoint-url", endpoint, "sync", "--delete")
        rows.append(Program("s5cmd sync", "latest/ alone", ((*command, f"{state}/", "s3://s5cmd/latest/"),)))
    if found["restic"]:
        repository = {
            "RESTIC_REPOSITORY": f"s3:{endpoint}/restic",
            "RESTIC_PASSWORD": "bench",
            "RESTIC_CACHE_DIR": str(scratch / "restic-cache"),
        }
        command = (found["restic"], "backup", "--quiet", str(state))
        rows.append(Program("restic", "each snapshot, in packs", (command,), repository, (found["restic"], "init")))
    return rows


def measured(program: Program, cycle: str, proxy: FaultProxy, environment: Mapping[str, str], scratch: Path) -> Row:
    """Run one cycle; the proxy counts what it asks of S3."""
    proxy.begin()
    runs = [
        run_child(
            [word.replace("{cycle}", cycle.replace(" ", "-")) for word in command],
            {**environment, **program.environment},
            scratch / "messages",
        )
        for command in program.commands
    ]
    run = ChildRun(
        max(run.exit_code for run in runs),
        sum(run.seconds for run in runs),
        max(run.peak_mib for run in runs),
        " ".join(run.complaint for run in runs).strip(),
    )
    proxy.wait_until_idle()
    counts = proxy.counts()
    # What is no kind of its own on the bill (parts of an upload) is billed as a PUT.
    cost = sum(REQUEST_PRICES.get(kind, REQUEST_PRICES["PUT"]) * count for kind, count in counts.items())
    return Row(program.name, cycle, run, sum(counts.values()), cost)


def report(rows: list[Row]) -> None:
    """Print the table; a ratio is the peer's seconds over the agent's, so above 1 the agent is the faster one."""
    print(f"{'cycle':<18} {'program':<18} {'seconds':>8} {'requests':>9} {'peak MiB':>9} {'USD':>10} {'ratio':>7}")
    agent = {row.cycle: row.run.seconds for row in rows if row.program == AGENT}
    for row in sorted(rows, key=lambda row: list(agent).index(row.cycle)):
        print(
            f"{row.cycle:<18} {row.program:<18} {row.run.seconds:>8.2f} {row.requests:>9,} {row.run.peak_mib:>9.1f} "
            f"{row.cost_usd:>10.6f} {row.run.seconds / agent[row.cycle]:>7.2f}"
            + (f"  exit {row.run.exit_code}: {row.run.complaint}" if row.run.exit_code else "")
        )


def main() -> int:
    """Measure and print; the exit code is 1 when a program failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--changed", type=int, default=100)
    parser.add_argument(
        "--peers", default=str(ROOT / ".cache" / "peers" / "bin"), help="where the peers are, then PATH"
    )
    chosen = parser.parse_args()
    peers = os.pathsep.join((chosen.peers, os.environ.get("PATH", "")))

    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="beside-peers-") as folder,
        EmbeddedAws() as aws,
        FaultProxy(aws.endpoint_url) as proxy,
    ):
        scratch = Path(folder)
        state = scratch / "state"
        state.mkdir()
        plant(state, chosen.files)
        environment = {**os.environ, **aws.environment, "AWS_ENDPOINT_URL": proxy.endpoint_url, "HOME": folder}
        contestants = programs(state, scratch, proxy.endpoint_url, peers)
        for program in contestants:
            print(f"{program.name} keeps {program.keeps}.")
            aws.client("s3").create_bucket(Bucket=program.name.split()[0] if program.name != AGENT else "agent")
            if program.prepare:
                run_child(program.prepare, {**environment, **program.environment}, scratch / "messages")
        for cycle in ("first backup", "nothing changed", f"{chosen.changed} changed"):
            if cycle.endswith(" changed") and cycle[0].isdigit():
                change(state, chosen.changed)
            # Programs that go by whole seconds must be able to see a change.
            time.sleep(2.1)
            for program in contestants:
                rows.append(measured(program, cycle, proxy, environment, scratch))
    print(f"{chosen.files:,} files, {os.cpu_count()} cores, embedded AWS behind a counting proxy")
    report(rows)
    return 0 if all(row.run.exit_code == 0 for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
