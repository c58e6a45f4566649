"""A commit over several databases: whether it had happened at the instant of which a journal was cloned.

Each rollback journal then ends with the name of the super-journal, whose deletion commits all of them at once
(https://sqlite.org/atomiccommit.html, "Multi-file Commit"): while it is there the journals undo what they are of, and
without it they mean nothing. SQLite looks for it by that name, which is one of the gateway's container and of that
instant; so the question is answered when the journal is cloned, and the clone says the answer by itself.
"""

import contextlib
import os
import re
from pathlib import Path

from openclaw_agent.fs.clone import Source, open_nofollow
from openclaw_agent.fs.confined import ConfinedPath
from openclaw_agent.fs.removal import remove_file

JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"  # https://sqlite.org/fileformat.html, "The Rollback Journal"
# At the end of a journal (pager.c, writeSuperJournal): the number of a page that is none, the name, then these.
_LOCK_PAGE_BYTES = 4
_LENGTH_BYTES = 4
_SUM_BYTES = 4
_TAIL_BYTES = _LENGTH_BYTES + _SUM_BYTES + len(JOURNAL_MAGIC)
_LONGEST_NAME = 4096
_NAME_OF_ONE = re.compile(r"(?P<database>.+)(?P<suffix>-mj[0-9A-F]{6}9[0-9A-F]{2})", re.DOTALL)


def split_name(path: str) -> tuple[str, str] | None:
    """The database and the suffix of what has the name of a super-journal, which lies beside its first database."""
    named = _NAME_OF_ONE.fullmatch(path)
    return (named["database"], named["suffix"]) if named else None


def lists_journal_of(super_journal: Source, database: str) -> bool:
    """Whether a super-journal's content, the names of journals, has that of a database of this file name."""
    names = _read_end(super_journal, 1024 * 1024).split(b"\0")
    return any(name.rpartition(b"/")[2] == os.fsencode(f"{database}-journal") for name in names)


def named_in(journal: Source) -> str:
    """The super-journal that a journal names, "" for none; a name with a wrong sum is none to SQLite either."""
    tail = _read_end(journal, _TAIL_BYTES + _LONGEST_NAME)
    if len(tail) < _TAIL_BYTES or not tail.endswith(JOURNAL_MAGIC):
        return ""
    length = int.from_bytes(tail[-_TAIL_BYTES:][:_LENGTH_BYTES], "big")
    name = tail[: len(tail) - _TAIL_BYTES][-length:] if 0 < length <= len(tail) - _TAIL_BYTES else b""
    written = int.from_bytes(tail[-_TAIL_BYTES + _LENGTH_BYTES :][:_SUM_BYTES], "big")
    # The sum is one of C's chars, which are signed on some machines and not on others.
    sums = {sum(name) % 2**32, sum(byte - 256 if byte > 127 else byte for byte in name) % 2**32}
    return os.fsdecode(name) if written in sums else ""


def answer_in_clone(database: Source, journal_clone: Path) -> None:
    """Make the cloned journal of a database one of its own, or remove it where its commit had happened already.

    `database` lies where it did when its journal was cloned.
    """
    name = named_in(journal_clone)
    if not name:
        return
    if _was_committed(database, name):
        remove_file(journal_clone)
    else:
        # One database by itself is then as it was before the commit, which it is also where nobody knows.
        size = journal_clone.stat().st_size - len(os.fsencode(name)) - _TAIL_BYTES - _LOCK_PAGE_BYTES
        os.truncate(journal_clone, max(size, 0))


def _was_committed(database: Source, name: str) -> bool:
    """Whether the super-journal is gone from where it would lie; False where that place is not known here."""
    parts = split_name(name)
    if parts is None:
        return False
    first, suffix = parts
    place = _as_seen_here(database, first)
    return place is not None and not _stands(_beside(place, suffix))


def _as_seen_here(database: Source, path: str) -> Source | None:
    """A database of the state folder whose path, as the gateway sees it, is this one."""
    names = path.lstrip("/").split("/")
    for begin in range(len(names)):
        below = "/".join(names[begin:])
        place = ConfinedPath(database.folder, below) if isinstance(database, ConfinedPath) else database.parent / below
        if _stands(place):
            return place
    return None


def _beside(place: Source, suffix: str) -> Source:
    return place.beside(suffix) if isinstance(place, ConfinedPath) else place.with_name(place.name + suffix)


def _stands(place: Source) -> bool:
    with contextlib.suppress(OSError):
        place.lstat()
        return True
    return False


def _read_end(source: Source, count: int) -> bytes:
    """The last bytes of a regular file; none of what cannot be opened."""
    try:
        handle = open_nofollow(source)
    except OSError:
        return b""
    try:
        return os.pread(handle, count, max(os.fstat(handle).st_size - count, 0))
    except OSError:
        return b""
    finally:
        os.close(handle)
