"""Restore: choose a restore point, build it beside the state folder, check it, and swap it in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_agent.bucket_layout import latest_key, snapshot_key
from openclaw_agent.databases import SHM_SUFFIX, WAL_SUFFIX, fold, is_database
from openclaw_agent.errors import (
    AgentError,
    CorruptObject,
    ManifestInvalid,
    ObjectMissing,
    StoreError,
    UsageError,
)
from openclaw_agent.exclusions import Exclusions
from openclaw_agent.local_memory import LatestRecord, LocalMemory
from openclaw_agent.manifest import Entry, EntryKind, Fingerprint, Manifest
from openclaw_agent.object_store import ObjectStore
from openclaw_agent.plain_objects import MOST_NAMED
from openclaw_agent.rebuild import BucketContent, rebuild, require_room
from openclaw_agent.restore_choice import Choice, Source
from openclaw_agent.restore_points import (
    RestorePoints,
    find_plain_objects,
    find_restore_points,
    require_snapshot_name,
)
from openclaw_agent.restore_workspace import fresh_building_folder, put_in_place
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot_names import snapshot_manifest_key
from openclaw_agent.stored_manifests import StoredManifest, read_manifest
from openclaw_agent.tree_walk import walk

_TRY_THE_NEXT = (CorruptObject, ObjectMissing, ManifestInvalid)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought back; `manifest` has this machine's fingerprints."""

    choice: Choice
    manifest: Manifest
    files: int
    bytes: int
    kept_old_state: Path | None = None


