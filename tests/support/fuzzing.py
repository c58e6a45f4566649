"""Fuzzing what reads the bucket, in a process of bounded memory: `python -m tests.support.fuzzing 1000 1`.

Two numbers: how many documents of each kind, and the seed. It prints one JSON object, or fails with the first document
that ended otherwise than it may.
"""

import base64
import contextlib
import io
import json
import os
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from openclaw_agent.catalog.unmanaged import choose_unmanaged, strays, unexplained
from openclaw_agent.errors import AgentError, LocalStorageError
from openclaw_agent.fs.removal import remove_content
from openclaw_agent.lease.record import Lease, successor
from openclaw_agent.restore.gaps import Lost
from openclaw_agent.restore.tree import rebuild, require_room
from openclaw_agent.snapshot.codec import decode_header, decode_manifest, encode_manifest
from openclaw_agent.snapshot.manifest import Entry
from tests.support.hostile_documents import Stranger
from tests.support.simulated_instance import picture

MOST_MEMORY = 768 * 1024 * 1024
LARGEST_BODY = 64 * 1024


class Blank:
    """Content that is as large as is claimed, and nothing else."""

    def fetch(self, wanted: Iterable[tuple[Entry, Path]]) -> list[Lost]:
        for entry, target in wanted:
            with target.open("xb") as writing:
                writing.truncate(min(entry.size, LARGEST_BODY))
        return []


class Place:
    """A folder to build in, and one beside it that nothing may change."""

    def __init__(self, folder: Path) -> None:
        self.target, self.outside = folder / "target", folder / "outside"
        self.target.mkdir()
        (self.outside / "d").mkdir(parents=True)
        (self.outside / "file").write_text("of somebody else")
        self._folder = folder
        self._before = self._around()

    def build(self, entries: Iterable[Entry]) -> None:
        rows = tuple(entries)
        with contextlib.suppress(LocalStorageError):
            require_room(self.target, rows)
        rebuild(rows, Blank(), self.target)

    def _around(self) -> object:
        beside = {place.name for place in self._folder.iterdir()}
        return beside, picture(self.outside), {place.name for place in Path("/").iterdir()}

    def require_nothing_outside(self) -> None:
        assert self._around() == self._before
        for found in self.target.rglob("*"):
            status = found.lstat()
            assert not status.st_mode & 0o6000 or found.is_dir() or status.st_uid == 1000, found

    def clear(self) -> None:
        remove_content(self.target)


def of_a_manifest(stranger: Stranger, place: Place) -> Any:
    text = stranger.manifest()

    def read() -> None:
        decode_header(text.split(b"\n", 1)[0])
        found = decode_manifest(io.BytesIO(text))
        # What is read can be written, and says the same then.
        again = decode_manifest(io.BytesIO(b"".join(encode_manifest(found))))
        assert again.entries == found.entries
        place.build(found.entries)

    return text, read


def of_a_lease(stranger: Stranger, _place: Place) -> Any:
    text = stranger.lease()

    def read() -> None:
        record = Lease.decode(text)
        assert Lease.decode(successor(record, "i-me", "2026-03-04T08:00:00+00:00").encode()).epoch == record.epoch + 1

    return text, read


def of_a_listing(stranger: Stranger, place: Place) -> Any:
    listed = stranger.listing()

    def read() -> None:
        strays(listed)
        unexplained(listed)
        found = choose_unmanaged(listed)
        if found is not None:
            place.build(found.manifest.entries)

    return repr(listed).encode(errors="backslashreplace"), read


KINDS: dict[str, Callable[[Stranger, Place], Any]] = {
    "manifests": of_a_manifest,
    "leases": of_a_lease,
    "listings": of_a_listing,
}


def fuzz(examples: int, seed: int, folder: Path) -> dict[str, dict[str, int]]:
    """How many documents of each kind ended how; "built" are those that were taken."""
    place = Place(folder)
    stranger = Stranger(seed, str(place.outside))
    ended: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for number in range(examples):
        for kind, make in KINDS.items():
            text, read = make(stranger, place)
            try:
                read()
                ended[kind]["built"] += 1
            except AgentError as problem:
                ended[kind][type(problem).__name__] += 1
            except BaseException:
                print(f"seed {seed}, {number} of {kind}: {base64.b64encode(text[:4000])!r}", file=sys.stderr)
                raise
            if kind != "leases":
                place.require_nothing_outside()
                place.clear()
    return {kind: dict(sorted(counts.items())) for kind, counts in ended.items()}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=in_memory) as folder:
        os.chdir(folder)
        ended = fuzz(int(sys.argv[1]), int(sys.argv[2]), Path(folder))
    print(json.dumps({**ended, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main()
