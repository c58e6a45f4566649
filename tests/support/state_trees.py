"""Small states that hold one of everything that matters, and images of them that can be compared."""

import hashlib
import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

Image = dict[str, tuple[object, ...]]
DATABASE = "state/openclaw.sqlite"


def write_state(folder: Path, version: int) -> None:
    """State 1, 2 or 3: files that stay, change, go, come and move, a mode, a link, an empty folder, a database."""
    folder.mkdir(parents=True, mode=0o700)
    (folder / "state").mkdir()
    (folder / "empty").mkdir()
    (folder / "kept.md").write_text("the same in every state\n")
    (folder / "kept.md").chmod(0o644 if version == 1 else 0o1750)
    (folder / "edited.md").write_text(f"as of {version}\n")
    (folder / "link").symlink_to("kept.md" if version == 1 else "nowhere")
    (folder / ("old-name.md" if version == 1 else "new-name.md")).write_text("moved, not changed\n")
    if version == 1:
        (folder / "removed.md").write_text("only in state 1\n")
    else:
        (folder / f"added-{version}.md").write_text(f"came with state {version}\n")
    write_database(folder / DATABASE, range(version * 10))


def write_database(path: Path, rows: range) -> None:
    """A database whose last rows lie in its write-ahead log, as a running gateway leaves it."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "live.sqlite"
        with closing(sqlite3.connect(source, isolation_level=None)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=OFF")
            database.execute("CREATE TABLE messages (number INTEGER PRIMARY KEY)")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA wal_autocheckpoint=0")
            database.executemany("INSERT INTO messages VALUES (?)", [(row,) for row in rows])
            shutil.copyfile(source, path)
            shutil.copyfile(f"{source}-wal", f"{path}-wal")


def image_of(folder: Path) -> Image:
    """Everything a restore must bring back; a database is the same whether its log is folded in or not."""
    image: Image = {}
    if not folder.exists():
        return image
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files, ""):
            path = Path(place) / name if name else Path(place)
            relative = str(path.relative_to(folder))
            if not relative.endswith(("-wal", "-shm")) and relative not in image:
                image[relative] = _image_of_one(path)
    return image


def _image_of_one(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    about = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    if stat.S_ISLNK(status.st_mode):
        return ("symlink", str(path.readlink()), status.st_uid, status.st_gid, status.st_mtime_ns)
    if stat.S_ISDIR(status.st_mode):
        return ("folder", *about, status.st_mtime_ns)
    body = path.read_bytes()
    log = path.with_name(path.name + "-wal")
    if body.startswith(b"SQLite format 3\0"):
        return ("database", *about, *rows_in(body, log.read_bytes() if log.exists() else b""))
    return ("file", *about, status.st_mtime_ns, hashlib.sha256(body).hexdigest())


@cache
def rows_in(body: bytes, log: bytes) -> tuple[object, ...]:
    """The verdict of SQLite's check, and every row."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy.sqlite"
        copy.write_bytes(body)
        if log:
            copy.with_name("copy.sqlite-wal").write_bytes(log)
        with closing(sqlite3.connect(copy)) as database:
            verdict = database.execute("PRAGMA integrity_check").fetchone()[0]
            rows = database.execute("SELECT number FROM messages ORDER BY number").fetchall()
    return (verdict, tuple(rows))


def copy_tree(source: Path, target: Path) -> None:
    """Copy a tree as it is: links as links, with times and modes, and owners where root may."""
    if target.exists():
        shutil.rmtree(target)
    if not source.exists():
        return
    shutil.copytree(source, target, symlinks=True)
    if os.geteuid() == 0:
        for path in (source, *source.rglob("*")):
            status = path.lstat()
            if status.st_uid or status.st_gid:
                os.chown(target / path.relative_to(source), status.st_uid, status.st_gid, follow_symlinks=False)


def differences(one: Image, other: Image) -> dict[str, tuple[object, object]]:
    """What is not the same in two images, by path."""
    return {
        path: (one.get(path), other.get(path)) for path in one.keys() | other.keys() if one.get(path) != other.get(path)
    }
