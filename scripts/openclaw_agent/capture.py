"""Capturing the state folder at one instant: freeze, walk, clone what changed, thaw; then hash and check the clones."""

import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from openclaw_agent.change_detection import Pending, entry_of, split_tree
from openclaw_agent.clone import clone_file
from openclaw_agent.databases import capture_live, clone_database, fold
from openclaw_agent.errors import LocalStorageError
from openclaw_agent.exclusions import Exclusions
from openclaw_agent.freezer import Freeze, Freezer, FreezeUnavailable, NothingToFreeze, frozen
from openclaw_agent.manifest import CaptureMethod, Entry, EntryKind, Fingerprint, LeftOut, Manifest, path_order
from openclaw_agent.tree_walk import Found, Tree, fingerprint_of, walk

# A file changed this shortly before its capture may change again within the clock's grain; it is read again next time.
RACY_NANOSECONDS = 1_000_000_000
LIVE_ATTEMPTS = 3
STAT_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's (stat(2))
SMALLEST_HOLES_BYTES = 1024 * 1024
FOLDED_REASON = "folded into its database"


@dataclass(frozen=True, slots=True)
class Damage:
    """A database whose captured bytes fail SQLite's check; `clone` holds them as found, with the log if any."""

    path: str
    problem: str
    clone: Path


@dataclass(slots=True)
class Capture:
    """The state as it stood: entries sorted by path, and a local clone for every file whose bytes were read."""

    method: CaptureMethod
    freeze_ms: float = 0.0
    live_because: str = ""
    entries: list[Entry] = field(default_factory=list)
    clones: Mapping[str, Path] = field(default_factory=dict)
    excluded: list[LeftOut] = field(default_factory=list)
    skipped: list[LeftOut] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)
    bytes_read: int = 0

    @property
    def file_count(self) -> int:
        """How many regular files there are."""
        return sum(1 for entry in self.entries if entry.kind is EntryKind.FILE)


@dataclass(frozen=True, slots=True)
class _Cloned:
    found: Found
    database: bool
    wal: Fingerprint | None
    number: int
    live: bool


