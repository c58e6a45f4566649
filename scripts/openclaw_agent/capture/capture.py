"""Capturing the state folder at one instant: freeze, walk, clone what changed, thaw; then hash and check the clones."""

import hashlib
import os
import stat
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from openclaw_agent.capture.carried import carried_over, is_of_the_file, put_in_place, with_their_databases
from openclaw_agent.capture.changes import Pending, consume_tree, entry_of
from openclaw_agent.capture.clones import CloneDir
from openclaw_agent.capture.databases import ClonedDatabase, StoredFile, digest_as_found, resolve_database
from openclaw_agent.capture.proof import take_out_unreadable
from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.clone import clone_file
from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath
from openclaw_agent.host.freeze_watchdog import Freeze, FreezeUnavailable, frozen
from openclaw_agent.host.freezer import Freezer, Gateway, GatewayUnknown, NothingToFreeze
from openclaw_agent.sandbox.time_lost import TimeLost
from openclaw_agent.snapshot.manifest import (
    CaptureMethod,
    Entry,
    EntryKind,
    Fingerprint,
    Manifest,
    Omission,
    path_order,
)
from openclaw_agent.sqlite.files import WAL_SUFFIX, clone_database, discard_clone
from openclaw_agent.sqlite.online_backup import capture_live
from openclaw_agent.state_dir.attributes import AttributeReader
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.limits import UNLIMITED, StateLimits
from openclaw_agent.state_dir.walk import Tree, WalkEntry, open_state_folder, walk, why_unreadable

# A file changed this shortly before its capture may change again within the clock's grain; it is read again next time.
RACY_NANOSECONDS = 1_000_000_000
LIVE_ATTEMPTS = 3
STAT_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's (stat(2))
SMALLEST_HOLES_BYTES = 1024 * 1024
FOLDED_REASON = "folded into its database"


@dataclass(frozen=True, slots=True)
class Damage:
    """A database whose captured bytes fail SQLite's check; `clone` holds them as found, with the log if any.

    `sha256` is the digest (32 bytes) of all of them.
    """

    path: str
    problem: str
    clone: Path
    sha256: bytes


@dataclass(slots=True)
class Capture:
    """The state as it stood: entries sorted by path, and a local clone for every file whose bytes were read.

    `unverified` are databases that could not be verified here, and why; of those in `not_judged` the check was given
    up, which somebody must know. `unreadable` are paths that could not be read:
    the entries that the base had of them stand for them. `attributes_left_out` are attributes that no entry holds;
    `thaw_problem` says why the gateway may still be frozen, "" when it runs.
    """

    method: CaptureMethod
    freeze_ms: float = 0.0
    live_reason: str = ""
    entries: list[Entry] = field(default_factory=list)
    clones: Mapping[str, Path] = field(default_factory=dict)
    excluded: list[Omission] = field(default_factory=list)
    skipped: list[Omission] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)
    unverified: list[Omission] = field(default_factory=list)
    not_judged: list[Omission] = field(default_factory=list)
    attributes_left_out: list[Omission] = field(default_factory=list)
    unreadable: list[Omission] = field(default_factory=list)
    thaw_problem: str = ""
    bytes_read: int = 0

    @property
    def file_count(self) -> int:
        """How many regular files there are."""
        return sum(1 for entry in self.entries if entry.kind is EntryKind.FILE)


@dataclass(frozen=True, slots=True)
class _ClonedFile:
    found: WalkEntry
    number: int
    live: bool


