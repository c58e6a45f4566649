"""What becomes of a cloned database: the folded file, the last good copy of it, or its files as they were found."""

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_agent.capture.clones import CloneDir
from openclaw_agent.fs.clone import clone_file
from openclaw_agent.sandbox.child import Owner
from openclaw_agent.sandbox.time_lost import TimeLost
from openclaw_agent.snapshot.manifest import Entry
from openclaw_agent.sqlite.check import Outcome, Verdict
from openclaw_agent.sqlite.files import (
    LOG_SUFFIXES,
    clone_database,
    discard_clone,
    fold_and_check,
    sidecar_path,
    size_with_logs,
)
from openclaw_agent.state_dir.walk import WalkEntry

NO_TIME = "there was no time left for its check"
TORN = "it was written all the while it was copied, and SQLite could not take it"


@dataclass(frozen=True, slots=True)
class ClonedDatabase:
    """A database whose clone has this number; `torn` when its files may be of several moments."""

    found: WalkEntry
    sidecars: tuple[WalkEntry, ...]
    number: int
    live: bool
    torn: bool = False


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A clone that goes into the snapshot as the file `found`; `trusted` when it need not be read again next time.

    `damaged` is a database that failed its check, of which there is no good copy.
    """

    found: WalkEntry
    number: int
    database: bool
    unverified: bool = False
    damaged: bool = False
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class DatabaseResult:
    """What a database becomes: files of the snapshot, or the `last_good` entry in their place.

    `damage` says what is wrong with it, and `as_found` holds its bytes then, with the log if any; `unverified` says why
    nobody can tell whether something is, and `not_judged` that somebody must know: its check was given up.
    """

    files: tuple[StoredFile, ...] = ()
    last_good: Entry | None = None
    damage: str = ""
    as_found: Path = Path()
    unverified: str = ""
    not_judged: bool = False


def resolve_database(
    cloned: ClonedDatabase, before: Entry | None, clones: CloneDir, time_lost: TimeLost
) -> DatabaseResult:
    """Fold a database and check it; `before` is the entry that the last snapshot has under its path.

    Raises:
        LocalStorageError: when the disk is full or fails.
        OSError: when a clone cannot be made.
    """
    clone = clones.path(cloned.number)
    number_as_found = clones.next_number()
    as_found = clones.path(number_as_found)
    clone_database(clone, as_found)
    verdict = _judged(cloned, clone, time_lost)
    was_good = before is not None and before.is_good_database
    if verdict.outcome is Outcome.NO_DATABASE and not was_good:
        # Somebody's own format that begins like SQLite's, an encrypted database for example.
        discard_clone(clone)
        return DatabaseResult(_stored_as_found(cloned, number_as_found, clones, database=False))
    if verdict.outcome is Outcome.INTACT:
        discard_clone(as_found)
        whole = StoredFile(cloned.found, cloned.number, database=True, unverified=cloned.torn)
        return DatabaseResult((whole,), unverified=TORN if cloned.torn else "")
    reason = f"{verdict.reason}; {TORN}" if cloned.torn else verdict.reason
    if verdict.outcome in (Outcome.UNKNOWN, Outcome.NOT_JUDGED):
        if verdict.folded:
            discard_clone(as_found)
            return DatabaseResult(
                (StoredFile(cloned.found, cloned.number, database=True, unverified=True),), unverified=reason
            )
        discard_clone(clone)
        as_it_was = _stored_as_found(cloned, number_as_found, clones, database=True)
        return DatabaseResult(as_it_was, unverified=reason, not_judged=verdict.outcome is Outcome.NOT_JUDGED)
    discard_clone(clone)
    if was_good:
        return DatabaseResult(last_good=before, damage=reason, as_found=as_found)
    clone_database(as_found, clone)
    main, *logs = _stored_as_found(cloned, cloned.number, clones, database=True)
    return DatabaseResult((replace(main, damaged=True), *logs), damage=reason, as_found=as_found)


def _judged(cloned: ClonedDatabase, clone: Path, time_lost: TimeLost) -> Verdict:
    limits = time_lost.limits(size_with_logs(clone))
    if limits is None:
        return Verdict(Outcome.NOT_JUDGED, NO_TIME, folded=False)
    began = time.monotonic()
    verdict = fold_and_check(clone, Owner(cloned.found.uid, cloned.found.gid), limits)
    if verdict.outcome is Outcome.NOT_JUDGED:
        time_lost.lose(time.monotonic() - began)
    return verdict


def digest_as_found(as_found: Path) -> bytes:
    """The SHA-256 of a database's file and of its log, one after the other."""
    digest = hashlib.sha256()
    for suffix in ("", *LOG_SUFFIXES):
        place = sidecar_path(as_found, suffix)
        if place.exists():
            with place.open("rb") as reading:
                digest.update(hashlib.file_digest(reading, "sha256").digest())
    return digest.digest()


def _stored_as_found(cloned: ClonedDatabase, main: int, clones: CloneDir, *, database: bool) -> tuple[StoredFile, ...]:
    """The files of the clone `main`, each with a number of its own; the log is an ordinary file then."""
    known = {row.path: row for row in cloned.sidecars}
    clone = clones.path(main)
    logs = []
    for suffix in LOG_SUFFIXES:
        if sidecar_path(clone, suffix).exists():
            number = clones.next_number()
            clone_file(sidecar_path(clone, suffix), clones.path(number))
            path = cloned.found.path + suffix
            found = known.get(path, replace(cloned.found, path=path))
            logs.append(StoredFile(found, number, database=False, trusted=False))
    # A database that is stored with its log is read again as long as it is: the log's entry is made in no other way.
    trusted = not (database or logs)
    return (StoredFile(cloned.found, main, database, unverified=database, trusted=trusted), *logs)
