"""What a hostile gateway leaves in its state folder to keep the rest of it out of the backups."""

import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.support.hostile_databases import indexed_by, wal_that_grows

AS_ROOT = os.geteuid() == 0
# The least that the configuration allows, so that a test goes beyond it in a moment.
TIGHT_LIMITS = {"backup_max_file_gib": 1, "backup_max_entries": 200, "backup_max_depth": 10}
HONEST_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Hostile:
    """One thing to be made at a place in the state; `once` where two of them leave no room for anybody."""

    what: str
    make: Callable[[Path], object]
    once: bool = False


def _sparse(size: int) -> Callable[[Path], object]:
    def make(place: Path) -> None:
        with place.open("wb") as out:
            out.truncate(size)

    return make


def _deep(place: Path) -> None:
    here = os.open(place.parent, os.O_RDONLY)
    name = place.name
    for _ in range(300):
        os.mkdir(name, dir_fd=here)
        deeper = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, name = deeper, "d"
    os.close(here)


def _many(place: Path) -> None:
    place.mkdir()
    for number in range(400):
        os.close(os.open(place / f"{number}", os.O_CREAT | os.O_WRONLY))


def _many_names(place: Path) -> None:
    place.write_bytes(b"one file")
    for number in range(50):
        os.link(place, place.with_name(f"{place.name}.{number}"))


def _beside_a_database(suffix: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def made(place: Path) -> None:
        indexed_by("length(x)", 1)(place)
        make(place.with_name(place.name + suffix))

    return made


def _log_of_holes(place: Path) -> None:
    wal_that_grows(2)(place)
    os.truncate(place.with_name(place.name + "-wal"), 15 * 10**12)
    with place.open("r+b") as out:
        out.seek(100)
        out.write(b"\xff" * 3000)


def _socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.open(place.parent, os.O_PATH)
        listening.bind(f"/proc/self/fd/{here}/{place.name}")
        os.close(here)


def _loop(place: Path) -> None:
    place.symlink_to(place.name)


HOSTILE = [
    Hostile("FIFO", os.mkfifo),
    Hostile("socket", _socket),
    Hostile("link to itself", _loop),
    Hostile("link to a device", lambda place: place.symlink_to("/dev/zero")),
    Hostile("15 TB of nothing", _sparse(15 * 10**12)),
    Hostile("300 folders deep", _deep),
    Hostile("400 files in a folder", _many, once=True),
    Hostile("50 names of a file", _many_names),
    Hostile("endless database", indexed_by("instr(zeroblob(x), zeroblob(x/2)||x'01')", 4_000_000)),
    Hostile("greedy database", indexed_by("length(hex(zeroblob(x)))", 450_000_000)),
    Hostile("log that makes a file grow", wal_that_grows(2**22)),
    Hostile("FIFO for a journal", _beside_a_database("-journal", os.mkfifo)),
    Hostile("FIFO for a log", _beside_a_database("-wal", os.mkfifo)),
    Hostile("log of 15 TB of nothing", _beside_a_database("-wal", _sparse(15 * 10**12))),
    Hostile("log of 15 TB that begins like one", _log_of_holes),
    Hostile("header without a database", lambda place: place.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)),
    *([Hostile("device", lambda place: os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 5)))] if AS_ROOT else []),
]

_folders = st.sampled_from(["", "workspace", "workspace/a", "agents/main"])
_names = st.sampled_from(
    ["a", "zz", "x.sqlite", "manifest.json", "latest", "n" * 200, "new\nline", "\udcff\udcfe", "-rf", "\x1b[2J", "~"]
)


@st.composite
def hostile_states(draw: st.DrawFn) -> list[tuple[str, Hostile]]:
    """Hostile things, each with its place."""
    chosen = draw(st.lists(st.tuples(_folders, _names, st.sampled_from(HOSTILE)), min_size=1, max_size=6))
    places: dict[str, Hostile] = {}
    for folder, name, hostile in chosen:
        if not (hostile.once and any(row.once for row in places.values())):
            places.setdefault(f"{folder}/{name}.{len(places)}".lstrip("/"), hostile)
    return list(places.items())
