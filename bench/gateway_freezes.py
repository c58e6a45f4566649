"""Measure what backups do to the real gateway: its freezes, and its event loop before, during and after them.

Run as root on Linux: python bench/gateway_freezes.py [--backups 100]
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "scripts")]

from lab.drills.gateway_probe import ask_readyz  # noqa: E402
from lab.machine.machine import Machine  # noqa: E402
from lab.machine.network import enter_namespace  # noqa: E402
from lab.world.terminal import Terminal  # noqa: E402
from lab.world.world import back_up, deployed_world, write_note  # noqa: E402

QUIET_SECONDS = 30.0
# The gateway itself sums its event loop up over about a second.
SECONDS_BETWEEN_SAMPLES = 1.0
HEADING = "event loop delay (p99 of each second)"


class Samples:
    """The gateway's answers to /readyz in one stretch of time."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any] | None] = []

    @property
    def delays_ms(self) -> list[float]:
        """The 99th percentile of the event loop's delay in each sample."""
        return [float(row["eventLoop"]["delayP99Ms"]) for row in self.answers if row]

    @property
    def not_ready(self) -> int:
        """How many samples did not say ready."""
        return sum(1 for row in self.answers if row is None or row.get("ready") is not True)

    @property
    def degraded(self) -> int:
        """In how many samples the gateway itself called its event loop degraded."""
        return sum(1 for row in self.answers if row and row["eventLoop"]["degraded"])


@contextmanager
def sampling(namespace: Path) -> Iterator[Samples]:
    """Ask the gateway again and again while the block runs."""
    samples = Samples()
    ending = threading.Event()

    def ask() -> None:
        enter_namespace(namespace)
        while not ending.wait(SECONDS_BETWEEN_SAMPLES):
            samples.answers.append(ask_readyz())

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        ending.set()
        thread.join()


def quiet(machine: Machine) -> Samples:
    """The gateway left alone."""
    with sampling(machine.port.namespace_path) as samples:
        time.sleep(QUIET_SECONDS)
    return samples


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of all lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    """Print both tables; 1 when a backup was not frozen or the gateway ceased to be ready."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backups", type=int, default=100)
    count = parser.parse_args().backups
    with tempfile.TemporaryDirectory() as scratch, deployed_world(Terminal(), Path(scratch)) as world:
        machine = world.ready_machine()
        back_up(machine)
        stretches = {"before": quiet(machine)}
        lines = []
        with sampling(machine.port.namespace_path) as during:
            for number in range(count):
                write_note(machine, "workspace/counter.md", f"backup {number}\n")
                lines.append(back_up(machine))
        stretches["during"] = during
        stretches["after"] = quiet(machine)
    freezes = [float(line["freeze_ms"]) for line in lines]
    frozen = sum(1 for line in lines if line["capture"] == "frozen")
    print(
        f"\n{count} backups, {frozen} of them frozen: median {statistics.median(freezes):.0f} ms, 95 % below "
        f"{percentile(freezes, 0.95):.0f} ms, worst {max(freezes):.0f} ms"
    )
    base = statistics.median(stretches["before"].delays_ms)
    print(f"{HEADING:<40}{'median':>10}{'worst':>10}{'ratio':>8}  samples  not ready  degraded")
    for name, samples in stretches.items():
        middle, worst = statistics.median(samples.delays_ms), max(samples.delays_ms)
        print(
            f"{name:<40}{middle:>7.0f} ms{worst:>7.0f} ms{middle / base:>8.2f}  {len(samples.answers):>7}"
            f"  {samples.not_ready:>9}  {samples.degraded:>8}"
        )
    return int(frozen != count or any(samples.not_ready for samples in stretches.values()))


if __name__ == "__main__":
    sys.exit(main())
