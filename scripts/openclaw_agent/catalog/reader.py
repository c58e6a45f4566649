"""Reading the bucket's restore points: which there are to try, and their manifests. Nothing is restored here."""

import itertools
import logging
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from openclaw_agent.catalog.choice import NEWEST, Choice, Source, Wanted, age_order
from openclaw_agent.catalog.restore_points import (
    RestorePoints,
    complete_snapshots,
    find_restore_points,
    is_ahead,
    worth_asking,
)
from openclaw_agent.catalog.unmanaged import (
    MOST_NAMED,
    UnmanagedObjects,
    choose_unmanaged,
    named,
    strays,
    unexplained,
)
from openclaw_agent.errors import (
    AgentError,
    CorruptObject,
    ManifestInvalid,
    ManifestTooNew,
    ObjectMissing,
    ObjectUnavailable,
)
from openclaw_agent.run_record import RunRecord
from openclaw_agent.snapshot.keys import LATEST_PREFIX, latest_key, snapshot_key, snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Entry, Manifest
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import BaseLooks, read_manifest

_log = logging.getLogger(__name__)

_TRY_THE_NEXT = (CorruptObject, ObjectMissing, ObjectUnavailable, ManifestInvalid)
# Of snapshots in which content is looked for that its own places have lost.
MOST_SEARCHED = 100

KeysOf = Callable[[Entry], tuple[str, ...]]
_Done = TypeVar("_Done")


@dataclass(frozen=True, slots=True)
class OpenPoint:
    """A restore point whose manifest has been read; `keys_of` names where a file's bytes should be, best place first.

    `unrestorable` are the keys that an unmanaged state leaves where they are.
    """

    choice: Choice
    manifest: Manifest
    keys_of: KeysOf
    unrestorable: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.choice.source.value} {self.choice.name}".rstrip()