class _Capturing:
    """One capture under way."""

    def __init__(
        self,
        top: ConfinedDir,
        base: Manifest | None,
        exclusions: Exclusions,
        clone_dir: Path,
        *,
        limits: StateLimits,
        reread_all: bool,
        check_seconds: float | None,
    ) -> None:
        self._top = top
        self._exclusions = exclusions
        self._clones = CloneDir(clone_dir)
        self._base = {} if base is None else base.by_path()
        self._known = {} if reread_all else self._base
        self._cloned: list[_ClonedFile | ClonedDatabase] = []
        self._began_ns = 0
        self._limits = limits
        self._holes = 0
        self._check_seconds = check_seconds
        self._time_lost_live = TimeLost()
        self._time_lost = TimeLost()
        self._tree = Tree()
        self._entries: list[Entry] = []
        self._links: dict[str, tuple[WalkEntry, ...]] = {}
        self._sidecars: set[str] = set()
        self._attributes_left_out: list[Omission] = []
        self._unreadable: list[Omission] = []

    def warm(self) -> None:
        """Walk once for the kernel's cache, so that the walk under the freeze is short."""
        self.forget()
        walk(self._top.path, self._exclusions, self._known, self._limits, self._base)

    def forget(self) -> None:
        """Drop what was cloned so far: the gateway ran after all."""
        for number in range(1, self._clones.next_number()):
            discard_clone(self._clones.path(number))
        self._cloned.clear()
        self._unreadable.clear()

    def look(self) -> list[Pending]:
        """Walk the tree; return what must be read of it."""
        self._began_ns = time.time_ns()
        self._tree = walk(self._top.path, self._exclusions, self._known, self._limits, self._base)
        with AttributeReader(self._top) as attributes:
            changes = consume_tree(self._top, self._tree, self._known, attributes)
        self._entries, self._links, self._sidecars = changes.entries, changes.links, changes.sidecars
        self._attributes_left_out = attributes.left_out
        return changes.pending

    def clone_still(self, pending: list[Pending], freeze: Freeze | None) -> list[Pending]:
        """Clone while nobody writes; return what the budget did not allow."""
        deferred: list[Pending] = []
        # Databases first: their two files must be of one instant, and live capture costs most for them.
        waiting = deque(sorted(pending, key=lambda row: (not row.database, row.found.fingerprint.size)))
        while waiting:
            row = waiting.popleft()
            if freeze is not None and freeze.spent():
                deferred.append(row)
                continue
            number = self._clones.next_number()
            target = self._clones.path(number)
            source = ConfinedPath(self._top, row.found.path)
            try:
                status = (clone_database if row.database else clone_file)(source, target)
            except FileNotFoundError:
                waiting.extend(_by_another_name(row))
                continue
            except OSError as problem:
                self._note_unreadable(row, problem)
                discard_clone(target)
                continue
            if freeze is not None and freeze.spent():
                # The watcher may have thawed the gateway before this clone was whole.
                discard_clone(target)
                deferred.append(row)
                continue
            waiting.extend(self._remember_clone(number, row, status, live=False))
        return deferred

    def clone_live(self, pending: Iterable[Pending]) -> None:
        """Clone while the gateway writes: databases through SQLite, files until they hold still or three tries."""
        waiting = deque(pending)
        while waiting:
            row = waiting.popleft()
            source = ConfinedPath(self._top, row.found.path)
            try:
                if row.database:
                    number = self._clones.next_number()
                    copy = capture_live(source, self._clones.path(number), self._time_lost_live)
                    waiting.extend(self._remember_clone(number, row, copy.status, live=True, torn=copy.torn))
                else:
                    number, status = self._file_live(source)
                    waiting.extend(self._remember_clone(number, row, status, live=True))
            except FileNotFoundError:
                waiting.extend(_by_another_name(row))
            except OSError as problem:
                self._note_unreadable(row, problem)

    def _note_unreadable(self, row: Pending, problem: OSError) -> None:
        if not is_of_the_file(problem):
            raise problem
        reason = why_unreadable(problem)
        self._unreadable += (Omission(name.path, reason) for name in (row.found, *row.links))

    def _file_live(self, source: ConfinedPath) -> tuple[int, os.stat_result]:
        for _attempt in range(LIVE_ATTEMPTS):
            number = self._clones.next_number()
            status = clone_file(source, self._clones.path(number))
            if Fingerprint.of(source.lstat()) == Fingerprint.of(status):
                break
        return number, status

    def _remember_clone(
        self, number: int, row: Pending, status: os.stat_result, *, live: bool, torn: bool = False
    ) -> list[Pending]:
        """Keep what `finish` needs of the clone of this number, of a file that had this status then.

        Returns what must be read besides: the other names, where another file has taken the first one meanwhile.
        """
        seen = Fingerprint.of(status)
        found = row.found if seen == row.found.fingerprint else self._found_again(row.found, status)
        if row.links and (status.st_dev, status.st_ino) == row.found.shared_inode:
            self._links[found.path] = row.links
            more: list[Pending] = []
        else:
            more = _by_another_name(row)
        if row.database:
            self._cloned.append(ClonedDatabase(found, row.sidecars, number, live, torn))
        else:
            self._cloned.append(_ClonedFile(found, number, live))
        return more

    def _found_again(self, found: WalkEntry, status: os.stat_result) -> WalkEntry:
        """What the walk found, as it was when it was cloned."""
        with AttributeReader(self._top) as attributes:
            now = attributes.of(found.path, found.kind)
        self._attributes_left_out += attributes.left_out
        mode = stat.S_IMODE(status.st_mode)
        return replace(
            found, fingerprint=Fingerprint.of(status), mode=mode, uid=status.st_uid, gid=status.st_gid, attributes=now
        )

    def finish(self, capture: Capture) -> None:
        """Fold and check the databases, hash every clone, and put the entries in order."""
        capture.entries = self._entries
        capture.clones = self._clones
        self._time_lost = TimeLost(most=self._check_seconds)
        # What is known of a clone is dropped as its entry is made, else a large first backup holds all of it twice.
        self._cloned.sort(key=self._in_order_of_trust, reverse=True)
        while self._cloned:
            cloned = self._cloned.pop()
            if isinstance(cloned, ClonedDatabase):
                self._finish_database(cloned, capture)
            else:
                self._add(StoredFile(cloned.found, cloned.number, database=False), None, cloned.live, capture)
        self._add_links(capture)
        self._unreadable += take_out_unreadable(capture.entries, self._base)
        self._carry_over(capture)
        capture.entries.sort(key=lambda entry: path_order(entry.path))
        capture.excluded = self._tree.excluded
        capture.attributes_left_out = self._attributes_left_out
        capture.skipped = self._tree.skipped + [Omission(path, FOLDED_REASON) for path in sorted(self._sidecars)]

    def _in_order_of_trust(self, cloned: _ClonedFile | ClonedDatabase) -> tuple[bool, int]:
        """What was good at the last backup is checked first, then what takes little: one costs no other its check."""
        before = self._base.get(cloned.found.path) if isinstance(cloned, ClonedDatabase) else None
        return before is None or not before.is_good_database, cloned.found.fingerprint.size

    def _add_links(self, capture: Capture) -> None:
        firsts = {entry.path: entry for entry in capture.entries if entry.path in self._links} if self._links else {}
        for path, first in firsts.items():
            for row in self._links[path]:
                capture.entries.append(replace(first, path=row.path, hard_link_to=path))

    def _carry_over(self, capture: Capture) -> None:
        unreadable = self._tree.unreadable + self._unreadable
        if not unreadable:
            return
        captured = {entry.path: entry for entry in capture.entries}
        capture.unreadable = with_their_databases(unreadable, captured)
        put_in_place(capture.entries, carried_over(capture.unreadable, captured, self._base), self._base)

    def _finish_database(self, cloned: ClonedDatabase, capture: Capture) -> None:
        path = cloned.found.path
        if self._leave_out(cloned.found, self._clones.path(cloned.number)):
            return
        resolved = resolve_database(cloned, self._base.get(path), self._clones, self._time_lost)
        wal = next((row.fingerprint for row in cloned.sidecars if row.path == path + WAL_SUFFIX), None)
        for stored in resolved.files:
            self._add(stored, wal, cloned.live, capture)
            self._sidecars.discard(stored.found.path)
        if resolved.last_good is not None:
            # Without a fingerprint the next run reads the database again.
            kept = replace(resolved.last_good, fingerprint=None, hard_link_to="", stale=True)
            now = cloned.found.attributes if kept.attributes is None else kept.attributes
            capture.entries.append(replace(kept, attributes=now))
        if resolved.damage:
            digest = digest_as_found(resolved.as_found)
            capture.damaged.append(Damage(path, resolved.damage, resolved.as_found, digest))
        if resolved.unverified:
            capture.unverified.append(Omission(path, resolved.unverified))
        if resolved.not_judged:
            capture.not_judged.append(Omission(path, resolved.unverified))

    def _add(self, stored: StoredFile, wal: Fingerprint | None, live: bool, capture: Capture) -> None:
        found = stored.found
        if not stored.database and self._leave_out(found, self._clones.path(stored.number)):
            return
        with self._clones.path(stored.number).open("rb") as reading:
            digest = hashlib.file_digest(reading, "sha256").digest()
            size = reading.tell()
            sparse_bytes = size - os.fstat(reading.fileno()).st_blocks * STAT_BLOCK_BYTES
        capture.bytes_read += size
        seen: Fingerprint | None = found.fingerprint
        youngest = max(found.fingerprint.ctime_ns, wal.ctime_ns if wal else 0)
        if not stored.trusted or youngest >= self._began_ns - RACY_NANOSECONDS:
            seen = None
        capture.entries.append(
            replace(
                entry_of(found),
                size=size,
                sha256=digest,
                database=stored.database,
                unverified=stored.unverified,
                damaged=stored.damaged,
                captured_live=live,
                fingerprint=seen,
                wal_fingerprint=wal if seen and stored.database else None,
                # File systems that keep small files elsewhere than in blocks tell of holes that are none.
                sparse_bytes=sparse_bytes if sparse_bytes >= SMALLEST_HOLES_BYTES else 0,
            )
        )
        self._clones.add(found.path, stored.number)

    def _leave_out(self, found: WalkEntry, clone: Path) -> bool:
        """Whether a clone is not read: holes take no room on the disk, and as long to read and to send as bytes do."""
        reason = self._why_left_out(clone.stat())
        if reason is None:
            return False
        names = (found, *self._links.pop(found.path, ()))
        self._unreadable += (Omission(name.path, reason) for name in names)
        return True

    def _why_left_out(self, clone: os.stat_result) -> str | None:
        holes = clone.st_size - clone.st_blocks * STAT_BLOCK_BYTES
        if holes < SMALLEST_HOLES_BYTES:
            return self._limits.why_too_large(clone.st_size)
        reason = self._limits.why_too_large(clone.st_size) or self._limits.why_too_many_holes(self._holes + holes)
        if reason is None:
            self._holes += holes
        return reason