class Clones(Mapping[str, Path]):
    """The local clone of each file whose bytes were read; kept as numbers, for 100,000 Paths would take 40 MiB."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers: dict[str, int] = {}

    def add(self, path: str, number: int) -> None:
        """The clone of `path` has this number."""
        self._numbers[path] = number

    def place(self, number: int) -> Path:
        """Where the clone of this number lies."""
        return self._folder / f"{number:07d}"

    def __getitem__(self, path: str) -> Path:
        return self.place(self._numbers[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


class _Capturing:
    """One capture under way."""

    def __init__(self, root: Path, base: Manifest | None, clone_dir: Path, *, reread_all: bool) -> None:
        self._root = root
        self._clones = Clones(clone_dir)
        self._base = {} if base is None else base.by_path()
        self.known = {} if reread_all else self._base
        self._cloned: list[_Cloned] = []
        self._number = 0
        self.began_ns = time.time_ns()

    def changed(self, tree: Tree) -> tuple[list[Pending], list[Entry], set[str]]:
        """Split the tree, which is emptied; see `split_tree`."""
        return split_tree(self._root, tree, self.known)

    def clone_frozen(self, pending: list[Pending], freeze: Freeze | None) -> list[Pending]:
        """Clone while nobody writes; return what the budget did not allow."""
        deferred: list[Pending] = []
        # Databases first: their two files must be of one instant, and live capture costs most for them.
        ordered = sorted(pending, key=lambda row: (not row.database, row.found.fingerprint.size))
        for row in ordered:
            if freeze is not None and freeze.spent():
                deferred.append(row)
                continue
            target = self._next_target()
            source = self._root / row.found.path
            try:
                status = (clone_database if row.database else clone_file)(source, target)
            except FileNotFoundError:
                continue
            if freeze is not None and freeze.spent():
                # The watcher may have thawed the gateway before this clone was whole.
                target.unlink()
                deferred.append(row)
                continue
            self._cloned.append(self._cloned_as(row, status, live=False))
        return deferred

    def clone_live(self, pending: Iterable[Pending]) -> None:
        """Clone while the gateway writes: databases through SQLite, files until they hold still or three tries."""
        for row in pending:
            cloned = self._database_live(row) if row.database else self._file_live(row)
            if cloned is not None:
                self._cloned.append(cloned)

    def _file_live(self, row: Pending) -> _Cloned | None:
        source = self._root / row.found.path
        for _attempt in range(LIVE_ATTEMPTS):
            target = self._next_target()
            try:
                status = clone_file(source, target)
                after = fingerprint_of(source.lstat())
            except FileNotFoundError:
                return None
            if after == fingerprint_of(status):
                break
        return self._cloned_as(row, status, live=True)

    def _database_live(self, row: Pending) -> _Cloned | None:
        source = self._root / row.found.path
        for attempt in range(LIVE_ATTEMPTS):
            target = self._next_target()
            try:
                status = capture_live(source, target)
            except FileNotFoundError:
                return None
            except (OSError, sqlite3.Error):
                # Bytes as found are still better than none; the check decides whether they are a database.
                try:
                    target.unlink(missing_ok=True)
                    status = clone_database(source, target)
                except FileNotFoundError:
                    return None
            if attempt + 1 < LIVE_ATTEMPTS and _would_fail(target):
                continue
            break
        return self._cloned_as(row, status, live=True)

    def _cloned_as(self, row: Pending, status: os.stat_result, *, live: bool) -> _Cloned:
        """The clone made last, of a file that had this status then."""
        seen = fingerprint_of(status)
        found = row.found if seen == row.found.fingerprint else replace(row.found, fingerprint=seen)
        return _Cloned(found, row.database, row.wal, self._number, live)

    def finish(self, capture: Capture) -> None:
        """Fold and check the databases, hash every clone, and put the entries in order."""
        capture.clones = self._clones
        # What is known of a clone is dropped as its entry is made, else a large first backup holds all of it twice.
        self._cloned.reverse()
        while self._cloned:
            cloned = self._cloned.pop()
            if cloned.database:
                self._finish_database(cloned, capture)
            else:
                self._add_file(cloned, capture)
        capture.entries.sort(key=lambda entry: path_order(entry.path))

    def _finish_database(self, cloned: _Cloned, capture: Capture) -> None:
        clone = self._clones.place(cloned.number)
        as_found = self._next_target()
        clone_database(clone, as_found)
        problem = fold(clone)
        if problem is None:
            self._add_file(cloned, capture)
            return
        capture.damaged.append(Damage(cloned.found.path, problem, as_found))
        last_good = self._base.get(cloned.found.path)
        if last_good is not None:
            # Without a fingerprint the next run reads the database again.
            capture.entries.append(replace(last_good, fingerprint=None))
        else:
            shutil.copyfile(as_found, clone)
            self._add_file(cloned, capture, trusted=False)

    def _add_file(self, cloned: _Cloned, capture: Capture, *, trusted: bool = True) -> None:
        with self._clones.place(cloned.number).open("rb") as reading:
            digest = hashlib.file_digest(reading, "sha256").digest()
            size = reading.tell()
            holes = size - os.fstat(reading.fileno()).st_blocks * STAT_BLOCK_BYTES
        capture.bytes_read += size
        seen: Fingerprint | None = cloned.found.fingerprint
        youngest = max(cloned.found.fingerprint.ctime_ns, cloned.wal.ctime_ns if cloned.wal else 0)
        if not trusted or youngest >= self.began_ns - RACY_NANOSECONDS:
            seen = None
        capture.entries.append(
            replace(
                entry_of(cloned.found),
                size=size,
                sha256=digest,
                database=cloned.database,
                captured_live=cloned.live,
                fingerprint=seen,
                wal=cloned.wal if seen else None,
                # File systems that keep small files elsewhere than in blocks tell of holes that are none.
                holes=holes if holes >= SMALLEST_HOLES_BYTES else 0,
            )
        )
        self._clones.add(cloned.found.path, cloned.number)

    def _next_target(self) -> Path:
        self._number += 1
        return self._clones.place(self._number)


def capture_state(
    root: Path,
    base: Manifest | None,
    exclusions: Exclusions,
    freezer: Freezer,
    clone_dir: Path,
    *,
    freeze_budget: float,
    reread_all: bool = False,
) -> Capture:
    """Capture the state folder; files whose fingerprint is that of `base` are not read.

    `freeze_budget` is in seconds; what cannot be cloned in it is captured live. The result's clones lie in `clone_dir`.

    Raises:
        AgentError: when the folder is missing or unreadable.
        LocalStorageError: when there is no room for the clones.
    """
    capturing = _Capturing(root, base, clone_dir, reread_all=reread_all)
    try:
        capture, tree, companions = _take(root, exclusions, freezer, freeze_budget, capturing)
        capturing.finish(capture)
    except PermissionError as problem:
        raise LocalStorageError(
            f"The file {str(problem.filename)!r} cannot be read ({problem.strerror}); run as root or as its owner."
        ) from problem
    except OSError as problem:
        raise LocalStorageError(
            f"The state cannot be captured: {problem.strerror or problem} ({str(problem.filename or root)!r})."
        ) from problem
    capture.excluded = tree.excluded
    capture.skipped = tree.skipped + [LeftOut(path, FOLDED_REASON) for path in sorted(companions)]
    return capture


def _take(
    root: Path, exclusions: Exclusions, freezer: Freezer, budget: float, capturing: _Capturing
) -> tuple[Capture, Tree, set[str]]:
    live_because = "no gateway is configured to be frozen"
    if not isinstance(freezer, NothingToFreeze):
        if not freezer.is_running():
            tree = walk(root, exclusions, capturing.known)
            pending, entries, companions = capturing.changed(tree)
            capturing.clone_frozen(pending, None)
            return Capture(CaptureMethod.STOPPED, entries=entries), tree, companions
        # This walk warms the kernel's cache, so that the one under the freeze is short.
        walk(root, exclusions, capturing.known)
        try:
            with frozen(freezer, budget) as freeze:
                capturing.began_ns = time.time_ns()
                tree = walk(root, exclusions, capturing.known)
                pending, entries, companions = capturing.changed(tree)
                deferred = capturing.clone_frozen(pending, freeze)
        except FreezeUnavailable as problem:
            live_because = str(problem)
        else:
            capturing.clone_live(deferred)
            method = CaptureMethod.MIXED if deferred else CaptureMethod.FROZEN
            because = f"{len(deferred)} files did not fit into the freeze of {budget:g} s" if deferred else ""
            return Capture(method, freeze.milliseconds, because, entries), tree, companions
    tree = walk(root, exclusions, capturing.known)
    pending, entries, companions = capturing.changed(tree)
    capturing.clone_live(pending)
    return Capture(CaptureMethod.LIVE, 0.0, live_because, entries), tree, companions


def _would_fail(clone: Path) -> bool:
    trial = clone.with_name(clone.name + ".trial")
    clone_database(clone, trial)
    problem = fold(trial)
    trial.unlink(missing_ok=True)
    return problem is not None
