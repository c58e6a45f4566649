"""Entries, manifests and restore points for the agent's unit tests."""

import hashlib
from collections.abc import Iterable

from openclaw_agent.snapshot.manifest import CaptureMethod, Entry, EntryKind, Manifest


def folder(path: str = "", mode: int = 0o700) -> Entry:
    return Entry(path, EntryKind.DIR, mode, 1000, 1000, 1_700_000_000_123_456_789)


def file(path: str, body: bytes = b"text", mode: int = 0o600) -> Entry:
    return Entry(
        path,
        EntryKind.FILE,
        mode,
        1000,
        1000,
        1_700_000_000_000_000_001,
        size=len(body),
        sha256=hashlib.sha256(body).digest(),
    )


def symlink(path: str, target: str) -> Entry:
    return Entry(path, EntryKind.SYMLINK, 0o777, 1000, 1000, 1_700_000_000_000_000_002, target=target)


def manifest(
    entries: Iterable[Entry] = (), snapshot: str = "2026-03-04-08-00", epoch: int = 1, quarantined: str = ""
) -> Manifest:
    return Manifest(
        snapshot=snapshot,
        created="2026-03-04T08:00:00+00:00",
        epoch=epoch,
        instance_id="i-1",
        stack="dev",
        method=CaptureMethod.FROZEN,
        freeze_ms=12.5,
        entries=tuple(entries),
        quarantined=quarantined,
        agent_version="1",
    )
