"""Restore: choose a restore point, build it beside the state folder, check it, and swap it in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from openclaw_agent.agent_dir.records import AgentDir, LatestRecord
from openclaw_agent.catalog.choice import Choice, Source
from openclaw_agent.catalog.restore_points import (
    RestorePoints,
    find_restore_points,
    find_unmanaged,
    require_snapshot_name,
)
from openclaw_agent.catalog.unmanaged import MOST_NAMED
from openclaw_agent.errors import AgentError, CorruptObject, ManifestInvalid, ObjectMissing, StoreError
from openclaw_agent.restore.rebuild import BucketContent, rebuild, require_room
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot.keys import latest_key, snapshot_key, snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Entry, Manifest
from openclaw_agent.sqlite.files import fold, is_database
from openclaw_agent.state_dir.staging import staging_beside, swap_in
from openclaw_agent.state_dir.target import staging_at
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import read_manifest

_TRY_THE_NEXT = (CorruptObject, ObjectMissing, ManifestInvalid)

KeysOf = Callable[[Entry], tuple[str, ...]]
_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class OpenPoint:
    """A restore point whose manifest has been read; `keys_of` names where a file's bytes should be, best place first.

    The manifest of what a restore has built has this machine's fingerprints.
    """

    choice: Choice
    manifest: Manifest
    keys_of: KeysOf

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.choice.source.value} {self.choice.name}".rstrip()


class Restorer:
    """Restores from one bucket. Progress goes to `finished`, which is told the bytes of each file."""

    def __init__(
        self,
        settings: Settings,
        store: Bucket,
        log: RunLog,
        finished: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._finished = finished
        self._memory = AgentDir(settings.agent_dir)
        self._points: RestorePoints | None = None
        self._opened: OpenPoint | None = None
        self._told: set[str] = set()
        # Objects of latest/ that could not be used, in whose place their snapshot's were.
        self._skipped_copies: list[StoreError] = []

    @property
    def points(self) -> RestorePoints:
        """What the bucket offers, looked up once."""
        if self._points is None:
            self._points = find_restore_points(self._store)
        return self._points

    def restore_state(self, snapshot: str | None) -> OpenPoint | None:
        """Put a restore point in place of the state folder; None when the bucket is empty (a first start).

        Raises:
            AgentError: when no restore point could be used; the state in place is untouched.
        """
        self._memory.prepare()
        return self._restore(snapshot, self._into_state_folder)

    def restore_to(self, target: Path, snapshot: str | None) -> OpenPoint | None:
        """Build a restore point in a folder (see `resolve_target`) that is empty or does not exist."""

        def into_target(point: OpenPoint) -> OpenPoint:
            with staging_at(target) as building:
                return self._build(point, building)

        return self._restore(snapshot, into_target)

    def has_something(self) -> bool:
        """Whether the bucket offers anything to restore."""
        return bool(self.points.choices()) or find_unmanaged(self._store, self.points) is not None

    def first_usable(self, snapshot: str | None) -> OpenPoint | None:
        """The named snapshot, or the restore point that a restore would try first; None when there is nothing.

        Raises:
            UsageError: when the name can be none.
            AgentError: when there is no such snapshot, or something is there of which nothing can be opened.
        """
        return self._first(snapshot, lambda point: point)

    def with_manifest(self, snapshot: str | None) -> OpenPoint:
        """The same, where nothing but a restore point with a manifest will do."""
        point = self.first_usable(snapshot)
        if point is None:
            raise AgentError(self.nothing_there())
        if point.choice.source is Source.AS_FOUND:
            raise AgentError(f"The bucket {self._store.bucket} holds no restore point with a manifest.")
        return point

    def nothing_there(self) -> str:
        """Why there is nothing to restore, as a sentence."""
        return f"The bucket {self._store.bucket} holds no state: there is nothing to restore."

    def content(self, keys_of: KeysOf) -> BucketContent:
        """The bucket as a source of files; what cannot be used on the way is remembered."""
        self._skipped_copies.clear()
        return BucketContent(self._store, keys_of, self._finished, self._skipped_copies.append)

    def report_skipped_copies(self, manifest: Manifest) -> None:
        """Warn of objects of `latest/` in whose place those of its snapshot were used."""
        if self._skipped_copies:
            self._log.say(
                f"Warning: {len(self._skipped_copies)} of {manifest.file_count} objects under latest/ cannot be used; "
                f"they were taken from snapshot {manifest.snapshot}. {self._skipped_copies[0]} "
                "openclaw-s3-backup.py --overwrite-latest writes latest/ anew."
            )
            self._log.add(skipped_copies=len(self._skipped_copies))

    def choices(self, snapshot: str | None) -> Iterator[Choice]:
        """What has a manifest, in the order in which a restore tries it."""
        if snapshot is not None:
            yield Choice(Source.SNAPSHOT, require_snapshot_name(snapshot), "it was asked for")
            return
        if self.points.latest_problem:
            self._tell_once(f"latest/ cannot be used: {self.points.latest_problem}")
        yield from self.points.every_choice(self._store)

    def open(self, choice: Choice) -> OpenPoint:
        """Read a restore point's manifest.

        Raises:
            ManifestInvalid: when there is none, or none that can be trusted.
        """
        if choice.source is Source.LATEST and self.points.latest is not None:
            manifest = self.points.latest.manifest
            # A file that latest/ has lost or torn may still lie in the snapshot that latest/ was made of.
            return OpenPoint(
                choice, manifest, lambda entry: (latest_key(entry), snapshot_key(manifest.snapshot, entry))
            )
        if self._opened is None or self._opened.choice != choice:
            stored = read_manifest(self._store, snapshot_manifest_key(choice.name))
            if stored is None:
                raise ManifestInvalid(f"There is no complete snapshot {choice.name}; see --list.")
            self._opened = OpenPoint(choice, stored.manifest, lambda entry: (snapshot_key(choice.name, entry),))
        return self._opened

    def as_found(self) -> OpenPoint | None:
        """The objects without a manifest as a restore point, if there are any."""
        found = find_unmanaged(self._store, self.points)
        if found is None:
            return None
        self._tell_once(found.warning)
        if found.unrestorable:
            self._log.add(
                unrestorable=list(found.unrestorable[:MOST_NAMED]), unrestorable_count=len(found.unrestorable)
            )
        return OpenPoint(found.choice, found.manifest, lambda entry: (found.keys[entry.path],))

    def _restore(self, snapshot: str | None, action: Callable[[OpenPoint], OpenPoint]) -> OpenPoint | None:
        restored = self._first(snapshot, action)
        if restored is None:
            return None
        choice, totals = restored.choice, restored.manifest.with_totals()
        if choice.source is not Source.AS_FOUND:
            self.report_skipped_copies(restored.manifest)
            self._log.say(f"Restored from {restored.name}, because {choice.because}.")
            self._log.add(snapshot=choice.name, bytes_restored=totals.total_bytes)
        self._log.add(source=choice.source.value, because=choice.because, files=totals.file_count)
        return restored

    def _first(self, snapshot: str | None, action: Callable[[OpenPoint], _Done]) -> _Done | None:
        """Do the action with the first restore point with which it can be done."""
        problems: list[str] = []
        for choice in self.choices(snapshot):
            try:
                done = action(self.open(choice))
            except _TRY_THE_NEXT as problem:
                if snapshot is not None:
                    raise AgentError(f"{problem} Nothing was changed.") from problem
                problems.append(f"{choice.source.value} {choice.name}: {problem}")
                self._tell_once(f"Not restored from {choice.source.value} {choice.name}: {problem}")
                continue
            self._log.add(unusable=problems)
            return done
        if problems:
            raise AgentError(f"No restore point could be used. {' '.join(problems)} The state in place is untouched.")
        if self.points.latest_problem:
            raise AgentError(
                f"No restore point could be used. latest/: {self.points.latest_problem} To restore its objects as "
                "found, unchecked, delete latest/manifest.json. The state in place is untouched."
            )
        point = self.as_found()
        return None if point is None else action(point)

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._log.say(sentence)

    def _into_state_folder(self, point: OpenPoint) -> OpenPoint:
        with staging_beside(self._settings.state_dir) as building:
            built = self._build(point, building)
        # Not inside the block: halfway through, the old state has the name of what was built.
        swap_in(building, self._settings.state_dir)
        self.remember(point.choice, built.manifest)
        return built

    def _build(self, point: OpenPoint, building: Path) -> OpenPoint:
        require_room(building, point.manifest.entries)
        entries = rebuild(point.manifest.entries, self.content(point.keys_of), building)
        if point.choice.source is Source.AS_FOUND:
            self._mend_plain_databases(point.manifest, building)
        return replace(point, manifest=replace(point.manifest, entries=entries))

    def remember(self, choice: Choice, built: Manifest) -> None:
        """Take what was restored as the base of the next backup."""
        record = LatestRecord(self._settings.bucket, self.points.latest_etag)
        if choice.source is Source.AS_FOUND:
            self._memory.remember_unrestorable(self.points.found.unrestorable if self.points.found else ())
            self._memory.forget_base()
            self._memory.remember_latest(record)
            self._memory.mark_latest_partial()
            return
        # Of latest/ too, whichever snapshot was restored: the next backup writes there.
        latest = self.points.latest.manifest.unrestorable if self.points.latest else ()
        if unrestorable := self._memory.unrestorable().union(built.unrestorable, latest):
            self._memory.remember_unrestorable(sorted(unrestorable))
        # Of a snapshot latest/ holds something else than what is in place now: the next backup writes it anew. So it
        # does with a latest/ of which not every object could be used.
        mark_latest_intact = choice.source is Source.LATEST and not self._skipped_copies
        self._memory.remember(
            built,
            record,
            latest_holds_base=mark_latest_intact,
            snapshot_holds_base=choice.source is Source.SNAPSHOT or self._snapshot_is_of_latest(built),
        )

    def _snapshot_is_of_latest(self, manifest: Manifest) -> bool:
        # A backup writes both manifests with the same bytes. Where they differ (a latest/ that came from elsewhere, or
        # encryption with a key of one's own) nothing is lost: the next backup uploads what it would have copied.
        try:
            return self._store.etag(snapshot_manifest_key(manifest.snapshot)) == self.points.latest_etag
        except StoreError as problem:
            self._log.say(f"The next backup sends every file again: {problem}")
            return False

    def _mend_plain_databases(self, manifest: Manifest, building: Path) -> None:
        for entry in manifest.files():
            place = building / entry.path
            if is_database(place):
                # A shared-memory file of another machine is rubbish beside the database.
                place.with_name(place.name + "-shm").unlink(missing_ok=True)
                problem = fold(place)
                if problem is not None:
                    self._log.say(f"Warning: the database {entry.path!r} fails its check as found: {problem}.")
