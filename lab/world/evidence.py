"""An account of a state folder that owes nothing to the agent's manifests: what is compared before and after."""

import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

SQLITE_HEADER = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Account:
    """One path: its kind and metadata in a line, and for a file the digest of its bytes.

    For a database the digest is that of its clean form: a copy with its write-ahead log folded in.
    """

    metadata: str
    digest: str
    database: bool


def account_of(root: Path, left_out: frozenset[str]) -> dict[str, Account]:
    """Account for everything below `root` but the paths of `left_out` and what is in them."""
    found: dict[str, Account] = {}
    for place, folders, files in os.walk(root):
        here = Path(place)
        folders[:] = [name for name in folders if str((here / name).relative_to(root)) not in left_out]
        for name in [*folders, *files]:
            path = here / name
            relative = str(path.relative_to(root))
            status = path.lstat()
            if relative in left_out or not (
                stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode)
            ):
                continue
            found[relative] = _account(path, status)
    return {path: row for path, row in found.items() if not _belongs_to_a_database(path, found)}


def _account(path: Path, status: os.stat_result) -> Account:
    target = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""  # noqa: PTH115 - the raw text is compared
    # A folder's time changes with every file that comes and goes in it, left-out ones too.
    time_ns = 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
    metadata = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid} {time_ns} {target}"
    if not stat.S_ISREG(status.st_mode):
        return Account(metadata, "", database=False)
    with path.open("rb") as reading:
        if reading.read(len(SQLITE_HEADER)) == SQLITE_HEADER:
            return Account(metadata, clean_digest(path), database=True)
        reading.seek(0)
        return Account(metadata, hashlib.file_digest(reading, "sha256").hexdigest(), database=False)


def _belongs_to_a_database(path: str, found: dict[str, Account]) -> bool:
    return any(
        path.endswith(suffix) and (base := found.get(path.removesuffix(suffix))) is not None and base.database
        for suffix in ("-wal", "-shm", "-journal")
    )


def clean_digest(database: Path) -> str:
    """The digest of a copy of the database with its log folded in; raises sqlite3.Error when it is damaged."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "database"
        for suffix in ("", "-wal"):
            source = database.with_name(database.name + suffix)
            if source.exists():
                shutil.copyfile(source, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy, isolation_level=None)) as opened:
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            # OpenClaw's own SQLite has it, that of Debian 12 has not.
            opened.create_function("octet_length", 1, _octet_length, deterministic=True)
            verdict = opened.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(f"{database.name}: {verdict}")
        return hashlib.sha256(copy.read_bytes()).hexdigest()


def _octet_length(value: str | bytes | float | None) -> int | None:
    if value is None:
        return None
    return len(value if isinstance(value, bytes) else str(value).encode())


def differences(before: dict[str, Account], after: dict[str, Account]) -> list[str]:
    """Paths that are not the same in both, each with what differs."""
    rows = [f"{path} is missing" for path in before if path not in after]
    rows += [f"{path} is new" for path in after if path not in before]
    for path, row in before.items():
        other = after.get(path)
        if other is not None and other != row:
            what = "bytes" if other.digest != row.digest else f"metadata ({row.metadata} / {other.metadata})"
            rows.append(f"{path} differs in {what}")
    return rows