def _by_another_name(row: Pending) -> list[Pending]:
    """What is left to read of a file with several names when the first of them is gone, or another file's now."""
    if not row.links:
        return []
    first, *others = row.links
    return [Pending(replace(first, attributes=row.found.attributes), row.database, links=tuple(others))]


def capture_state(
    root: Path,
    base: Manifest | None,
    exclusions: Exclusions,
    freezer: Freezer,
    clone_dir: Path,
    *,
    freeze_budget: float,
    limits: StateLimits = UNLIMITED,
    reread_all: bool = False,
    check_seconds: float | None = None,
) -> Capture:
    """Capture the state folder; files whose fingerprint is that of `base` are not read.

    `freeze_budget` is in seconds; what cannot be cloned in it is captured live. `check_seconds` is how long the checks
    of all databases together may take (None: as long as each of them may). What is over `limits` is in `unreadable`.
    The result's clones lie in `clone_dir`.

    Raises:
        AgentError: when the folder is missing or unreadable.
        LocalStorageError: when there is no room for the clones.
    """
    try:
        with open_state_folder(root) as top:
            capturing = _Capturing(
                top,
                base,
                exclusions,
                clone_dir,
                limits=limits,
                reread_all=reread_all,
                check_seconds=check_seconds,
            )
            capture = _take(freezer, freeze_budget, capturing)
            capturing.finish(capture)
    except OSError as problem:
        raise LocalStorageError(
            f"The state cannot be captured: {problem.strerror or problem} ({str(problem.filename or root)!r})."
        ) from problem
    return capture


