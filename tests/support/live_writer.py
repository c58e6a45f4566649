"""A gateway at work: numbered rows into one database, then a second, then a text file, as fast as it can.

A row is in the second database only if it is in the first, and in the file only if it is in the second.
"""

import itertools
import os
import sqlite3
import sys
from pathlib import Path

FIRST = "state/openclaw.sqlite"
SECOND = "agents/main/agent/openclaw-agent.sqlite"
LINES = "logs/history.log"


def open_database(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    # A commit costs no sync, so that there are as many as can be.
    database.execute("PRAGMA synchronous=NORMAL")
    # Small checkpoints often: the file and its log are both on the move.
    database.execute("PRAGMA wal_autocheckpoint=50")
    database.execute("CREATE TABLE messages (number INTEGER PRIMARY KEY)")
    return database


def write_for_ever(folder: Path) -> None:
    first, second = open_database(folder / FIRST), open_database(folder / SECOND)
    (folder / LINES).parent.mkdir(parents=True)
    lines = os.open(folder / LINES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in itertools.count(1):
        first.execute("INSERT INTO messages VALUES (?)", (number,))
        second.execute("INSERT INTO messages VALUES (?)", (number,))
        os.write(lines, f"{number}\n".encode())
        if number == 1:
            print("writing", flush=True)


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]))
