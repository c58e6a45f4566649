"""Where the bytes of a restore come from: the bucket, or a folder on this disk; both check them."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from openclaw_agent.errors import CorruptObject, StoreError
from openclaw_agent.fs.clone import open_nofollow
from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath
from openclaw_agent.restore.gaps import Lost
from openclaw_agent.snapshot.manifest import Entry
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.transfers import Download

# So many failures before the first success, and the role is to blame, not the objects.
MOST_IN_VAIN = 24
_CHUNK = 1024 * 1024


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

        downloads = (_download(self._keys_of(entry), target, entry) for entry, target in wanted)
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
            (_download(self._keys_of(entry), None, entry) for entry in entries),
            self._finished,
            self._skipped_copies,
            lambda work, problem: broken.update({work.keys: problem}),
        )
        if not broken:
            return []
        return [(entry, broken[keys]) for entry in entries if (keys := self._keys_of(entry)) in broken]


class FolderContent:
    """Content that lies in an open local folder, laid out as `place_of` says; as in the bucket, by relative keys.

    Where others may write into the folder, `owner` is the one whose files alone are taken, if they have no other name.
    """

    def __init__(
        self, top: ConfinedDir, owner: int | None, place_of: Callable[[Entry], str] = lambda entry: entry.relative_key
    ) -> None:
        self._top = top
        self._owner = owner
        self._place_of = place_of

    def fetch(self, wanted: Iterable[tuple[Entry, Path]]) -> list[Lost]:
        """Copy and check.

        Raises:
            CorruptObject: when a file is missing, somebody else's, or not what its entry promises.
        """
        for entry, target in wanted:
            source = ConfinedPath(self._top, self._place_of(entry))
            try:
                reading = open_nofollow(source)
            except FileNotFoundError as problem:
                raise CorruptObject(f"{entry.path!r} is not in {self._top.path}.") from problem
            try:
                status = os.fstat(reading)
                if self._owner is not None and (status.st_uid, status.st_nlink) != (self._owner, 1):
                    raise CorruptObject(f"{entry.path!r} in {self._top.path} is not of the copy that was made there.")
                self._copy(entry, reading, target)
            finally:
                os.close(reading)
        return []

    def _copy(self, entry: Entry, reading: int, target: Path) -> None:
        digest, left = hashlib.sha256(), entry.size
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as writing:
            # One byte more than promised tells that it is not that file; the rest of it is not read.
            while chunk := os.read(reading, min(_CHUNK, left + 1)):
                digest.update(chunk)
                writing.write(chunk)
                left -= len(chunk)
                if left < 0:
                    break
        if left or (entry.sha256 and digest.digest() != entry.sha256):
            raise CorruptObject(f"{entry.path!r} in {self._top.path} is not the file that its manifest promises.")


class CompletedFolder:
    """The own folder of a differential snapshot on this disk, and the bucket for what lies in those of its bases."""

    def __init__(self, own: FolderContent, bases: BucketContent) -> None:
        self._own = own
        self._bases = bases

    def fetch(self, wanted: Iterable[tuple[Entry, Path]]) -> list[Lost]:
        """Copy what is here, download the rest; both check it."""
        elsewhere: list[tuple[Entry, Path]] = []

        def own() -> Iterator[tuple[Entry, Path]]:
            for entry, target in wanted:
                if entry.stored_in:
                    elsewhere.append((entry, target))
                else:
                    yield entry, target

        return self._own.fetch(own()) + (self._bases.fetch(elsewhere) if elsewhere else [])


def _download(keys: tuple[str, ...], target: Path | None, entry: Entry) -> Download:
    return Download(keys, target, entry.sha256, entry.size, entry.sparse_bytes)
