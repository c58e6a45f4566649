"""What the hostile program puts into the state besides: whatever root might never come to the end of.

Runs on the instance with Python's standard library alone, beside hostile_program.py.
"""

import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

# The check computes the indexed expression for each row: days for one row of this value.
ENDLESS = "instr(zeroblob(x), zeroblob(x/2)||x'01')"
ENDLESS_VALUE = 4_000_000
FOLDERS_DEEP = 1_500
SMALL_FILES = 1_000
GIANT_BYTES = 15 * 1000**4


def plant_all(folder: Path, decoy: Path) -> None:
    """Plant everything below a folder of the state."""
    folder.mkdir(parents=True, exist_ok=True)
    for planting in PLANTINGS:
        # What the last round has left, or a restore takes away at this moment, is no reason to stop.
        with suppress(OSError, sqlite3.Error):
            planting(folder, decoy)


def plant_fifos(folder: Path, _decoy: Path) -> None:
    """FIFOs where something is read: beside a database, and in the place of well-known files."""
    # Once alone: SQLite itself would wait for ever at the FIFO that is its journal then.
    if not (folder / "beside.sqlite").exists():
        with closing(sqlite3.connect(folder / "beside.sqlite")) as database:
            database.execute("create table t(x)")
    for name in ("beside.sqlite-journal", "beside.sqlite-wal", "fifo.md", "manifest.json"):
        with suppress(FileExistsError):
            os.mkfifo(folder / name)
    if not (folder / "socket").exists():
        with closing(socket.socket(socket.AF_UNIX)) as listening:
            listening.bind(str(folder / "socket"))


def plant_an_endless_database(folder: Path, _decoy: Path) -> None:
    """A database of some kilobytes whose check does not end."""
    place = folder / "endless.sqlite"
    if place.exists():
        return
    rounds = (
        ("create table t(x)", f"create index i on t({ENDLESS}) where 0", f"insert into t values({ENDLESS_VALUE})"),
        (
            "pragma writable_schema=on",
            "update sqlite_master set sql=replace(sql,' where 0','') where name='i'",
        ),
    )
    for statements in rounds:
        with closing(sqlite3.connect(place, isolation_level=None)) as database:
            for statement in statements:
                database.execute(statement)


def plant_a_giant(folder: Path, _decoy: Path) -> None:
    """A file of 15 TB that takes no room."""
    with (folder / "giant.bin").open("ab") as giant:
        giant.truncate(GIANT_BYTES)


def plant_a_deep_tree(folder: Path, _decoy: Path) -> None:
    """More folders in each other than Python's recursion or one path takes."""
    top = folder / "deep"
    if top.exists():
        return
    top.mkdir()
    deepen(top, FOLDERS_DEEP)


def deepen(folder: Path, levels: int) -> None:
    """Make so many folders in each other."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def plant_names(folder: Path, decoy: Path) -> None:
    """Names that speak to a terminal, that are no UTF-8, and links that lead out and in circles."""
    names = folder / "names"
    names.mkdir(exist_ok=True)
    for raw in (b"\x1b]0;owned\x07.md", b"\xff\xfe.md", b"new\nline.md", b"x" * 255):
        (names / os.fsdecode(raw)).touch()
    for name, target in (("out", decoy / "secret"), ("round", Path("round")), ("up", Path("../../../../etc"))):
        with suppress(FileExistsError):
            (names / name).symlink_to(target)


def fill(folder: Path, _decoy: Path) -> None:
    """A thousand small files, made anew each time."""
    filled = folder / "fill"
    shutil.rmtree(filled, ignore_errors=True)
    filled.mkdir()
    for number in range(SMALL_FILES):
        (filled / f"{number}.md").write_text(str(time.time_ns()))


PLANTINGS: tuple[Callable[[Path, Path], None], ...] = (
    plant_fifos,
    plant_an_endless_database,
    plant_a_giant,
    plant_a_deep_tree,
    plant_names,
    fill,
)
