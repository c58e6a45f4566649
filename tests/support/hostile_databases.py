"""SQLite files that are made to do harm to whoever checks them."""

import sqlite3
from collections.abc import Callable
from pathlib import Path


def indexed_by(expression: str, value: int) -> Callable[[Path], None]:
    """A database with an index on an expression over a row for which it was never computed: the check computes it."""

    def make(place: Path) -> None:
        for statements in (
            (
                "CREATE TABLE t(x)",
                f"CREATE INDEX i ON t({expression}) WHERE 0",
                f"INSERT INTO t VALUES ({value})",
            ),
            (
                "PRAGMA writable_schema=ON",
                "UPDATE sqlite_master SET sql = replace(sql, ' WHERE 0', '') WHERE name = 'i'",
            ),
        ):
            database = sqlite3.connect(place, isolation_level=None)
            for statement in statements:
                database.execute(statement)
            database.close()

    return make


def wal_that_grows(page: int) -> Callable[[Path], None]:
    """A WAL database whose log, with right sums, holds one page far behind the end: folding it makes a huge file."""

    def make(place: Path) -> None:
        database = sqlite3.connect(place, isolation_level=None)
        database.execute("PRAGMA journal_mode=wal")
        database.execute("CREATE TABLE t(x)")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("INSERT INTO t VALUES (1)")
        log = bytearray(place.with_name(place.name + "-wal").read_bytes())
        main = place.read_bytes()
        database.close()
        order = "big" if log[3] == 0x83 else "little"
        first, second = (int.from_bytes(log[at : at + 4], "big") for at in (24, 28))
        size = int.from_bytes(log[8:12], "big")
        log[32:36] = page.to_bytes(4, "big")
        log[36:40] = page.to_bytes(4, "big")
        # https://sqlite.org/fileformat.html, "Checksum Algorithm": the frame's first 8 bytes, then its page.
        covered = bytes(log[32:40]) + bytes(log[56 : 56 + size])
        for at in range(0, len(covered), 8):
            one, two = (int.from_bytes(covered[at + part : at + part + 4], order) for part in (0, 4))  # type: ignore[arg-type]
            first = (first + one + second) % 2**32
            second = (second + two + first) % 2**32
        log[48:56] = first.to_bytes(4, "big") + second.to_bytes(4, "big")
        place.write_bytes(main)
        place.with_name(place.name + "-wal").write_bytes(log[: 56 + size])

    return make
