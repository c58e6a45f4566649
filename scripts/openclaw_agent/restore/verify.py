"""Checking a restore point: every byte of it is downloaded, nothing is written, and nothing else stands in for it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from openclaw_agent.catalog.choice import Choice
from openclaw_agent.errors import AgentError, ManifestInvalid, StoreError
from openclaw_agent.restore.restorer import OpenPoint, Restorer

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Broken:
    """What of a restore point cannot be used, and why; `path` is relative to the state folder."""

    path: str
    problem: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check has found; `bytes` of all files. `rescue` is what a restore would still take, "" for nothing."""

    name: str
    source: str
    snapshot: str
    files: int
    bytes: int
    broken: tuple[Broken, ...]
    rescue: str = ""

    def sentence(self) -> str:
        """The verdict for a person."""
        if not self.broken:
            return f"Checked {self.files} files, {self.bytes:,} bytes: {self.name} is whole."
        named = "; ".join(f"{row.path!r}: {row.problem}" for row in self.broken[:MOST_NAMED])
        more = len(self.broken) - MOST_NAMED
        rest = f" And {more} more, which --json and the log list." if more > 0 else ""
        outlook = (
            f"A restore would still succeed, from {self.rescue}." if self.rescue else "A restore of it would fail."
        )
        return f"Checked {self.files} files of {self.name}: {len(self.broken)} cannot be used. {named}{rest} {outlook}"

    def facts(self) -> dict[str, Any]:
        """The verdict for the log's line and for `--json`."""
        return {
            "source": self.source,
            "snapshot": self.snapshot,
            "files": self.files,
            "bytes_checked": self.bytes,
            "broken": [{"path": row.path, "problem": row.problem} for row in self.broken],
            "rescue": self.rescue,
        }


def verify(restorer: Restorer, snapshot: str | None) -> Verdict:
    """Check the named snapshot, or the restore point that a restore would try first.

    Raises:
        UsageError: when the name can be none.
        AgentError: when there is nothing to check.
    """
    choices = restorer.choices(snapshot)
    if snapshot is None and restorer.points.latest_problem:
        unreadable = Broken("manifest.json", restorer.points.latest_problem)
        return Verdict("latest/", "latest", "", 0, 0, (unreadable,), _first_whole(restorer, choices))
    choice = next(choices, None)
    if choice is None:
        found = restorer.as_found()
        if found is None:
            raise AgentError(restorer.nothing_there())
        return _verdict(found, _check(restorer, found, slice(None)))
    try:
        point = restorer.open(choice)
    except ManifestInvalid as problem:
        if snapshot is not None:
            raise
        unreadable = Broken("manifest.json", str(problem))
        name = f"{choice.source.value} {choice.name}"
        return Verdict(name, choice.source.value, choice.name, 0, 0, (unreadable,), _first_whole(restorer, choices))
    broken = _check(restorer, point, slice(1))
    rescue = ""
    if broken and snapshot is None:
        rescue = _elsewhere(restorer, point, broken) or _first_whole(restorer, choices)
    return _verdict(point, broken, rescue)


def _verdict(point: OpenPoint, broken: tuple[Broken, ...], rescue: str = "") -> Verdict:
    totals = point.manifest.with_totals()
    return Verdict(
        point.name,
        point.choice.source.value,
        point.choice.name,
        totals.file_count,
        totals.total_bytes,
        broken,
        rescue,
    )


def _check(
    restorer: Restorer, point: OpenPoint, places: slice, only: frozenset[str] | None = None
) -> tuple[Broken, ...]:
    """What of a restore point's files none of these places holds."""
    content = restorer.content(lambda entry: point.keys_of(entry)[places])
    wanted = [entry for entry in point.manifest.files() if only is None or entry.path in only]
    return tuple(Broken(entry.path, str(problem)) for entry, problem in content.check(wanted))


def _elsewhere(restorer: Restorer, point: OpenPoint, broken: tuple[Broken, ...]) -> str:
    """Where a restore of the point finds what is broken in it: the snapshot that latest/ was made of."""
    if len(point.keys_of(next(point.manifest.files()))) == 1:
        return ""
    lost = _check(restorer, point, slice(1, None), frozenset(row.path for row in broken))
    return "" if lost else f"{point.name} and the snapshot it was made of"


def _first_whole(restorer: Restorer, choices: Iterator[Choice]) -> str:
    try:
        for choice in choices:
            with contextlib.suppress(ManifestInvalid):
                point = restorer.open(choice)
                if not _check(restorer, point, slice(None)):
                    return point.name
    except StoreError:
        raise
    except AgentError:
        # A restore would refuse to take anything else.
        return ""
    return ""
