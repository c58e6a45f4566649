"""What is known of the last backup: the state it held, and which folders of this bucket are known to hold it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from openclaw_agent.backup.damage import same_damage
from openclaw_agent.backup.gaps import same_gaps
from openclaw_agent.backup.plan import differs
from openclaw_agent.capture.capture import Capture
from openclaw_agent.snapshot.keys import latest_key, snapshot_key
from openclaw_agent.snapshot.manifest import EntryKind, Gap, Manifest
from openclaw_agent.snapshot.names import parse_snapshot_name


@dataclass(frozen=True, slots=True)
class LastBackup:
    """Where the last backup's content is known to be intact: in its snapshot, in `latest/`, or both.

    `latest_is_doubted`: what `latest/` has is right, but it may lack objects.
    """

    manifest: Manifest | None
    snapshot_holds_it: bool
    latest_holds_it: bool
    # Of the last state that was backed up, wherever it is now; None for unknown.
    files: int | None = None
    latest_is_doubted: bool = False

    # Keys of objects that are there, and cannot be copied.
    not_copied: frozenset[str] = frozenset()

    def without(self, keys: frozenset[str]) -> "LastBackup":
        """The same, of which these objects cannot be copied: their files are read, to be sent.

        What neither of the two folders can give does not stand for a file that cannot be read either.
        """
        if self.manifest is None:
            return self
        lost = self.not_copied | keys
        entries = []
        for entry in self.manifest.entries:
            if entry.kind is EntryKind.FILE and snapshot_key(self.manifest.snapshot, entry) in lost:
                if latest_key(entry) not in lost:
                    entries.append(replace(entry, fingerprint=None))
            else:
                entries.append(entry)
        return replace(self, manifest=replace(self.manifest, entries=tuple(entries)), not_copied=lost)

    def known_nowhere(self) -> "LastBackup":
        """The same, of whose content nothing may be used."""
        return LastBackup(None, snapshot_holds_it=False, latest_holds_it=False, files=self.files)

    @property
    def latest_is_whole(self) -> bool:
        """Whether `latest/` need not be written in whole."""
        return self.latest_holds_it and not self.latest_is_doubted

    @property
    def copy_source(self) -> Manifest | None:
        """The manifest of a snapshot whose objects may be copied."""
        if self.manifest is None or not self.snapshot_holds_it or not self.not_copied:
            return self.manifest if self.snapshot_holds_it else None
        name = self.manifest.snapshot
        held = (entry for entry in self.manifest.entries if snapshot_key(name, entry) not in self.not_copied)
        return replace(self.manifest, entries=tuple(held))


NOTHING_KNOWN = LastBackup(None, snapshot_holds_it=False, latest_holds_it=False)


def is_due(capture: Capture, gaps: Sequence[Gap], last: LastBackup, now: datetime) -> bool:
    """Whether a state is worth a new snapshot."""
    base = last.manifest
    if base is None or not last.snapshot_holds_it or not last.latest_is_whole:
        return True
    taken_at = parse_snapshot_name(base.snapshot)
    if taken_at is None or taken_at.date() != now.date():
        # The first snapshot of a UTC day stands for that day in the daily tier.
        return True
    if not same_damage(capture.damaged, base):
        return True
    if not same_gaps(gaps, base.gaps):
        return True
    return differs(capture.entries, base.entries)