def _take(freezer: Freezer, budget: float, capturing: _Capturing) -> Capture:
    live = Capture(CaptureMethod.LIVE, live_reason="no gateway is configured to be frozen")
    if not isinstance(freezer, NothingToFreeze):
        try:
            gateway = freezer.running_gateway()
            if gateway is None:
                capturing.clone_still(capturing.look(), None)
                # It may have been started meanwhile.
                gateway = freezer.running_gateway()
                if gateway is None:
                    return Capture(CaptureMethod.STOPPED)
            return _take_frozen(gateway, budget, capturing)
        except FreezeUnavailable as problem:
            live = replace(live, live_reason=str(problem), thaw_problem=problem.thaw_problem)
        except GatewayUnknown as problem:
            live = replace(live, live_reason=str(problem))
    capturing.forget()
    capturing.clone_live(capturing.look())
    return live


def _take_frozen(gateway: Gateway, budget: float, capturing: _Capturing) -> Capture:
    capturing.warm()
    with frozen(gateway, budget) as freeze:
        deferred = capturing.clone_still(capturing.look(), freeze)
    capturing.clone_live(deferred)
    return Capture(
        CaptureMethod.MIXED if deferred else CaptureMethod.FROZEN,
        freeze.milliseconds,
        f"{len(deferred)} files did not fit into the freeze of {budget:g} s" if deferred else "",
        thaw_problem=freeze.thaw_problem,
    )