class CatalogReader:
    """Reads one bucket once: what it offers, and the manifest that was opened last, are kept."""

    def __init__(self, bucket: Bucket, record: RunRecord, points: RestorePoints | None = None) -> None:
        self.bucket = bucket
        self._record = record
        self._points = points
        self._unmanaged: UnmanagedObjects | None = None
        self._opened: OpenPoint | None = None
        self._reported: set[str] = set()

    def points(self) -> RestorePoints:
        """What the bucket offers, looked up once."""
        if self._points is None:
            self._points = find_restore_points(self.bucket)
        return self._points

    def with_latest_pinned(self, reason: str) -> "CatalogReader":
        """A reader that tries nothing else in the place of `latest/`, where there is one."""
        return CatalogReader(self.bucket, self._record, self.points().pinned(reason))

    def report_passed_over(self) -> None:
        """Say which newer snapshots a restore does not take by itself: a refused backup, a late one, a torn one."""
        self._report_decoys()
        passed = self.points().passed_over
        for row in passed[:MOST_NAMED]:
            self._report_once(row.sentence())
        if passed:
            self._record.add(passed_over=[row.name for row in passed[:MOST_NAMED]])

    def _report_decoys(self) -> None:
        names = self.points().names
        now = datetime.now(UTC)
        ahead = [name for name in names if is_ahead(name, now)]
        unasked = len(names) - sum(1 for _name in worth_asking(names, now))
        if ahead:
            self._report_once(
                f"{len(ahead)} snapshots have names of the future ({named(ahead)}), which no retention rule deletes: a "
                "clock was wrong, or somebody else wrote them. Delete them once you know."
            )
            self._record.add(future_snapshots=len(ahead))
        if unasked:
            self._report_once(
                f"{unasked} of {len(names)} snapshots were not asked for, because there are more names than backups "
                "make; a restore takes one of them when it is named (--snapshot NAME)."
            )

    def has_something(self) -> bool:
        """Whether the bucket offers anything to restore."""
        return bool(self.points().choices()) or self.unmanaged() is not None

    def unmanaged(self) -> UnmanagedObjects | None:
        """The state that was uploaded without a manifest, or None where the bucket holds none (a first boot).

        Raises:
            AgentError: when something is there of which no state can be made.
        """
        known = self.points().unmanaged or self._unmanaged
        if known is not None:
            return known
        listed = list(self.bucket.list(""))
        self._unmanaged = choose_unmanaged(listed)
        unexpected = unexplained(listed)
        if self._unmanaged is None and unexpected:
            raise AgentError(
                f"The bucket {self.bucket.bucket} holds {len(unexpected)} objects ({named(unexpected)}), but nothing "
                "that can be restored by itself, so this is no first boot. Restore a snapshot by its name "
                "(openclaw-s3-restore.py list, then run --snapshot NAME), or start afresh (openclaw-s3-restore.py boot "
                "--start-afresh)."
            )
        nobodys = strays(listed)
        if self._unmanaged is None and nobodys:
            self._report_once(
                f"The bucket {self.bucket.bucket} holds {len(nobodys)} objects that are no state ({named(nobodys)}); "
                "they stay where they are."
            )
        return self._unmanaged

    def choices(self, wanted: Wanted) -> Iterator[Choice]:
        """What has a manifest, in the order in which a restore tries it; asking for the next says the last was no use.

        Raises:
            AgentError: when nothing else may be restored in the place of `latest/`.
        """
        if wanted.name:
            yield Choice(Source.SNAPSHOT, wanted.name, "it was asked for")
            return
        points = self.points()
        if wanted.latest:
            yield from self._latest_alone(points)
            return
        if points.latest_problem:
            self._report_once(f"latest/ cannot be used: {points.latest_problem}")
        points.require_pinned()
        tried: set[str] = set()
        for choice in points.choices():
            if choice.source is Source.SNAPSHOT:
                tried.add(choice.name)
            elif tried:
                # It is the older one: what lies between the two comes first.
                for name in self._newer_than_latest(points, tried):
                    tried.add(name)
                    yield Choice(Source.SNAPSHOT, name, "nothing newer could be used")
            yield choice
            if choice.source is Source.LATEST and points.pinned_reason:
                raise points.nothing_else()
        for name, _stored in () if points.unmanaged else complete_snapshots(self.bucket, points.names):
            if name not in tried:
                yield Choice(Source.SNAPSHOT, name, "nothing newer could be used")

    def _newer_than_latest(self, points: RestorePoints, tried: Container[str]) -> Iterator[str]:
        if points.latest is not None:
            of_latest = age_order(points.latest.manifest)
            for name, stored in complete_snapshots(self.bucket, points.names):
                if name not in tried and age_order(stored.manifest) > of_latest:
                    yield name

    def open(self, choice: Choice) -> OpenPoint:
        """Read a restore point's manifest.

        Raises:
            ManifestInvalid: when there is none, or none that can be trusted.
        """
        latest = self.points().latest if choice.source is Source.LATEST else None
        if latest is not None:
            # A file that latest/ has lost or torn may still lie in the snapshot that latest/ was made of.
            return OpenPoint(
                choice,
                latest.manifest,
                lambda entry: (latest_key(entry), snapshot_key(latest.manifest.snapshot, entry)),
            )
        if self._opened is None or self._opened.choice != choice:
            stored = read_manifest(self.bucket, snapshot_manifest_key(choice.name))
            if stored is None:
                raise ManifestInvalid(
                    f"There is no complete snapshot {choice.name}; openclaw-s3-restore.py list shows those there are."
                )
            if missing := BaseLooks(self.bucket).missing(stored.manifest.bases):
                raise ManifestInvalid(
                    f"Snapshot {choice.name} is not complete: it needs snapshot {missing}, which is gone or is another "
                    "one now."
                )
            self._opened = OpenPoint(choice, stored.manifest, lambda entry: (snapshot_key(choice.name, entry),))
        return self._opened

    def elsewhere(self, digests: frozenset[bytes]) -> Iterator[Mapping[bytes, str]]:
        """Where snapshots say that they hold content of these digests, a snapshot at a time, from new to old."""
        names = worth_asking(self.points().names, datetime.now(UTC)) if digests else iter(())
        for name in itertools.islice(names, MOST_SEARCHED):
            try:
                stored = read_manifest(self.bucket, snapshot_manifest_key(name))
            except (ManifestInvalid, ManifestTooNew):
                continue
            if stored is not None:
                places = {
                    row.sha256: snapshot_key(name, row) for row in stored.manifest.files() if row.sha256 in digests
                }
                if places:
                    yield places

    def as_found(self, wanted: Wanted = NEWEST) -> OpenPoint | None:
        """The objects without a manifest as a restore point, if there are any; for `latest/` those in it."""
        found = choose_unmanaged(list(self.bucket.list(LATEST_PREFIX))) if wanted.latest else self.unmanaged()
        if found is None:
            return None
        self._report_once(found.warning)
        if found.unrestorable:
            self._record.add(
                unrestorable=list(found.unrestorable[:MOST_NAMED]), unrestorable_count=len(found.unrestorable)
            )
        return OpenPoint(found.choice, found.manifest, lambda entry: (found.keys[entry.path],), found.unrestorable)

    def first_usable(self, wanted: Wanted) -> OpenPoint | None:
        """What is wanted, or the restore point that a restore would try first; None when there is nothing.

        Raises:
            AgentError: when there is no such snapshot, or something is there of which nothing can be opened.
        """
        return self.first(wanted, lambda point: point)

    def with_manifest(self, wanted: Wanted) -> OpenPoint:
        """The same, where nothing but a restore point with a manifest will do."""
        point = self.first_usable(wanted)
        if point is None:
            raise AgentError(self.nothing_there())
        if point.choice.source is Source.AS_FOUND:
            raise AgentError(f"The bucket {self.bucket.bucket} holds no restore point with a manifest.")
        return point

    def nothing_there(self) -> str:
        """Why there is nothing to restore, as a sentence."""
        return f"The bucket {self.bucket.bucket} holds no state: there is nothing to restore."

    def first(self, wanted: Wanted, action: Callable[[OpenPoint], _Done]) -> _Done | None:
        """Do the action with the first restore point with which it can be done."""
        problems: list[str] = []
        for choice in self.choices(wanted):
            _log.debug("Trying %s %s, because %s.", choice.source.value, choice.name, choice.because)
            try:
                opened = self.open(choice)
                if not wanted.is_exact:
                    _require_files(opened)
                done = action(opened)
            except _TRY_THE_NEXT as problem:
                if wanted.is_exact:
                    raise AgentError(f"{problem} The current state was not changed.") from problem
                problems.append(f"{choice.source.value} {choice.name}: {problem}")
                self._report_once(f"Not restored from {choice.source.value} {choice.name}: {problem}")
                continue
            self._record.add(unusable=problems)
            return done
        if problems:
            raise AgentError(f"No restore point could be used. {' '.join(problems)} The current state was not changed.")
        latest_problem = self.points().latest_problem
        if latest_problem:
            raise AgentError(
                f"No restore point could be used. latest/: {latest_problem} To restore its objects unverified, as "
                "they are, delete latest/manifest.json. The current state was not changed."
            )
        point = self.as_found(wanted)
        if point is None and wanted.latest and self.has_something():
            raise AgentError(
                f"latest/ of the bucket {self.bucket.bucket} is empty; openclaw-s3-restore.py list shows what can be "
                "restored. The current state was not changed."
            )
        return None if point is None else action(point)

    def _latest_alone(self, points: RestorePoints) -> Iterator[Choice]:
        if points.latest is None and points.too_new is not None:
            raise points.too_new
        if points.latest is not None:
            yield Choice(Source.LATEST, points.latest.manifest.snapshot, "it was asked for")

    def _report_once(self, sentence: str) -> None:
        if sentence not in self._reported:
            self._reported.add(sentence)
            _log.warning(sentence)


def _require_files(point: OpenPoint) -> None:
    # Whoever can write to the bucket could have put it there; a person may name it.
    if next(point.manifest.files(), None) is None:
        raise ManifestInvalid("The manifest holds no file, and nothing starts on nothing by itself.")
