"""Mounting in tests: what is mounted is looked at again, and all of it is undone."""

import ctypes
import os
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from openclaw_agent.fs.mounts import mounts_below

MS_BIND = 4096  # linux/mount.h
MNT_DETACH = 2
PRECIOUS = "the only copy"


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)


@cache
def may_mount() -> bool:
    """Whether this process may mount: root with CAP_SYS_ADMIN."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _call("mount", os.fsencode(folder), os.fsencode(folder), None, MS_BIND, None)
        except OSError:
            return False
        _call("umount2", os.fsencode(folder), MNT_DETACH)
    return True


needs_mounts = pytest.mark.skipif(not may_mount(), reason="only root may mount")


def mount_table() -> list[str]:
    """The lines of the kernel's table of mounts; names on this machine may be any bytes."""
    return os.fsdecode(Path("/proc/self/mountinfo").read_bytes()).split("\n")[:-1]


def unmount_all_below(folder: Path) -> None:
    """Unmount whatever is mounted below a folder, wherever a rename has taken it since."""
    while points := mounts_below(folder):
        for point in points:
            _call("umount2", os.fsencode(folder / point), MNT_DETACH)


@dataclass
class Mounts:
    """What a test has mounted, with the content that must be there afterwards."""

    mounted: dict[Path, Path] = field(default_factory=dict)

    def mount(self, kind: str, source: Path, place: Path) -> None:
        """Mount: the folder `source` (bind), the file `precious` in it (file), or a new tmpfs with such a file."""
        if kind == "file":
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
            self._mount(source / "precious", place, None, MS_BIND)
        else:
            place.mkdir(parents=True, exist_ok=True)
            if kind == "bind":
                self._mount(source, place, None, MS_BIND)
            else:
                self._mount(Path("none"), place, b"tmpfs", 0)
                (place / "precious").write_text(PRECIOUS)

    def _mount(self, source: Path, place: Path, kind: bytes | None, flags: int) -> None:
        _call("mount", os.fsencode(source), os.fsencode(place), kind, flags, None)
        self.mounted[place] = source

    def require_untouched(self, place: Path) -> None:
        """It is mounted where it was and holds what it held."""
        points = [line.split(" ")[4] for line in mount_table()]
        assert str(place).replace(" ", r"\040") in points, f"{place} is no mount any more"
        held = place if place.is_file() else place / "precious"
        assert held.read_text() == PRECIOUS

    def unmount(self, place: Path) -> None:
        _call("umount2", os.fsencode(place), MNT_DETACH)
        del self.mounted[place]

    def undo(self) -> None:
        for place in reversed(list(self.mounted)):
            self.unmount(place)
