"""Restore: build a restore point beside the state folder, check it, and swap it in."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_agent.catalog.choice import Source, Wanted
from openclaw_agent.catalog.completeness import require_true_sizes
from openclaw_agent.catalog.reader import CatalogReader, OpenPoint
from openclaw_agent.errors import LocalStorageError, StoreError
from openclaw_agent.fs.removal import remove_file
from openclaw_agent.restore.activation import activate, report_not_restored
from openclaw_agent.restore.base import remember_restored
from openclaw_agent.restore.content import BucketContent
from openclaw_agent.restore.gaps import MOST_NAMED, LostEntry, MayLack, anything, few, is_not_essential, nothing
from openclaw_agent.restore.metadata import give_all_flags
from openclaw_agent.restore.staying import plan_replacement
from openclaw_agent.restore.tree import rebuild, require_room
from openclaw_agent.restore.verdicts import verdict_sentences
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import latest_key
from openclaw_agent.snapshot.manifest import Gap, Manifest
from openclaw_agent.sqlite.files import fold, is_database
from openclaw_agent.state_dir.staging import staging_at, staging_for

_log = logging.getLogger(__name__)

Finished = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was built: the restore point, its manifest with this machine's fingerprints, and the objects that failed.

    `skipped_copies` are objects that could not be used, in whose place others with the same content were; `lost` are
    files whose content could be had nowhere.
    """

    point: OpenPoint
    manifest: Manifest
    skipped_copies: tuple[StoreError, ...]
    lost: tuple[LostEntry, ...] = ()

    @property
    def gaps(self) -> list[Gap]:
        """What this restore could not bring back."""
        return [row.gap for row in self.lost]


class Restorer:
    """Restores from one bucket. Progress goes to `finished`, which is told the bytes of each file."""

    def __init__(self, session: Session, reader: CatalogReader, finished: Finished = lambda _bytes: None) -> None:
        self._session = session
        self._reader = reader
        self._finished = finished

    def restore_state(self, wanted: Wanted) -> Restored | None:
        """Swap a restore point in for the state folder; None when the bucket holds none (a first boot).

        Raises:
            AgentError: when no restore point could be used; the state folder is as it was.
        """
        self._session.agent_dir.prepare()
        return self._restore(wanted, lambda point: self._into_state_folder(point, wanted))

    def restore_to(self, target: Path, wanted: Wanted) -> Restored | None:
        """Build a restore point in a folder (see `resolve_target`) that is empty or does not exist."""

        def into_target(point: OpenPoint) -> Restored:
            with staging_at(target) as building:
                restored = self._build(point, building, anything)
            report_not_restored(self._session, give_all_flags(target, restored.manifest.entries))
            return restored

        return self._restore(wanted, into_target)

    def _restore(self, wanted: Wanted, action: Callable[[OpenPoint], Restored]) -> Restored | None:
        restored = self._reader.first(wanted, action)
        if restored is None:
            return None
        record, choice, totals = self._session.record, restored.point.choice, restored.manifest.totals()
        if choice.source is not Source.AS_FOUND:
            report_skipped_copies(self._session, restored.manifest, restored.skipped_copies)
            _log.info("Restored from %s, because %s.", restored.point.name, choice.because)
            record.add(snapshot=choice.name, bytes_restored=totals.bytes)
        for sentence in verdict_sentences(restored.manifest):
            _log.warning("%s", sentence)
        if restored.lost:
            record.add(gaps=[row.entry.path for row in restored.lost[:MOST_NAMED]], gap_count=len(restored.lost))
        record.add(source=choice.source.value, because=choice.because, files=totals.files)
        return restored

    def _into_state_folder(self, point: OpenPoint, wanted: Wanted) -> Restored:
        state_dir, records = self._session.settings.state_dir, self._session.agent_dir.aside
        replacement = plan_replacement(self._session, point.manifest.entries)
        with staging_for(records, state_dir) as building:
            restored = self._build(point, building, self._may_lack(wanted))
        # Not inside the block: halfway through, the old state has the name of what was built.
        activate(self._session, building, restored.manifest.entries, replacement)
        remember_restored(
            self._session,
            self._reader.points(),
            point,
            restored.manifest,
            latest_is_intact=not restored.skipped_copies and not restored.lost,
            was_stood_in_for=bool(restored.skipped_copies) and not restored.lost,
            keep=[latest_key(row.entry) for row in restored.lost if row.may_be_had_later],
        )
        return restored

    def _may_lack(self, wanted: Wanted) -> MayLack:
        # What somebody put there on purpose is taken as it was meant, or not at all.
        if self._reader.points().pinned_reason and not wanted.name:
            return nothing
        return is_not_essential if wanted.is_exact else few

    def _build(self, point: OpenPoint, building: Path, may_lack: MayLack) -> Restored:
        require_room_for(self._session, point, building)
        skipped: list[StoreError] = []
        content = BucketContent(
            self._session.bucket, point.keys_of, self._finished, skipped.append, self._reader.elsewhere
        )
        entries = rebuild(point.manifest.entries, content, building, may_lack=may_lack)
        report_not_restored(self._session, entries.not_restored)
        if point.choice.source is Source.AS_FOUND:
            self._fold_unmanaged_databases(point.manifest, building)
        lost = {row.entry.path: row.gap for row in entries.lost}
        gaps = (*(gap for gap in point.manifest.gaps if gap.path not in lost), *lost.values())
        return Restored(point, replace(point.manifest, entries=entries, gaps=gaps), tuple(skipped), entries.lost)

    def _fold_unmanaged_databases(self, manifest: Manifest, building: Path) -> None:
        for entry in manifest.files():
            place = building / entry.path
            if is_database(place):
                # The -shm file of another machine is stale.
                remove_file(place.with_name(place.name + "-shm"))
                problem = fold(place)
                if problem is not None:
                    _log.warning("Warning: the database %r fails its integrity check: %s.", entry.path, problem)


def require_room_for(session: Session, point: OpenPoint, folder: Path) -> None:
    """Refuse a restore point that does not fit into the folder's disk.

    Raises:
        LocalStorageError: with what is needed and what is free.
        ManifestInvalid: when that is only what the manifest says of objects that are smaller.
    """
    try:
        require_room(folder, point.manifest.entries)
    except LocalStorageError:
        if point.choice.source is not Source.AS_FOUND:
            require_true_sizes(session.bucket, point.manifest, point.keys_of)
        raise


def report_skipped_copies(session: Session, manifest: Manifest, skipped: tuple[StoreError, ...]) -> None:
    """Warn of objects of `latest/` in whose place those of its snapshot were used."""
    if skipped:
        _log.warning(
            "Warning: %d of %d objects under latest/ cannot be used; they were taken from snapshot %s or another one "
            "with the same content. %s openclaw-s3-backup.py --overwrite-latest rewrites latest/ in full.",
            len(skipped),
            manifest.totals().files,
            manifest.snapshot,
            skipped[0],
        )
        session.record.add(skipped_copies=len(skipped))
