"""Databases that failed their check at capture: where their bytes as found lie. Pure."""

import hashlib
from collections.abc import Iterator, Sequence

from openclaw_agent.capture.capture import Damage
from openclaw_agent.snapshot.keys import DAMAGED_PREFIX, snapshot_prefix
from openclaw_agent.snapshot.manifest import DamagedDatabase, Manifest
from openclaw_agent.snapshot.row_limits import first_rows
from openclaw_agent.sqlite.files import JOURNAL_SUFFIX, WAL_SUFFIX
from openclaw_agent.store.transfers import Upload

# A finding quotes the damaged bytes.
LONGEST_PROBLEM = 300


def describe_damage(damaged: Sequence[Damage], last: Manifest | None) -> tuple[DamagedDatabase, ...]:
    """The manifest's rows; each names the last snapshot if that has a good copy, which the new one then holds too."""
    known = last.by_path() if last and damaged else {}
    rows = []
    for damage in sorted(damaged, key=lambda row: row.path):
        before = known.get(damage.path)
        last_good = last.snapshot if last and before and before.is_good_database else ""
        problem = damage.problem[:LONGEST_PROBLEM]
        rows.append(DamagedDatabase(damage.path, problem, _stored_as(damage.path), last_good, damage.sha256))
    return first_rows(rows, lambda row: row.path + row.problem)


def same_damage(damaged: Sequence[Damage], base: Manifest) -> bool:
    """Whether the manifest `base` names the same, with the same bytes."""
    now = {(row.path, row.sha256) for row in describe_damage(damaged, None)}
    return now == {(row.path, row.sha256) for row in base.damaged}


def uploads_as_found(damaged: Sequence[Damage], snapshot: str) -> Iterator[Upload]:
    """The bytes as found, each with the logs it has."""
    for damage in damaged:
        key = snapshot_prefix(snapshot) + _stored_as(damage.path)
        yield Upload(damage.clone, key, damage.clone.stat().st_size)
        for suffix in (WAL_SUFFIX, JOURNAL_SUFFIX):
            log = damage.clone.with_name(damage.clone.name + suffix)
            if log.exists():
                yield Upload(log, key + suffix, log.stat().st_size)


def _stored_as(path: str) -> str:
    # By digest: two paths must not share a key, nor may a long one pass S3's limit.
    return DAMAGED_PREFIX + hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()
