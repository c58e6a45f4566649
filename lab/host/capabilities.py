"""Which features of the embedded instance can run on this machine, and why not where one cannot."""

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lab.host.cgroups import unified_root
from lab.host.commands import run_command
from lab.host.errors import CommandFailed

ARCHITECTURES = ("x86_64", "aarch64")


class Feature(Enum):
    """What may or may not run here; the value names it for a person."""

    MACHINE = "booting the instance"
    FREEZE = "freezing the gateway"
    MEMORY_LIMITS = "memory limits inside the instance"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What was found on this machine."""

    system: str
    architecture: str
    is_root: bool
    has_apt: bool
    missing_programs: tuple[str, ...]
    may_make_namespaces: bool
    cgroup_controllers: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether a feature can run here; `reason` is a sentence, empty where it can."""

    feature: Feature
    can_run: bool
    reason: str


def capabilities(found: HostFacts) -> tuple[Capability, ...]:
    """Returns one row for each feature, in the order of Feature."""
    boots = _first_reason(found)
    return (
        Capability(Feature.MACHINE, not boots, boots),
        Capability(
            Feature.FREEZE,
            not boots and found.cgroup_controllers is not None,
            boots or ("" if found.cgroup_controllers is not None else "this kernel has no cgroup v2 mounted"),
        ),
        Capability(
            Feature.MEMORY_LIMITS,
            not boots and "memory" in (found.cgroup_controllers or ()),
            boots or ("" if "memory" in (found.cgroup_controllers or ()) else _NO_MEMORY_CONTROLLER),
        ),
    )


def inspect_host() -> HostFacts:
    """Finds out what this machine offers; changes nothing."""
    unified = unified_root()
    is_root = os.geteuid() == 0
    return HostFacts(
        system=platform.system(),
        architecture=platform.machine(),
        is_root=is_root,
        has_apt=shutil.which("apt-get") is not None,
        missing_programs=tuple(program for program in _PROGRAMS if shutil.which(program) is None),
        may_make_namespaces=is_root and _succeeds(["unshare", "--mount", "--net", "--pid", "--fork", "true"]),
        cgroup_controllers=(
            frozenset(Path(unified, "cgroup.controllers").read_text().split()) if unified is not None else None
        ),
    )


def _first_reason(found: HostFacts) -> str:
    return next((reason for is_so, reason in _REASONS if is_so(found)), "").format(found=found)


def _succeeds(arguments: list[str]) -> bool:
    try:
        return run_command(arguments, timeout_seconds=10).exit_code == 0
    except CommandFailed:
        return False


_PROGRAMS = ("systemd-nspawn", "mmdebstrap", "ip")
_NO_MEMORY_CONTROLLER = "the memory controller is not in cgroup v2 on this machine, so MemoryMax= has no effect"
_REASONS: tuple[tuple[Callable[[HostFacts], bool], str], ...] = (
    (lambda found: found.system != "Linux", "it needs Linux, and this is {found.system}"),
    (
        lambda found: found.architecture not in ARCHITECTURES,
        "it needs an x86_64 or aarch64 processor, and this is {found.architecture}",
    ),
    (lambda found: not found.is_root, "it needs root (try: sudo make lab)"),
    (
        lambda found: bool(found.missing_programs) and not found.has_apt,
        "it needs systemd-nspawn, mmdebstrap and ip, and without apt-get (Debian, Ubuntu) they are not installed here",
    ),
    (
        lambda found: not found.may_make_namespaces,
        "this machine does not let root make mount, network and process namespaces (an unprivileged container?)",
    ),
    (lambda found: found.cgroup_controllers is None, "this kernel has no cgroup v2 mounted"),
)
