"""Judging a cloned database: its log is folded in, and then SQLite says whether it is whole.

The gateway's SQLite may be newer than this one (Amazon Linux 2023 has 3.40), and an application may bring functions,
collations and modules of its own. Only what the file says about itself is damage: what is merely not known here is not.
A database is whole when its pages are, which needs no schema; what is not known gets a stand-in, or is passed over:

- An unknown function or collation: something stands in for it. It gives other values, so everything is checked but
  whether indexes agree with their tables, and the order of a table that is its own index.
- A schema in a newer syntax: SQLite reports it as corruption and reads nothing. With writable_schema it passes over
  what it cannot parse; the pages of everything else are checked, and those passed over are "never used". A schema
  that is no text of a CREATE statement, or leads to a page that is not there, is damage all the same. Text that was
  altered and still looks like a statement cannot be told from a newer syntax: such a database is never called whole.
"""

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from openclaw_agent.errors import LocalStorageError

MOST_STAND_INS = 50
MOST_FINDINGS = 10_000
PRIMARY_CODE = 0xFF  # the low byte of an extended result code (sqlite.org/rescode.html)
_LOCAL_PROBLEMS = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)
_UNKNOWN_FUNCTION = re.compile(r"(?:unknown function|no such function): (\w+)")
_UNKNOWN_COLLATION = re.compile(r"no such collation sequence: (.+)", re.DOTALL)
# After " - " stands what the parser said, or one of two words of SQLite's own (prepare.c, corruptSchema).
_UNPARSED_SCHEMA = re.compile(r"malformed database schema \(.*?\) - (?!invalid rootpage|orphan index)(.+)", re.DOTALL)
_SCHEMA_STATEMENT = re.compile(rb"CREATE [^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*", re.IGNORECASE)
_HEADLINE = re.compile(r"\*\*\* in database \w+ \*\*\*")
_OF_AN_UNUSED_PAGE = re.compile(r"Page \d+:? (?:is )?never used")
_OF_A_STAND_IN = re.compile(r"row not in PRIMARY KEY order")
_OF_A_MODULE = re.compile(r"unable to validate")


class Outcome(Enum):
    """What a check can end in."""

    INTACT = "intact"
    DAMAGED = "damaged"
    NO_DATABASE = "no database, whatever its header says"
    UNKNOWN = "not to be judged here"
    NOT_JUDGED = "its check was over its limits"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A check's outcome and its reason; `folded` is whether the one file now holds all that its log held."""

    outcome: Outcome
    reason: str = ""
    folded: bool = True


def _nothing() -> None:
    """The check goes on as it began."""


def check(clone: Path, *, once_open: Callable[[], None] = _nothing) -> Verdict:
    """Fold a clone's log into it and judge it; nobody else may have it open.

    `once_open` is called when its files are open and no schema and no page of it has been looked at: from there on
    nothing is opened any more.

    Raises:
        LocalStorageError: when the disk is full or fails, which says nothing about the database.
    """
    folded = False
    try:
        with contextlib.closing(sqlite3.connect(clone, isolation_level=None)) as database:
            # A finding may quote the damaged bytes.
            database.text_factory = lambda raw: raw.decode(errors="replace")
            _open_all_files(database)
            once_open()
            folded = _fold(database)
            if not folded:
                return Verdict(Outcome.UNKNOWN, "its write-ahead log could not be folded in", folded=False)
            return _judge(database)
    except UnicodeDecodeError:
        # The message quotes the schema.
        return Verdict(Outcome.DAMAGED, "its schema is no text", folded)
    except MemoryError as problem:
        raise LocalStorageError("There is not enough memory to check a database.") from problem
    except sqlite3.Error as problem:
        return _verdict_of(problem, clone, folded)


def _open_all_files(database: sqlite3.Connection) -> None:
    # In exclusive mode the clone needs no shared-memory file, and closing it removes the log.
    database.execute("PRAGMA locking_mode=EXCLUSIVE")
    database.execute("PRAGMA temp_store=MEMORY")
    # Opens its log, or undoes what its journal says; the pragma itself reads no schema.
    database.execute("PRAGMA schema_version").fetchone()


def _fold(database: sqlite3.Connection) -> bool:
    # Folding moves pages, but the pragma reads the schema first, and fails when it cannot be parsed.
    database.execute("PRAGMA writable_schema=ON")
    # Nobody misses a clone that a crash takes.
    database.execute("PRAGMA synchronous=OFF")
    busy, _, _ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    database.execute("PRAGMA writable_schema=RESET")
    return not busy


def _judge(database: sqlite3.Connection) -> Verdict:
    # A CHECK constraint is the application's word about its rows, not the file's about itself.
    database.execute("PRAGMA ignore_check_constraints=ON")
    pragma, most = "integrity_check", 1
    harmless = [_HEADLINE, _OF_A_MODULE]
    unparsed_schema = ""
    for _attempt in range(MOST_STAND_INS):
        try:
            for finding in _findings(database, pragma, most):
                if not any(pattern.match(finding) for pattern in harmless):
                    return Verdict(Outcome.DAMAGED, finding)
        except sqlite3.Error as problem:
            text = str(problem)
            pragma, most = "quick_check", MOST_FINDINGS
            if function := _UNKNOWN_FUNCTION.search(text):
                database.create_function(function.group(1), -1, lambda *_arguments: 1, deterministic=True)
            elif collation := _UNKNOWN_COLLATION.search(text):
                database.create_collation(collation.group(1), lambda left, right: (left > right) - (left < right))
                harmless.append(_OF_A_STAND_IN)
            elif (unparsed := _UNPARSED_SCHEMA.fullmatch(text)) and not unparsed_schema:
                unparsed_schema = unparsed.group(1)
                database.execute("PRAGMA writable_schema=ON")
                harmless.append(_OF_AN_UNUSED_PAGE)
                if not _is_text(database):
                    return Verdict(Outcome.DAMAGED, text)
            else:
                raise
        else:
            if unparsed_schema:
                return Verdict(Outcome.UNKNOWN, f"its schema is not understood here ({unparsed_schema})")
            return Verdict(Outcome.INTACT)
    return Verdict(Outcome.UNKNOWN, "its schema calls too many functions that are not known here")


def _findings(database: sqlite3.Connection, pragma: str, most: int) -> Iterator[str]:
    for (row,) in database.execute(f"PRAGMA {pragma}({most})"):
        if row != "ok":
            # What is wrong with the pages comes as one text.
            yield from row.splitlines()


def _is_text(database: sqlite3.Connection) -> bool:
    readable = database.text_factory
    database.text_factory = bytes
    try:
        for (statement,) in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"):
            statement.decode()
            if not _SCHEMA_STATEMENT.fullmatch(statement):
                return False
    except (UnicodeDecodeError, AttributeError):
        return False
    finally:
        database.text_factory = readable
    return True


def _verdict_of(problem: sqlite3.Error, clone: Path, folded: bool) -> Verdict:
    code = getattr(problem, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    primary = code & PRIMARY_CODE
    if primary == sqlite3.SQLITE_NOTADB:
        return Verdict(Outcome.NO_DATABASE, str(problem), folded)
    if primary == sqlite3.SQLITE_CORRUPT or code == sqlite3.SQLITE_IOERR_SHORT_READ:
        return Verdict(Outcome.DAMAGED, str(problem), folded)
    if primary in _LOCAL_PROBLEMS:
        raise LocalStorageError(
            f"A database cannot be checked in {clone.parent} ({problem}); free some space on that disk, or see whether "
            "it fails."
        ) from problem
    return Verdict(Outcome.UNKNOWN, str(problem), folded)
