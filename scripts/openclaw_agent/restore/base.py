"""What a restore leaves behind in the agent's folder: the base of the next backup."""

import logging
from collections.abc import Sequence

from openclaw_agent.agent_dir.records import BaseHeld, LatestRecord
from openclaw_agent.catalog.choice import Source
from openclaw_agent.catalog.reader import OpenPoint
from openclaw_agent.catalog.restore_points import RestorePoints
from openclaw_agent.errors import StoreError
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Manifest

_log = logging.getLogger(__name__)


def remember_restored(
    session: Session,
    points: RestorePoints,
    point: OpenPoint,
    built: Manifest,
    *,
    latest_is_intact: bool,
    was_stood_in_for: bool = False,
    keep: Sequence[str] = (),
) -> None:
    """Take what was restored as the base of the next backup; `keep` are objects that no backup may delete.

    `was_stood_in_for`: others with the same content were used, so that the snapshot's own folders do not hold it all.
    """
    records = session.records
    record = LatestRecord(session.settings.bucket, points.latest_etag)
    source = point.choice.source
    if source is Source.AS_FOUND:
        records.remember_unrestorable([*point.unrestorable, *keep])
        records.forget_base()
        records.remember_latest(record)
        records.mark_latest_partial()
        return
    # Of latest/ too, whichever snapshot was restored: the next backup writes there.
    latest = points.latest.manifest.unrestorable if points.latest else ()
    if unrestorable := records.unrestorable().union(built.unrestorable, latest, keep):
        records.remember_unrestorable(sorted(unrestorable))
    # Of a snapshot latest/ holds something else than the state folder now: the next backup rewrites it in full. So it
    # does with a latest/ of which not every object could be used.
    in_latest = source is Source.LATEST and latest_is_intact
    in_snapshot = not was_stood_in_for if source is Source.SNAPSHOT else _snapshot_is_of_latest(session, points, built)
    records.remember(
        built,
        record,
        (BaseHeld.IN_LATEST if in_latest else BaseHeld.KNOWN_NOWHERE)
        | (BaseHeld.IN_SNAPSHOT if in_snapshot else BaseHeld.KNOWN_NOWHERE),
    )


def _snapshot_is_of_latest(session: Session, points: RestorePoints, manifest: Manifest) -> bool:
    # A backup writes both manifests with the same bytes. Where they differ (a latest/ that came from elsewhere, or
    # encryption with a key of one's own) nothing is lost: the next backup uploads what it would have copied.
    try:
        return session.bucket.etag(snapshot_manifest_key(manifest.snapshot)) == points.latest_etag
    except StoreError as problem:
        _log.warning("The next backup sends every file again: %s", problem)
        return False
