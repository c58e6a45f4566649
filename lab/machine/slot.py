"""One lab's place on this machine: a number that nobody else has, and everything that carries its name.

Bridge, namespaces, cgroups and disks of a lab all begin with its prefix (`oclab7`). The number's lock is held as long
as the lab's program lives, so what carries a prefix whose lock is free was left behind, and is swept away.
"""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from lab.host.cgroups import cgroup_folders, remove_cgroup
from lab.host.commands import require_success, run_command
from lab.host.deadline import Deadline
from lab.host.errors import MachineFailed
from lab.machine.disk import remove_disk
from lab.machine.network import INTERFACES, NAMESPACES, subnet_of

LOCKS = Path("/run/openclaw-lab")
SLOTS = range(256)
SECONDS_FOR_THE_KILLED_TO_GO = 10


@dataclass(frozen=True, slots=True)
class Slot:
    """A lab's number and the open file whose lock makes it this lab's."""

    number: int
    lock: int

    @property
    def prefix(self) -> str:
        """What the names of all that belongs to this lab begin with."""
        return prefix_of(self.number)

    def give_up(self) -> None:
        """Frees the number."""
        os.close(self.lock)


def prefix_of(number: int) -> str:
    """Returns the prefix of a lab's names; short, as an interface's name has 15 characters at most."""
    return f"oclab{number}"


def take_slot(disks: Path) -> Slot:
    """Takes the first number that is free, after removing what dead labs have left behind.

    A number whose address range this machine already uses for something else is passed over. `disks` is the folder of
    the machines' disks. Raises MachineFailed when all are taken.
    """
    LOCKS.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep_leftovers(disks)
    routed = routed_networks(require_success(["ip", "-json", "-4", "route", "show", "table", "all"]))
    for number in SLOTS:
        if any(subnet_of(number).overlaps(network) for network in routed):
            continue
        lock = _try_lock(number)
        if lock is not None:
            return Slot(number, lock)
    raise MachineFailed(f"All {len(SLOTS)} places for labs on this machine are taken.")


def sweep_leftovers(disks: Path) -> tuple[str, ...]:
    """Removes what labs that no longer run have left behind, and returns their prefixes."""
    swept = []
    for number in sorted(int(path.stem) for path in LOCKS.glob("*.lock") if path.stem.isdecimal()):
        lock = _try_lock(number)
        if lock is None:
            continue
        if sweep(prefix_of(number), disks):
            swept.append(prefix_of(number))
        os.close(lock)
    return tuple(swept)


def sweep(prefix: str, disks: Path) -> bool:
    """Kills and removes all that carries this prefix; says whether there was anything."""
    namespaces = [path.name for path in _named(NAMESPACES, prefix)]
    cgroups = cgroup_folders(prefix)
    left_disks = _named(disks, prefix)
    bridge = INTERFACES / prefix
    found = bool(namespaces or cgroups or left_disks or bridge.exists())
    for namespace in namespaces:
        _kill_members(namespace)
    for cgroup in cgroups:
        remove_cgroup(cgroup)
    for namespace in namespaces:
        run_command(["ip", "netns", "delete", namespace])
    if bridge.exists():
        run_command(["ip", "link", "delete", prefix])
    for disk in left_disks:
        remove_disk(disk)
    return found


def routed_networks(routes: str) -> tuple[IPv4Network, ...]:
    """Returns the networks in the output of `ip -json -4 route`, the default route left out."""
    destinations: Iterable[str] = (route.get("dst", "default") for route in json.loads(routes or "[]"))
    return tuple(IPv4Network(destination) for destination in destinations if destination[0].isdecimal())


def _try_lock(number: int) -> int | None:
    descriptor = os.open(LOCKS / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _named(folder: Path, prefix: str) -> list[Path]:
    return sorted(folder.glob(f"{prefix}-*"))


def _kill_members(namespace: str) -> None:
    deadline = Deadline(SECONDS_FOR_THE_KILLED_TO_GO)
    while not deadline.passed():
        members = run_command(["ip", "netns", "pids", namespace]).stdout.split()
        if not members:
            return
        for member in members:
            try:
                os.kill(int(member), signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)
