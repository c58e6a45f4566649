"""The state that all programs back up: notes of log-normal sizes, a git repository, a database; and how it changes."""

import random
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

FILES_PER_FOLDER = 1000
# Most notes and transcripts are of some KiB, a few of some MiB: the median is 2 KiB, one of 1,000 is above 400 KiB.
MEDIAN_BYTES = 2_048
SIGMA = 1.7
LARGEST_BYTES = 4 * 1024 * 1024
MIB = 1024 * 1024
PAGE_BYTES = 4096
DATABASE = "memory/main.sqlite"
SEED = 20261125


@dataclass(frozen=True, slots=True)
class State:
    """A planted state: its folder, how many notes it has, and whether it has a database."""

    folder: Path
    files: int
    database_mib: int

    def note(self, number: int) -> Path:
        """Where the note of this number lies."""
        return self.folder / f"folder-{number // FILES_PER_FOLDER:04d}" / f"note-{number:06d}.md"


def plant_state(folder: Path, files: int, database_mib: int) -> State:
    """Write a state into a new folder; the same numbers give the same bytes.

    Needs git for the repository.
    """
    state = State(folder, files, database_mib)
    chance = random.Random(SEED)  # noqa: S311 - no secret: a state that is the same each time
    for number in range(files):
        place = state.note(number)
        if number % FILES_PER_FOLDER == 0:
            place.parent.mkdir(parents=True)
        size = min(LARGEST_BYTES, max(1, int(chance.lognormvariate(0, SIGMA) * MEDIAN_BYTES)))
        place.write_bytes(chance.randbytes(size))
    _plant_repository(folder / "workspace" / "repository", chance)
    if database_mib:
        _plant_database(folder / DATABASE, database_mib, chance)
    return state


def change_one_page(state: State) -> None:
    """Change one row of the database, which is one page of it."""
    with closing(sqlite3.connect(state.folder / DATABASE)) as database, database:
        database.execute("update pages set text = ? where number = 1", (random.randbytes(64),))  # noqa: S311


def change_files(state: State, count: int) -> None:
    """Give so many notes, spread over all, another content of the same size."""
    step = max(1, state.files // count)
    for number in range(0, step * count, step):
        place = state.note(number)
        place.write_bytes(random.randbytes(place.stat().st_size))  # noqa: S311


def _plant_repository(folder: Path, chance: random.Random) -> None:
    folder.mkdir(parents=True)
    for number in range(40):
        (folder / f"source-{number}.py").write_bytes(chance.randbytes(600).hex().encode())
    as_nobody = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    for words in (("init", "--quiet"), ("add", "--all"), (*as_nobody, "commit", "--quiet", "--message", "Begin")):
        subprocess.run(("git", *words), cwd=folder, check=True)  # noqa: S603, S607 - git, in our own folder


def _plant_database(place: Path, mib: int, chance: random.Random) -> None:
    place.parent.mkdir(parents=True)
    with closing(sqlite3.connect(place)) as database, database:
        database.execute(f"pragma page_size = {PAGE_BYTES}")
        database.execute("create table pages (number integer primary key, text blob)")
        rows = mib * MIB // PAGE_BYTES
        database.executemany(
            "insert into pages values (?, ?)", ((number, chance.randbytes(PAGE_BYTES - 100)) for number in range(rows))
        )
