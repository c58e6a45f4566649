"""Back the same folder up and restore it with the agent and with its peers, in one run on one server, and print ratios.

Run: python bench/beside_peers.py [--files 10000] [--changed 100] [--peers FOLDER] [--rclone PROGRAM]
The server is the embedded AWS behind a proxy that counts requests, or `rclone serve s3`, which is many times faster and
shows the programs' own speed, uncounted.
"""

import argparse
import contextlib
import filecmp
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "scripts"), str(ROOT / "bench")]

from child_run import ChildRun, run_child  # noqa: E402
from planted_state import change, plant  # noqa: E402
from rclone_server import rclone_server  # noqa: E402

from lab.faults.proxy import FaultProxy  # noqa: E402
from lab.moto.server import EmbeddedAws  # noqa: E402
from openclaw_agent.store.cost import REQUEST_PRICES  # noqa: E402

AGENT = "the agent"
RESTORE = "restore"
BUCKETS = ("agent", "aws", "twice", "s5cmd", "restic")


@dataclass(frozen=True, slots=True)
class Program:
    """A program that backs the state up: how it is prepared (not measured) and run, and what it keeps in S3.

    In its commands {cycle} stands for the cycle's name. `restored` is the folder that `restore` fills.
    """

    name: str
    bucket: str
    keeps: str
    commands: tuple[tuple[str, ...], ...]
    restore: tuple[str, ...]
    restored: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One measured cycle; requests and their price where they were counted."""

    program: str
    cycle: str
    run: ChildRun
    requests: int | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Server:
    """Where the programs back up to: the environment that points at it, and the proxy that counts, if any."""

    environment: Mapping[str, str]
    proxy: FaultProxy | None

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return self.environment["AWS_ENDPOINT_URL"]


@contextlib.contextmanager
def serving(rclone: str | None, folder: Path, buckets: tuple[str, ...]) -> Iterator[Server]:
    """Serve empty buckets."""
    if rclone:
        with rclone_server(rclone, folder, *buckets) as environment:
            yield Server(environment, None)
        return
    with EmbeddedAws() as aws, FaultProxy(aws.endpoint_url) as proxy:
        for bucket in buckets:
            aws.client("s3").create_bucket(Bucket=bucket)
        yield Server({**aws.environment, "AWS_ENDPOINT_URL": proxy.endpoint_url}, proxy)


def programs(state: Path, scratch: Path, endpoint: str, peers: str) -> list[Program]:
    """The agent, and those of its peers that are installed."""
    rows = [_agent(state, scratch)]
    for name, with_peer in (("aws", _aws_sync), ("s5cmd", _s5cmd), ("restic", _restic)):
        program = shutil.which(name, path=peers)
        if program is None:
            print(f"{name} is not installed; its rows are left out.")
        else:
            rows += with_peer(program, state, scratch, endpoint)
    return rows


def _restored_by(bucket: str, scratch: Path) -> Path:
    return scratch / f"restored-by-{bucket}"


def _agent(state: Path, scratch: Path) -> Program:
    backup = (sys.executable, str(ROOT / "scripts" / "openclaw-s3-backup.py"))
    restore = (sys.executable, str(ROOT / "scripts" / "openclaw-s3-restore.py"))
    restored = _restored_by("agent", scratch)
    return Program(
        AGENT,
        "agent",
        "each snapshot whole, and latest/",
        ((*backup, "--bucket", "agent", "--state-dir", str(state)),),
        (*restore, "run", "--bucket", "agent", "--to", str(restored)),
        restored,
        {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
            "OPENCLAW_AGENT_DIR": str(scratch / "agent"),
            "OPENCLAW_AGENT_SETTINGS": str(scratch / "instance.json"),
            "OPENCLAW_INSTANCE_ID": "bench",
        },
    )


def _aws_sync(aws: str, state: Path, scratch: Path, _endpoint: str) -> list[Program]:
    sync = (aws, "s3", "sync", "--delete", "--only-show-errors")
    rows = []
    for name, bucket, keeps, targets in (
        ("aws s3 sync", "aws", "latest/ alone", ("latest",)),
        ("twice aws s3 sync", "twice", "each snapshot whole, and latest/", ("latest", "snapshots/{cycle}")),
    ):
        commands = tuple((*sync, str(state), f"s3://{bucket}/{target}") for target in targets)
        restored = _restored_by(bucket, scratch)
        back = (*sync, f"s3://{bucket}/latest", str(restored))
        rows.append(Program(name, bucket, keeps, commands, back, restored))
    return rows


def _s5cmd(s5cmd: str, state: Path, scratch: Path, endpoint: str) -> list[Program]:
    sync = (s5cmd, "--log", "error", "--endpoint-url", endpoint, "sync", "--delete")
    restored = _restored_by("s5cmd", scratch)
    there, back = (*sync, f"{state}/", "s3://s5cmd/latest/"), (*sync, "s3://s5cmd/latest/*", f"{restored}/")
    return [Program("s5cmd sync", "s5cmd", "latest/ alone", (there,), back, restored)]


def _restic(restic: str, state: Path, scratch: Path, endpoint: str) -> list[Program]:
    target = _restored_by("restic", scratch)
    repository = {
        "RESTIC_REPOSITORY": f"s3:{endpoint}/restic",
        "RESTIC_PASSWORD": "bench",
        "RESTIC_CACHE_DIR": str(scratch / "restic-cache"),
    }
    command = (restic, "backup", "--quiet", str(state))
    back = (restic, "restore", "--quiet", "latest", "--target", str(target))
    # restic restores the whole path below its target.
    restored = target / state.relative_to("/")
    init = (restic, "init")
    return [Program("restic", "restic", "each snapshot, in packs", (command,), back, restored, repository, init)]


def measured(program: Program, cycle: str, server: Server, environment: Mapping[str, str], scratch: Path) -> Row:
    """Run one cycle; a proxy counts what it asks of S3."""
    if server.proxy:
        server.proxy.begin()
    runs = [
        run_child(
            [word.replace("{cycle}", cycle.replace(" ", "-")) for word in command],
            {**environment, **program.environment},
            scratch / "messages",
        )
        for command in ((program.restore,) if cycle == RESTORE else program.commands)
    ]
    run = ChildRun(
        max(run.exit_code for run in runs),
        sum(run.seconds for run in runs),
        max(run.peak_mib for run in runs),
        " ".join(run.complaint for run in runs).strip(),
    )
    if server.proxy is None:
        return Row(program.name, cycle, run, None, None)
    server.proxy.wait_until_idle()
    counts = server.proxy.counts()
    # What is no kind of its own on the bill (parts of an upload) is billed as a PUT.
    cost = sum(REQUEST_PRICES.get(kind, REQUEST_PRICES["PUT"]) * count for kind, count in counts.items())
    return Row(program.name, cycle, run, sum(counts.values()), cost)


def same_content(one: Path, other: Path) -> bool:
    """Whether both folders hold the same files with the same bytes."""
    compared = filecmp.dircmp(one, other)
    if compared.left_only or compared.right_only or compared.funny_files:
        return False
    _, mismatch, errors = filecmp.cmpfiles(one, other, compared.common_files, shallow=False)
    return not mismatch and not errors and all(same_content(one / n, other / n) for n in compared.common_dirs)


def report(rows: list[Row]) -> None:
    """Print the table; a ratio is the peer's seconds over the agent's, so above 1 the agent is the faster one."""
    print(f"{'cycle':<18} {'program':<18} {'seconds':>8} {'requests':>9} {'peak MiB':>9} {'USD':>10} {'ratio':>7}")
    agent = {row.cycle: row.run.seconds for row in rows if row.program == AGENT}
    for row in sorted(rows, key=lambda row: list(agent).index(row.cycle)):
        requests = "-" if row.requests is None else f"{row.requests:,}"
        cost = "-" if row.cost_usd is None else f"{row.cost_usd:.6f}"
        print(
            f"{row.cycle:<18} {row.program:<18} {row.run.seconds:>8.2f} {requests:>9} {row.run.peak_mib:>9.1f} "
            f"{cost:>10} {row.run.seconds / agent[row.cycle]:>7.2f}"
            + (f"  exit {row.run.exit_code}: {row.run.complaint}" if row.run.exit_code else "")
        )


def main() -> int:
    """Measure and print; the exit code is 1 when a program failed, or restored something else than it was given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--changed", type=int, default=100)
    parser.add_argument(
        "--peers", default=str(ROOT / ".cache" / "peers" / "bin"), help="where the peers are, then PATH"
    )
    parser.add_argument("--rclone", help="the rclone program to serve S3 with (default: the embedded AWS serves)")
    chosen = parser.parse_args()
    peers = os.pathsep.join((chosen.peers, os.environ.get("PATH", "")))

    rows: list[Row] = []
    differing: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="beside-peers-") as folder,
        serving(chosen.rclone, Path(folder) / "served", BUCKETS) as server,
    ):
        scratch = Path(folder)
        state = scratch / "state"
        state.mkdir()
        plant(state, chosen.files)
        environment = {**os.environ, **server.environment, "HOME": folder}
        contestants = programs(state, scratch, server.endpoint, peers)
        for program in contestants:
            print(f"{program.name} keeps {program.keeps}.")
            if program.prepare:
                run_child(program.prepare, {**environment, **program.environment}, scratch / "messages")
        changed = f"{chosen.changed} changed"
        for cycle in ("first backup", "nothing changed", changed, RESTORE):
            if cycle == changed:
                change(state, chosen.changed)
            # Programs that go by whole seconds must be able to see a change.
            time.sleep(2.1)
            for program in contestants:
                rows.append(measured(program, cycle, server, environment, scratch))
        differing = [program.name for program in contestants if not same_content(state, program.restored)]
    server_name = "rclone serve s3" if chosen.rclone else "embedded AWS behind a counting proxy"
    print(f"{chosen.files:,} files, {os.cpu_count()} cores, {server_name}")
    report(rows)
    print(f"Restored something else: {', '.join(differing)}" if differing else "All restored the same bytes.")
    return 0 if all(row.run.exit_code == 0 for row in rows) and not differing else 1


if __name__ == "__main__":
    sys.exit(main())
