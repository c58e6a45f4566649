"""Takes the memory away from a machine's gateway, by whichever version of cgroups this host has it under."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.machine.machine import Machine
from lab.world.gateway_life import GATEWAY_UNIT
from lab.world.world import CGROUPS, sh

V1_MEMORY = Path("/sys/fs/cgroup/memory")
BYTES_LEFT = 4 * 1024 * 1024


@contextmanager
def memory_shortage(machine: Machine) -> Iterator[None]:
    """While it lasts, the gateway's present processes may not have a page more."""
    if (V1_MEMORY / "memory.limit_in_bytes").exists():
        with _limited_by_v1(machine):
            yield
        return
    sh(machine, f"systemctl set-property --runtime {GATEWAY_UNIT} MemoryMax={BYTES_LEFT} MemorySwapMax=0")
    try:
        yield
    finally:
        sh(machine, f"systemctl revert {GATEWAY_UNIT} || :")


def oom_kills(machine: Machine) -> int:
    """How many of the gateway's processes the kernel has killed for want of memory during the shortage."""
    v1 = V1_MEMORY / machine.name / "memory.oom_control"
    events = machine.path(f"{CGROUPS}/{GATEWAY_UNIT}/memory.events")
    for counters in (v1, events):
        if counters.exists():
            rows = dict(line.split() for line in counters.read_text().splitlines())
            return int(rows.get("oom_kill", 0))
    return 0


@contextmanager
def _limited_by_v1(machine: Machine) -> Iterator[None]:
    group = V1_MEMORY / machine.name
    group.mkdir(exist_ok=True)
    try:
        (group / "memory.limit_in_bytes").write_text(str(BYTES_LEFT))
        _move(machine.path(f"{CGROUPS}/{GATEWAY_UNIT}/cgroup.procs"), group)
        yield
    finally:
        _move(group / "cgroup.procs", V1_MEMORY)
        group.rmdir()


def _move(processes: Path, group: Path) -> None:
    for process in processes.read_text().split():
        # One may have ended since it was listed.
        with suppress(ProcessLookupError):
            (group / "cgroup.procs").write_text(process)
