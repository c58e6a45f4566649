"""Databases that failed their check at capture: where their bytes as found lie, and what is said of them. Pure."""

import hashlib
from collections.abc import Iterator, Sequence

from openclaw_agent.bucket_layout import DAMAGED_PREFIX
from openclaw_agent.capture import Damage
from openclaw_agent.databases import WAL_SUFFIX
from openclaw_agent.errors import DatabaseDamaged
from openclaw_agent.manifest import DamagedDatabase
from openclaw_agent.snapshot_names import snapshot_prefix
from openclaw_agent.transfers import Upload


def described(damage: Damage, last_good: str) -> DamagedDatabase:
    """The manifest's row; `last_good` names the snapshot of the copy that the snapshot holds ("" for none)."""
    return DamagedDatabase(damage.path, damage.problem, _stored_as(damage.path), last_good)


def uploads_as_found(damaged: Sequence[Damage], snapshot: str) -> Iterator[Upload]:
    """The bytes as found, each with its log if it has one."""
    for damage in damaged:
        key = snapshot_prefix(snapshot) + _stored_as(damage.path)
        yield Upload(damage.clone, key, damage.clone.stat().st_size)
        log = damage.clone.with_name(damage.clone.name + WAL_SUFFIX)
        if log.exists():
            yield Upload(log, key + WAL_SUFFIX, log.stat().st_size)


def damage_error(damaged: Sequence[Damage]) -> DatabaseDamaged | None:
    """The sentence for the user, or None where nothing is damaged."""
    if not damaged:
        return None
    first = damaged[0]
    more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
    return DatabaseDamaged(
        f"The database {first.path!r}{more} fails its check: {first.problem}. Everything else is backed up, "
        "latest/ keeps the last good copy of it where there was one; repair it or bring it back with "
        f"openclaw-s3-restore.py --path {first.path}."
    )


def _stored_as(path: str) -> str:
    # By digest: two paths must not share a key, nor may a long one pass S3's limit.
    return DAMAGED_PREFIX + hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()
