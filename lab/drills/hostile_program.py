"""Runs on the instance as the gateway's user: plants and swaps in the state folder, as fast as it can.

Usage: hostile_program.py STATE_FOLDER DECOY_FOLDER COUNT_FILE
It exchanges files and folders with links that lead to the decoy, plants manifests, nested copies and what has no end
(hostile_plants), and writes the number of its swaps down. What is the user's own lies elsewhere in the state, and is
left alone.
"""

import contextlib
import ctypes
import os
import sys
import time
from pathlib import Path

from lab.drills.hostile_plants import plant_all

AT_FDCWD = -100
RENAME_EXCHANGE = 2
# The names that root's commands have looked at, in this version or an earlier one.
PLANTED_FILES = ("manifest.json", "hostile/notes.md", "hostile/x.sqlite", ".openclaw/openclaw.json")
PLANTED_FOLDERS = (".openclaw", ".config", "hostile/folder", "cron.d")
NOTE_EVERY = 500
SECONDS_BETWEEN_PLANTINGS = 3.0


def plant(state: Path, decoy: Path) -> list[tuple[bytes, bytes]]:
    """Make everything that is swapped, and return the pairs."""
    twins = state / "hostile/twins"
    twins.mkdir(parents=True, exist_ok=True)
    pairs = []
    for number, name in enumerate((*PLANTED_FILES, *PLANTED_FOLDERS)):
        place, twin = state / name, twins / str(number)
        with contextlib.suppress(FileExistsError):
            if name in PLANTED_FOLDERS:
                place.mkdir(parents=True)
                (place / "openclaw").mkdir()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("x") as planted:
                    planted.write('{"format":2,"snapshot":"2026-01-01-00-00"}')
        with contextlib.suppress(FileExistsError):
            twin.symlink_to(decoy / "secret" if name in PLANTED_FILES else decoy)
        pairs.append((os.fsencode(place), os.fsencode(twin)))
    pipe, file = twins / "pipe", state / "hostile/pipe-or-file"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(pipe)
    with contextlib.suppress(FileExistsError):
        file.touch(exist_ok=False)
    pairs.append((os.fsencode(file), os.fsencode(pipe)))
    return pairs


def swap(pairs: list[tuple[bytes, bytes]]) -> int:
    """Exchange each pair; return how many of them could be."""
    exchange = ctypes.CDLL(None).renameat2
    return sum(exchange(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0 for one, other in pairs)


def main() -> None:
    """Swap until somebody ends it; what root has taken away is planted again."""
    state, decoy, count_file = map(Path, sys.argv[1:])
    done = noted = 0
    pairs = plant(state, decoy)
    planted_at = float("-inf")
    while True:
        if time.monotonic() - planted_at > SECONDS_BETWEEN_PLANTINGS:
            plant_all(state / "hostile" / "plants", decoy)
            planted_at = time.monotonic()
        swapped = swap(pairs)
        if swapped < len(pairs):
            with contextlib.suppress(OSError):
                pairs = plant(state, decoy)
        done += swapped
        if done >= noted + NOTE_EVERY:
            noted = done
            count_file.write_text(str(done))


if __name__ == "__main__":
    main()
