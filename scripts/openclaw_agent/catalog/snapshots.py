"""The listings of `snapshots/`: the names alone, or with what tells a complete snapshot from another."""

from dataclasses import replace

from openclaw_agent.catalog.completeness import Completeness, Look
from openclaw_agent.retention.policy import Snapshot
from openclaw_agent.snapshot.keys import (
    MANIFEST_FILE,
    QUARANTINED_FILE,
    SNAPSHOTS_PREFIX,
    STATE_PREFIX,
    snapshot_name_in_key,
)
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.bucket import Bucket

# Sorts after every key of UTF-8 text below the prefix it follows.
_PAST_EVERYTHING = "\U0010ffff"


def folder_names(store: Bucket) -> list[str]:
    """The names of all folders below `snapshots/`, also of those that are no snapshots, in reverse order."""
    return sorted(store.list_folders(SNAPSHOTS_PREFIX), reverse=True)


def snapshot_names(store: Bucket) -> tuple[str, ...]:
    """The names of all snapshots, complete or not, from new to old."""
    return tuple(name for name in folder_names(store) if parse_snapshot_name(name))


def snapshot_of(name: str, look: Look) -> Snapshot:
    """What retention knows of a snapshot whose manifest has been looked at."""
    return Snapshot(
        name,
        complete=look.completeness is not Completeness.NO_MANIFEST,
        quarantined=look.completeness is Completeness.QUARANTINED,
        doubtful=look.completeness in (Completeness.INVALID, Completeness.BASE_GONE),
        bases=tuple(base.snapshot for base in look.stored.manifest.bases) if look.stored else (),
    )


def list_snapshots(store: Bucket) -> list[Snapshot]:
    """Every name below `snapshots/`, with whether it is complete or quarantined.

    Small snapshots are listed whole, a thousand keys a request; of one with more files than a page only the page that
    holds its manifest is listed, so the cost does not grow with the files kept.
    """
    found: dict[str, Snapshot] = {}
    cursor = ""
    while True:
        page = list(store.list(SNAPSHOTS_PREFIX, start_after=cursor, most=1000))
        for row in page:
            name = snapshot_name_in_key(row.key)
            if name is None:
                continue
            snapshot = found.setdefault(name, Snapshot(name, complete=False))
            rest = row.key.removeprefix(f"{SNAPSHOTS_PREFIX}{name}/")
            if rest == MANIFEST_FILE and row.size:
                found[name] = replace(snapshot, complete=True)
            elif rest == QUARANTINED_FILE:
                found[name] = replace(snapshot, quarantined=True)
        if len(page) < 1000:
            return list(found.values())
        cursor = _next_cursor(page[-1].key)


def _next_cursor(last_key: str) -> str:
    name = snapshot_name_in_key(last_key)
    if name is not None and last_key.startswith(f"{SNAPSHOTS_PREFIX}{name}/{STATE_PREFIX}"):
        return f"{SNAPSHOTS_PREFIX}{name}/{STATE_PREFIX}{_PAST_EVERYTHING}"
    return last_key
