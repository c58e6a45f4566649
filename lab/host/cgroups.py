"""The control groups that a machine runs in where no systemd of the host makes a scope for it."""

import contextlib
import time
from pathlib import Path

from lab.host.deadline import Deadline

CGROUPS = Path("/sys/fs/cgroup")
SECONDS_UNTIL_EMPTY = 5
CONTROLLERS_TO_PASS_ON = ("cpu", "io", "memory", "pids")


def host_runs_systemd() -> bool:
    """Says whether systemd is this host's init; it then gives nspawn a scope of its own (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def unified_root() -> Path | None:
    """Returns where cgroup v2 is mounted (alone, or beside v1), or None."""
    for folder in (CGROUPS, CGROUPS / "unified"):
        if (folder / "cgroup.controllers").exists():
            return folder
    return None


def cgroup_roots() -> tuple[Path, ...]:
    """Returns the hierarchies in which nspawn moves what it starts: v2, and v1's named one where it exists."""
    unified = unified_root()
    named = CGROUPS / "systemd"
    return tuple(
        folder for folder in (unified, named if (named / "cgroup.procs").exists() else None) if folder is not None
    )


def create_cgroups(name: str) -> tuple[Path, ...]:
    """Creates a group of this name in each hierarchy; the controllers of the root are passed on where it lets us."""
    created = []
    for root in cgroup_roots():
        for controller in CONTROLLERS_TO_PASS_ON:
            with contextlib.suppress(OSError):
                (root / "cgroup.subtree_control").write_text(f"+{controller}")
        folder = root / name
        folder.mkdir(exist_ok=True)
        created.append(folder)
    return tuple(created)


def cgroup_folders(prefix: str) -> tuple[Path, ...]:
    """Returns the groups whose names begin with `<prefix>-`."""
    return tuple(folder for root in cgroup_roots() for folder in sorted(root.glob(f"{prefix}-*")))


def remove_cgroup(folder: Path) -> None:
    """Kills what is left in a group and removes it with all below it; one that is gone already is no error."""
    deadline = Deadline(SECONDS_UNTIL_EMPTY)
    while folder.exists() and not deadline.passed():
        with contextlib.suppress(OSError):
            (folder / "cgroup.kill").write_text("1")
        for inner in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                inner.rmdir()
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.02)
