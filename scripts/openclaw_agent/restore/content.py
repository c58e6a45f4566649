"""Where the bytes of a restore come from: the bucket, or a folder on this disk; both check them."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from openclaw_agent.errors import CorruptObject, StoreError
from openclaw_agent.restore.gaps import Lost
from openclaw_agent.snapshot.manifest import Entry
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.transfers import Download

# So many failures before the first success, and the role is to blame, not the objects.
MOST_IN_VAIN = 24


class ContentSource(Protocol):
    """Brings the bytes of files to where they are wanted, and checks them."""

    def fetch(self, wanted: Iterable[tuple[Entry, Path]]) -> list[Lost]:
        """Write each entry's bytes to its path; return what cannot be had, or raise CorruptObject."""


class BucketContent:
    """Content in the bucket; `keys_of` names where a file's bytes should be, the best place first.

    `finished` is told the bytes of each file, `skipped_copies` why a better place than the one used was none.
    `elsewhere` gives further places of content, by its digest.
    """

    def __init__(
        self,
        store: Bucket,
        keys_of: Callable[[Entry], tuple[str, ...]],
        finished: Callable[[int], None] = lambda _bytes: None,
        skipped_copies: Callable[[StoreError], None] = lambda _problem: None,
        elsewhere: Callable[[frozenset[bytes]], Iterable[Mapping[bytes, str]]] = lambda _digests: (),
    ) -> None:
        self._elsewhere = elsewhere
        self._store = store
        self._keys_of = keys_of
        self._finished = finished
        self._skipped_copies = skipped_copies

    def fetch(self, wanted: Iterable[tuple[Entry, Path]]) -> list[Lost]:
        """Download and check; what none of its places can give is looked for elsewhere.

        Raises:
            StoreError: when nothing at all can be had, or S3 cannot be asked.
        """
        lost: dict[Path, tuple[Download, StoreError]] = {}
        begun = 0

        def finished(size: int) -> None:
            nonlocal begun
            begun += 1
            self._finished(size)

        def broken(work: Download, problem: StoreError) -> None:
            if work.target is not None:
                lost[work.target] = (work, problem)
            if not begun and len(lost) >= MOST_IN_VAIN:
                raise problem

        downloads = (Download(self._keys_of(entry), target, entry.sha256, entry.size) for entry, target in wanted)
        self._store.download(downloads, finished, self._skipped_copies, broken)
        if lost:
            self._fetch_elsewhere(lost)
        return [Lost(target, problem) for target, (_work, problem) in lost.items()]

    def _fetch_elsewhere(self, lost: dict[Path, tuple[Download, StoreError]]) -> None:
        for places in self._elsewhere(frozenset(work.sha256 for work, _problem in lost.values() if work.sha256)):
            again = [replace(work, keys=(places[work.sha256],)) for work, _ in lost.values() if work.sha256 in places]
            in_vain: set[Path | None] = set()

            def broken(work: Download, _problem: StoreError, targets: set[Path | None] = in_vain) -> None:
                targets.add(work.target)

            self._store.download(again, self._finished, broken=broken)
            for work in again:
                if work.target is not None and work.target not in in_vain:
                    self._skipped_copies(lost.pop(work.target)[1])
            if not lost:
                return

    def check(self, entries: Sequence[Entry]) -> list[tuple[Entry, StoreError]]:
        """Download and check without writing anything; return what is missing or corrupt, and why."""
        broken: dict[tuple[str, ...], StoreError] = {}
        self._store.download(
            (Download(self._keys_of(entry), None, entry.sha256, entry.size) for entry in entries),
            self._finished,
            self._skipped_copies,
            lambda work, problem: broken.update({work.keys: problem}),
        )
        if not broken:
            return []
        return [(entry, broken[keys]) for entry in entries if (keys := self._keys_of(entry)) in broken]


class FolderContent:
    """Content that already lies in a local folder, laid out as `place_of` says; as in the bucket, by relative keys."""

    def __init__(self, folder: Path, place_of: Callable[[Entry], str] = lambda entry: entry.relative_key) -> None:
        self._folder = folder
        self._place_of = place_of

    def fetch(self, wanted: Iterable[tuple[Entry, Path]]) -> list[Lost]:
        """Copy and check."""
        for entry, target in wanted:
            source = self._folder / self._place_of(entry)
            if not source.is_file():
                raise CorruptObject(f"{entry.path!r} is not in {self._folder}.")
            shutil.copyfile(source, target, follow_symlinks=False)
            with target.open("rb") as reading:
                if entry.sha256 and hashlib.file_digest(reading, "sha256").digest() != entry.sha256:
                    raise CorruptObject(f"{entry.path!r} in {self._folder} is not the file that its manifest promises.")
        return []
