"""What a backup leaves on the disk alone: named in the manifest, and told once, so that nobody believes it is in S3."""

import hashlib
import os.path
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openclaw_agent.capture.capture import FOLDED_REASON, Capture
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Omission, path_order
from openclaw_agent.snapshot.row_limits import first_rows
from openclaw_agent.state_dir.exclusions import CONFIGURED
from openclaw_agent.state_dir.openclaw import STATE_IN_CONTAINER
from openclaw_agent.state_dir.walk import A_SOCKET

MOST_NAMED = 500
MOST_EXCLUDED_NAMED = 20_000
MOST_TOLD = 5
MOST_OF_A_TARGET = 200


@dataclass(frozen=True, slots=True)
class LeftOnDisk:
    """`skipped`: what only the disk has. `excluded`: what OpenClaw rebuilds, and what is in the backup otherwise."""

    skipped: tuple[Omission, ...]
    excluded: tuple[Omission, ...]

    @property
    def named(self) -> tuple[Omission, ...]:
        """As many of `skipped` as a manifest names."""
        return first_rows(self.skipped, _text_of, most=MOST_NAMED)

    @property
    def named_excluded(self) -> tuple[Omission, ...]:
        """As many of `excluded` as a manifest names."""
        return first_rows(self.excluded, _text_of, most=MOST_EXCLUDED_NAMED)

    @property
    def digest(self) -> str:
        """The same as long as the same is to be told; sockets come and go, and hold nothing."""
        told = hashlib.sha256()
        for row in self._told():
            told.update(repr(row).encode(errors="surrogateescape"))
        return told.hexdigest()

    def sentence(self) -> str:
        """What a person is told, "" for nothing."""
        rows = self._told()
        if not rows:
            return ""
        named = ", ".join(f"{row.path!r} ({row.reason})" for row in rows[:MOST_TOLD])
        more = len(rows) - MOST_TOLD
        rest = f", and {more} more, which the manifest lists" if more > 0 else ""
        return f"On this disk alone, in no backup: {named}{rest}. This is said again when it changes."

    def _told(self) -> list[Omission]:
        return [row for row in self.skipped if row.reason != A_SOCKET]


def _text_of(row: Omission) -> str:
    return row.path + row.reason


def left_on_disk(capture: Capture, state_dir: Path) -> LeftOnDisk:
    """What of the captured state is not in the backup."""
    skipped = [row for row in capture.skipped if row.reason != FOLDED_REASON]
    skipped += (row for row in capture.excluded if row.reason == CONFIGURED)
    skipped += _links_out(capture.entries, state_dir)
    excluded = [row for row in capture.excluded if row.reason != CONFIGURED]
    excluded += (row for row in capture.skipped if row.reason == FOLDED_REASON)
    return LeftOnDisk(_in_order(skipped), _in_order(excluded))


def leads_out(path: str, target: str, state_dir: Path) -> bool:
    """Whether a link at `path` leads out of the state, by its text: what is there may be something else tomorrow."""
    if target.startswith("/"):
        place = os.path.normpath(target)
        return not any(place == root or place.startswith(f"{root}/") for root in (str(state_dir), STATE_IN_CONTAINER))
    place = os.path.normpath(os.path.join(os.path.dirname(path), target))  # noqa: PTH118, PTH120 - text alone
    return place == ".." or place.startswith("../")


def _links_out(entries: Sequence[Entry], state_dir: Path) -> Iterator[Omission]:
    for entry in entries:
        if entry.kind is EntryKind.SYMLINK and leads_out(entry.path, entry.target, state_dir):
            yield Omission(entry.path, f"a link to {entry.target[:MOST_OF_A_TARGET]!r}, outside of the state")


def _in_order(rows: Iterable[Omission]) -> tuple[Omission, ...]:
    return tuple(sorted(rows, key=lambda row: path_order(row.path)))
