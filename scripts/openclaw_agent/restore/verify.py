"""Checking a restore point: every byte of it is downloaded, nothing is written, and nothing else stands in for it."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openclaw_agent.catalog.choice import Choice, Wanted
from openclaw_agent.catalog.reader import CatalogReader, OpenPoint
from openclaw_agent.errors import AgentError, ManifestInvalid, StoreError
from openclaw_agent.restore.content import BucketContent
from openclaw_agent.restore.gaps import few
from openclaw_agent.restore.restorer import Finished
from openclaw_agent.restore.verdicts import verdict_sentences, verdicts
from openclaw_agent.snapshot.manifest import Entry

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Broken:
    """What of a restore point cannot be used, and why; `path` is relative to the state folder."""

    path: str
    problem: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check has found; `bytes` of all files. `rescue` is what a restore would still take, "" for nothing.

    `said` and `verdicts` are what the backup itself found wrong with files whose bytes are as it stored them.
    """

    name: str
    source: str
    snapshot: str
    files: int
    bytes: int
    broken: tuple[Broken, ...]
    rescue: str = ""
    said: tuple[str, ...] = ()
    verdicts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def sentence(self) -> str:
        """The verdict for a person."""
        if not self.broken:
            intact = f"Checked {self.files} files, {self.bytes:,} bytes: {self.name} is intact."
            return " ".join([intact, *self.said])
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
            "verdicts": {verdict: list(paths) for verdict, paths in self.verdicts.items() if paths},
        }


def verify(reader: CatalogReader, wanted: Wanted, finished: Finished = lambda _bytes: None) -> Verdict:
    """Check the restore point that is wanted, or the one that a restore would try first.

    Raises:
        AgentError: when there is nothing to check.
    """
    return _Verification(reader, finished).of(wanted)


class _Verification:
    def __init__(self, reader: CatalogReader, finished: Finished) -> None:
        self._reader = reader
        self._finished = finished

    def of(self, wanted: Wanted) -> Verdict:
        reader, choices = self._reader, self._reader.choices(wanted)
        latest_problem = "" if wanted.is_exact else reader.points().latest_problem
        if latest_problem:
            return self._unreadable("latest/", "latest", "", latest_problem, choices)
        torn = next((row for row in reader.points().passed_over if row.is_torn), None)
        if torn is not None and reader.points().latest is None and not wanted.is_exact:
            return self._unreadable(f"snapshot {torn.name}", "snapshot", torn.name, torn.reason, choices)
        choice = next(choices, None)
        if choice is None:
            found = reader.first_usable(wanted)
            if found is None:
                raise AgentError(reader.nothing_there())
            return _verdict(found, self._broken(found, slice(None)))
        try:
            point = reader.open(choice)
        except ManifestInvalid as problem:
            if wanted.is_exact:
                raise
            name = f"{choice.source.value} {choice.name}"
            return self._unreadable(name, choice.source.value, choice.name, str(problem), choices)
        broken = self._broken(point, slice(1))
        rescue = ""
        if broken and not wanted.name:
            rescue = self._elsewhere(point, broken) or ("" if wanted.latest else self._first_intact(choices))
        return _verdict(point, broken, rescue)

    def _unreadable(self, name: str, source: str, snapshot: str, problem: str, rest: Iterator[Choice]) -> Verdict:
        unreadable = Broken("manifest.json", problem)
        return Verdict(name, source, snapshot, 0, 0, (unreadable,), self._first_intact(rest))

    def _broken(self, point: OpenPoint, places: slice, only: frozenset[str] | None = None) -> tuple[Broken, ...]:
        """Files missing or corrupt in every one of these locations."""
        content = BucketContent(self._reader.bucket, lambda entry: point.keys_of(entry)[places], self._finished)
        wanted = [entry for entry in point.manifest.files() if only is None or entry.path in only]
        return tuple(Broken(entry.path, str(problem)) for entry, problem in content.check(wanted))

    def _elsewhere(self, point: OpenPoint, broken: tuple[Broken, ...]) -> str:
        """Where a restore of the point finds what is broken in it, or how many files it would do without."""
        lost = {row.path for row in broken}
        if len(point.keys_of(next(point.manifest.files()))) > 1:
            lost = {row.path for row in self._broken(point, slice(1, None), frozenset(lost))}
            if not lost:
                return f"{point.name} and the snapshot it was made of"
        left = self._in_no_snapshot([entry for entry in point.manifest.files() if entry.path in lost])
        if not left:
            return f"{point.name} and snapshots that have the same content"
        files = point.manifest.totals().files
        return f"{point.name} without {len(left)} of its {files} files" if few(left, files) else ""

    def _in_no_snapshot(self, lost: list[Entry]) -> list[Entry]:
        """Those whose content no snapshot has."""
        for places in self._reader.elsewhere(frozenset(entry.sha256 for entry in lost if entry.sha256)):
            held = [entry for entry in lost if entry.sha256 in places]
            broken = {entry.path for entry, _problem in self._content_in(places).check(held)}
            lost = [entry for entry in lost if entry not in held or entry.path in broken]
            if not lost:
                break
        return lost

    def _content_in(self, places: Mapping[bytes, str]) -> BucketContent:
        return BucketContent(self._reader.bucket, lambda entry: (places[entry.sha256],), self._finished)

    def _first_intact(self, choices: Iterator[Choice]) -> str:
        try:
            for choice in choices:
                with contextlib.suppress(ManifestInvalid):
                    point = self._reader.open(choice)
                    if not self._broken(point, slice(None)):
                        return point.name
        except StoreError:
            raise
        except AgentError:
            # A restore would refuse to take anything else.
            return ""
        return ""


def _verdict(point: OpenPoint, broken: tuple[Broken, ...], rescue: str = "") -> Verdict:
    totals = point.manifest.totals()
    return Verdict(
        point.name,
        point.choice.source.value,
        point.choice.name,
        totals.files,
        totals.bytes,
        broken,
        rescue,
        tuple(verdict_sentences(point.manifest)),
        verdicts(point.manifest),
    )