class Restorer:
    """Restores from one bucket. Progress goes to `finished`, which is told the bytes of each file."""

    def __init__(
        self,
        settings: Settings,
        store: ObjectStore,
        log: RunLog,
        finished: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._log = log
        self._finished = finished
        self._memory = LocalMemory(settings.agent_dir)
        self._points: RestorePoints | None = None
        # Objects of latest/ that could not be used, in whose place their snapshot's were.
        self._passed_over: list[StoreError] = []

    @property
    def points(self) -> RestorePoints:
        """What the bucket offers, looked up once."""
        if self._points is None:
            self._points = find_restore_points(self._store)
        return self._points

    def restore_state(self, snapshot: str | None) -> Restored | None:
        """Put a restore point in place of the state folder; None when the bucket is empty (a first start).

        Raises:
            AgentError: when no restore point could be used; the state in place is untouched.
        """
        self._memory.prepare()
        return self._try_each(snapshot, self._into_state_folder)

    def restore_to(self, target: Path, snapshot: str | None) -> Restored | None:
        """Build a restore point in a folder of the caller's, which must be empty or not exist."""
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"The folder {target} is not empty; --to needs an empty or new folder.")

        def into_target(choice: Choice, manifest: Manifest, keys_of: Callable[[Entry], tuple[str, ...]]) -> Restored:
            building = fresh_building_folder(target)
            built = self._build(choice, manifest, keys_of, building)
            if target.exists():
                target.rmdir()
            put_in_place(building, target)
            return Restored(choice, built, *_size(manifest))

        return self._try_each(snapshot, into_target)

    def has_something(self) -> bool:
        """Whether the bucket offers anything to restore."""
        return bool(self.points.choices()) or find_plain_objects(self._store, self.points) is not None

    def verify(self, snapshot: str | None) -> Restored | None:
        """Download and check every file of a restore point without writing any."""

        def check(choice: Choice, manifest: Manifest, keys_of: Callable[[Entry], tuple[str, ...]]) -> Restored:
            self.content(keys_of).check(manifest.files())
            return Restored(choice, manifest, *_size(manifest))

        return self._try_each(snapshot, check)

    def manifest_of(self, snapshot: str | None) -> tuple[Choice, Manifest, Callable[[Entry], tuple[str, ...]]]:
        """The manifest of a named snapshot, or of the restore point that a restore would try first.

        Raises:
            AgentError: when there is none.
        """
        for choice in self._choices(snapshot):
            try:
                manifest, keys_of, _ = self._open(choice)
            except _TRY_THE_NEXT as problem:
                self._log.say(f"{choice.source.value} {choice.name} cannot be used: {problem}")
                continue
            return choice, manifest, keys_of
        raise AgentError(f"The bucket {self._settings.bucket} holds no restore point with a manifest.")

    def content(self, keys_of: Callable[[Entry], tuple[str, ...]]) -> BucketContent:
        """The bucket as a source of files; what cannot be used on the way is remembered."""
        self._passed_over.clear()
        return BucketContent(self._store, keys_of, self._finished, self._passed_over.append)

    def tell_of_passed_over(self, manifest: Manifest) -> None:
        """Warn of objects of `latest/` in whose place those of its snapshot were used."""
        if self._passed_over:
            self._log.say(
                f"Warning: {len(self._passed_over)} of {manifest.file_count} objects under latest/ cannot be used; "
                f"they were taken from snapshot {manifest.snapshot}. {self._passed_over[0]} "
                "openclaw-s3-backup.py --overwrite-latest writes latest/ anew."
            )
            self._log.add(passed_over=len(self._passed_over))

    def _try_each(
        self,
        snapshot: str | None,
        action: Callable[[Choice, Manifest, Callable[[Entry], tuple[str, ...]]], Restored],
    ) -> Restored | None:
        problems: list[str] = []
        for choice in self._choices(snapshot):
            try:
                manifest, keys_of, _ = self._open(choice)
                restored = action(choice, manifest, keys_of)
            except _TRY_THE_NEXT as problem:
                problems.append(f"{choice.source.value} {choice.name}: {problem}")
                self._log.say(f"Not restored from {choice.source.value} {choice.name}: {problem}")
                continue
            self.tell_of_passed_over(manifest)
            self._log.say(f"Restored from {choice.source.value} {choice.name}, because {choice.because}.")
            self._log.add(
                source=choice.source.value,
                snapshot=choice.name,
                because=choice.because,
                files=restored.files,
                bytes_restored=restored.bytes,
                unusable=problems,
            )
            return restored
        if problems:
            raise AgentError(f"No restore point could be used. {' '.join(problems)} The state in place is untouched.")
        if self.points.latest_problem:
            raise AgentError(
                f"No restore point could be used. latest/: {self.points.latest_problem} To restore its objects as "
                "found, unchecked, delete latest/manifest.json. The state in place is untouched."
            )
        return self._restore_as_found(action)

    def _choices(self, snapshot: str | None) -> Iterator[Choice]:
        if snapshot is not None:
            yield Choice(Source.SNAPSHOT, require_snapshot_name(snapshot), "it was asked for")
            return
        if self.points.latest_problem:
            self._log.say(f"latest/ cannot be used: {self.points.latest_problem}")
        yield from self.points.every_choice(self._store)

    def _open(self, choice: Choice) -> tuple[Manifest, Callable[[Entry], tuple[str, ...]], str]:
        if choice.source is Source.LATEST and self.points.latest is not None:
            manifest = self.points.latest.manifest
            # A file that latest/ has lost or torn may still lie in the snapshot that latest/ was made of.
            return (
                manifest,
                lambda entry: (latest_key(entry), snapshot_key(manifest.snapshot, entry)),
                self.points.latest.etag,
            )
        stored: StoredManifest | None = read_manifest(self._store, snapshot_manifest_key(choice.name))
        if stored is None:
            raise ManifestInvalid(f"There is no complete snapshot {choice.name}; see --list.")
        return stored.manifest, lambda entry: (snapshot_key(choice.name, entry),), stored.etag

    def _into_state_folder(
        self, choice: Choice, manifest: Manifest, keys_of: Callable[[Entry], tuple[str, ...]]
    ) -> Restored:
        building = fresh_building_folder(self._settings.state_dir)
        built = self._build(choice, manifest, keys_of, building)
        kept = put_in_place(building, self._settings.state_dir)
        self.remember(choice, built)
        return Restored(choice, built, *_size(manifest), kept)

    def _build(
        self, choice: Choice, manifest: Manifest, keys_of: Callable[[Entry], tuple[str, ...]], building: Path
    ) -> Manifest:
        require_room(building.parent, manifest.entries)
        built = replace(manifest, entries=rebuild(manifest.entries, self.content(keys_of), building))
        if choice.source is Source.AS_FOUND:
            self._mend_plain_databases(manifest, building)
        return built

    def remember(self, choice: Choice, built: Manifest) -> None:
        """Take what was restored as the base of the next backup."""
        record = LatestRecord(self._settings.bucket, self.points.latest_etag)
        if choice.source is Source.AS_FOUND:
            self._memory.remember_left_behind(self.points.found.left_behind if self.points.found else ())
            self._memory.forget_base()
            self._memory.remember_latest(record)
            self._memory.latest_is_being_written()
            return
        # Of a snapshot latest/ holds something else than what is in place now: the next backup writes it anew. So it
        # does with a latest/ of which not every object could be used.
        latest_is_whole = choice.source is Source.LATEST and not self._passed_over
        self._memory.remember(
            built,
            record,
            latest_holds_base=latest_is_whole,
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

    def _restore_as_found(
        self, action: Callable[[Choice, Manifest, Callable[[Entry], tuple[str, ...]]], Restored]
    ) -> Restored | None:
        found = find_plain_objects(self._store, self.points)
        if found is None:
            return None
        self._log.say(found.warning)
        if found.left_behind:
            self._log.add(left_behind=list(found.left_behind[:MOST_NAMED]), left_behind_count=len(found.left_behind))
        restored = action(found.choice, found.manifest, lambda entry: (found.keys[entry.path],))
        self._log.add(source=found.choice.source.value, because=found.choice.because, files=restored.files)
        return restored

    def _mend_plain_databases(self, manifest: Manifest, building: Path) -> None:
        for entry in manifest.files():
            place = building / entry.path
            if is_database(place):
                # A shared-memory file of another machine is rubbish beside the database.
                place.with_name(place.name + "-shm").unlink(missing_ok=True)
                problem = fold(place)
                if problem is not None:
                    self._log.say(f"Warning: the database {entry.path!r} fails its check as found: {problem}.")

    def local_changes(self) -> list[str]:
        """Paths of the state folder that differ from the last state known to be in S3 (by fingerprint, unread)."""
        if not self._settings.state_dir.is_dir():
            return []
        tree = walk(self._settings.state_dir, Exclusions(self._settings.excludes))
        base = self._memory.base()
        known = {} if base is None else {entry.path: entry for entry in base.files()}
        latest = self._memory.latest()
        if latest is not None and latest.bucket != self._settings.bucket:
            known = {}
        logs = {row.path: row.fingerprint for row in tree.found if row.path.endswith(WAL_SUFFIX)}
        return [
            row.path
            for row in tree.found
            if row.kind is EntryKind.FILE
            and not row.path.endswith((WAL_SUFFIX, SHM_SUFFIX))
            and (
                (entry := known.get(row.path)) is None
                or not _unchanged_since(entry, row.fingerprint, logs.get(row.path + WAL_SUFFIX))
            )
        ]


def _unchanged_since(entry: Entry, now: Fingerprint, log: Fingerprint | None) -> bool:
    # Size and mtime are enough here: the question is only whether the user must be asked. A folded database has
    # another size than the live file with its log; a database that is only read has an empty log.
    if entry.database:
        return entry.mtime_ns == now.mtime_ns and (log is None or log.size == 0 or log == entry.wal)
    return entry.mtime_ns == now.mtime_ns and entry.size == now.size


def _size(manifest: Manifest) -> tuple[int, int]:
    counted = manifest.counted()
    return counted.file_count, counted.total_bytes
