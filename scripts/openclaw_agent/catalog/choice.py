"""Which restore point a restore takes, and why: the decision table. Pure.

Restore points are ordered by (epoch, snapshot name): what a later owner wrote is newer, whatever the clocks said.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from openclaw_agent.errors import UsageError
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.snapshot.names import parse_snapshot_name


class Source(StrEnum):
    """Where a restore takes the state from."""

    LATEST = "latest"
    SNAPSHOT = "snapshot"
    AS_FOUND = "objects without a manifest"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which restore point is asked for: a snapshot by its `name`, `latest/` itself, or (`NEWEST`) the best there is."""

    name: str = ""
    latest: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether nothing else may be taken instead."""
        return self.latest or bool(self.name)


NEWEST = Wanted()
LATEST = Wanted(latest=True)


def wanted(text: str | None) -> Wanted:
    """What a person asks for: `latest`, a snapshot's name, or nothing.

    Raises:
        UsageError: when it can be no snapshot's name.
    """
    if text is None:
        return NEWEST
    if text == "latest":
        return LATEST
    if parse_snapshot_name(text) is None:
        raise UsageError(
            f"{text!r} is no snapshot name; it must look like 2026-02-27-14-00 (UTC), or be latest. "
            "openclaw-s3-restore.py list shows those there are."
        )
    return Wanted(text)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen source (for a snapshot or objects as found: which folder of the bucket), and why."""

    source: Source
    name: str
    because: str


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A manifest (its entries do not matter here) and when S3 took it."""

    manifest: Manifest
    modified: datetime


def age_order(manifest: Manifest) -> tuple[int, str]:
    """The key that sorts restore points from old to new."""
    return manifest.epoch, manifest.snapshot


def is_restore_point(manifest: Manifest) -> bool:
    """Whether a complete snapshot belongs to the main line."""
    return not manifest.quarantined


def is_partially_written(latest: RestorePoint, newest: RestorePoint) -> bool:
    """Whether `latest/` is partially written: a backup was cut short while it updated it.

    A backup commits its snapshot first and `latest/` last, so a newer snapshot that S3 took after the manifest of
    `latest/` means a crash in between. A newer snapshot that S3 took before it means that somebody put an older state
    into `latest/` on purpose (the runbook's sync of an archive), and that state is wanted.
    """
    return age_order(latest.manifest) < age_order(newest.manifest) and latest.modified <= newest.modified


def is_uploaded_externally(latest: RestorePoint, newest: RestorePoint) -> bool:
    """Whether somebody put a state older than the newest snapshot into `latest/` after that snapshot was taken."""
    return age_order(latest.manifest) < age_order(newest.manifest) and latest.modified > newest.modified


def order_candidates(latest: RestorePoint | None, newest: RestorePoint | None) -> list[Choice]:
    """`latest/` and the newest complete snapshot (either may be missing), in the order in which to try them."""
    if latest is None:
        return [_snapshot(newest, "latest/ has no readable manifest")] if newest else []
    if newest is None:
        return [_latest(latest, "latest/ is the only restore point")]
    if is_partially_written(latest, newest):
        because = f"latest/ is of {latest.manifest.snapshot}, older than the newest complete snapshot"
        return [_snapshot(newest, because), _latest(latest, "the newest complete snapshot could not be used")]
    return [
        _latest(latest, "latest/ is complete and no older than the newest complete snapshot"),
        _snapshot(newest, "latest/ could not be used"),
    ]


def _snapshot(point: RestorePoint, because: str) -> Choice:
    return Choice(Source.SNAPSHOT, point.manifest.snapshot, because)


def _latest(point: RestorePoint, because: str) -> Choice:
    return Choice(Source.LATEST, point.manifest.snapshot, because)
