"""Where the bytes of a restore come from: the bucket, or a folder on this disk; both check them."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from openclaw_agent.errors import CorruptObject, StoreError
from openclaw_agent.snapshot.manifest import Entry
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.transfers import Download


class ContentSource(Protocol):
    """Brings the bytes of files to where they are wanted, and checks them."""

    def fetch(self, wanted: Iterable[tuple[Entry, Path]]) -> None:
        """Write each entry's bytes to its path, or raise (CorruptObject, ObjectMissing)."""


class BucketContent:
    """Content in the bucket; `keys_of` names where a file's bytes should be, the best place first.

    `finished` is told the bytes of each file, `skipped_copies` why a better place than the one used was none.
    """

    def __init__(
        self,
        store: Bucket,
        keys_of: Callable[[Entry], tuple[str, ...]],
        finished: Callable[[int], None] = lambda _bytes: None,
        skipped_copies: Callable[[StoreError], None] = lambda _problem: None,
    ) -> None:
        self._store = store
        self._keys_of = keys_of
        self._finished = finished
        self._skipped_copies = skipped_copies

    def fetch(self, wanted: Iterable[tuple[Entry, Path]]) -> None:
        """Download and check."""
        downloads = (Download(self._keys_of(entry), target, entry.sha256, entry.size) for entry, target in wanted)
        self._store.download(downloads, self._finished, self._skipped_copies)

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

    def fetch(self, wanted: Iterable[tuple[Entry, Path]]) -> None:
        """Copy and check."""
        for entry, target in wanted:
            source = self._folder / self._place_of(entry)
            if not source.is_file():
                raise CorruptObject(f"{entry.path!r} is not in {self._folder}.")
            shutil.copyfile(source, target, follow_symlinks=False)
            with target.open("rb") as reading:
                if entry.sha256 and hashlib.file_digest(reading, "sha256").digest() != entry.sha256:
                    raise CorruptObject(f"{entry.path!r} in {self._folder} is not the file that its manifest promises.")
