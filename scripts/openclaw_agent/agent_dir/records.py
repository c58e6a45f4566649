"""What an agent remembers on its machine: this boot's ownership, the last manifest, and work that was cut short.

Every file is replaced whole (write, sync, rename), so that a crash leaves the old one or the new one.
"""

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import Flag, auto
from pathlib import Path
from typing import Any, Self

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.fs.atomic import replace_file
from openclaw_agent.fs.removal import remove_file
from openclaw_agent.snapshot.codec import decode_manifest, encode_manifest
from openclaw_agent.snapshot.manifest import Manifest

LATEST_PARTIAL = "latest-partial"
LATEST_DOUBTED = "latest-doubted"
UNRESTORABLE = "unrestorable.json"
SPENT = "spent.json"
DOUBTED_SNAPSHOTS = "doubted-snapshots.json"
TOLD_SKIPPED = "told-skipped.json"
MARKED = "marked.json"
# Unread, they would let a backup take a partial latest/ for intact, and delete unmanaged objects that no disk holds.
NAMES_IN_0_1_0 = (("latest-torn", LATEST_PARTIAL), ("left-behind.json", UNRESTORABLE))


@dataclass(frozen=True, slots=True)
class BootRecord:
    """The ownership that this boot claimed, and whether its restore has finished.

    `boot_id` is "" until it has; `claimed_in` is the boot that made the claim.
    """

    boot_id: str
    instance_id: str
    bucket: str
    epoch: int
    restored: bool
    claimed_in: str = ""


@dataclass(frozen=True, slots=True)
class LatestRecord:
    """The ETag that `latest/manifest.json` had after this machine's last write or restore ("" for none)."""

    bucket: str
    etag: str


@dataclass(frozen=True, slots=True)
class CopySource:
    """The run whose snapshot's folder is known to hold what its manifest says."""

    bucket: str
    snapshot: str
    created: str
    epoch: int
    instance_id: str

    @classmethod
    def of(cls, bucket: str, manifest: Manifest) -> Self:
        """The run that made a manifest."""
        return cls(bucket, manifest.snapshot, manifest.created, manifest.epoch, manifest.instance_id)


class BaseHeld(Flag):
    """Which folders of the bucket are known to hold what the base says."""

    KNOWN_NOWHERE = 0
    IN_SNAPSHOT = auto()
    IN_LATEST = auto()
    IN_BOTH = IN_SNAPSHOT | IN_LATEST


class Records:
    """What the agent remembers in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def boot(self) -> BootRecord | None:
        """This machine's last boot record, if it is readable."""
        fields = self._read_json("boot.json")
        try:
            return BootRecord(**fields) if fields else None
        except TypeError:
            return None

    def write_boot(self, record: BootRecord) -> None:
        """Replace the boot record."""
        self._write("boot.json", [json.dumps(asdict(record)).encode()])

    def latest(self) -> LatestRecord | None:
        """What this machine last knew of `latest/`."""
        fields = self._read_json("latest.json")
        try:
            return LatestRecord(**fields) if fields else None
        except TypeError:
            return None

    def base(self) -> Manifest | None:
        """The manifest of the last snapshot this machine committed or restored."""
        try:
            with (self._folder / "base-manifest.json").open("rb") as lines:
                return decode_manifest(lines, naming_own_folder=True)
        except (OSError, ManifestInvalid):
            return None

    def remember(self, base: Manifest, latest: LatestRecord, held: BaseHeld) -> None:
        """Take `base` as what is in place, and note which folders of the bucket are known to hold it.

        The note that `latest/` must be written anew comes first, and that the snapshot may be copied from comes last: a
        crash in between must never leave a base that the next backup takes for what these folders hold.
        """
        if BaseHeld.IN_LATEST not in held:
            self.mark_latest_partial()
        self.remember_base(base)
        self.remember_latest(latest)
        if BaseHeld.IN_LATEST in held:
            self.mark_latest_intact()
        if BaseHeld.IN_SNAPSHOT in held:
            self._write("copy-source.json", [json.dumps(asdict(CopySource.of(latest.bucket, base))).encode()])
            remove_file(self._folder / DOUBTED_SNAPSHOTS)

    def may_copy_from(self, base: Manifest, bucket: str) -> bool:
        """Whether the snapshot's folder in `bucket` is known to hold what `base` says.

        Names are minutes, and every stack backs up on the same ones: a manifest that came from elsewhere names a folder
        that may hold something else here.
        """
        return self._read_json("copy-source.json") == asdict(CopySource.of(bucket, base))

    def doubt_snapshots(self, names: Iterable[str]) -> None:
        """Note snapshots whose folders do not hold what they should: no backup refers to them or copies from them."""
        self._write(DOUBTED_SNAPSHOTS, [json.dumps({"names": sorted({*names, *self.doubted_snapshots()})}).encode()])

    def doubted_snapshots(self) -> frozenset[str]:
        """The names that `doubt_snapshots` noted since the last backup that is known to be held by its snapshot."""
        names = self._read_json(DOUBTED_SNAPSHOTS).get("names", [])
        return frozenset(str(name) for name in names) if isinstance(names, list) else frozenset()

    def remember_base(self, base: Manifest) -> None:
        """Take `base` as the last snapshot, with what tells its files unread."""
        self._write("base-manifest.json", encode_manifest(base))

    def remember_latest(self, latest: LatestRecord) -> None:
        """Take what is in `latest/` now as known."""
        self._write("latest.json", [json.dumps(asdict(latest)).encode()])

    def forget_base(self) -> None:
        """Drop what is remembered of S3, so that the next backup uploads everything."""
        for name in ("base-manifest.json", "latest.json"):
            remove_file(self._folder / name)

    def mark_latest_partial(self, snapshot: str = "") -> None:
        """Note, before the first write under `latest/`, that it may be torn from here on, and for which snapshot."""
        self._write(LATEST_PARTIAL, [snapshot.encode()])

    def mark_latest_intact(self) -> None:
        """Take both notes back."""
        remove_file(self._folder / LATEST_PARTIAL)
        remove_file(self._folder / LATEST_DOUBTED)

    def doubt_latest(self) -> None:
        """Note that objects may be missing under `latest/`: it is written in whole by the next backup that succeeds.

        What is left there may still be the last good copy of something.
        """
        self._write(LATEST_DOUBTED, [b""])

    @property
    def latest_is_doubted(self) -> bool:
        """Whether `latest/` may lack objects."""
        return (self._folder / LATEST_DOUBTED).exists()

    def latest_under_way(self) -> str | None:
        """The snapshot for which a write under `latest/` was begun and never finished ("" for unknown), or None."""
        try:
            return (self._folder / LATEST_PARTIAL).read_text(errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError:
            return ""

    @property
    def latest_may_be_partial(self) -> bool:
        """Whether `latest/` is not known to hold the base."""
        return self.latest_under_way() is not None

    def is_marked(self, bucket: str) -> bool:
        """Whether the bucket is known to have the marker that it has held a state."""
        return bool(self._read_json(MARKED).get("bucket") == bucket)

    def remember_marked(self, bucket: str) -> None:
        """Note that it has."""
        self._write(MARKED, [json.dumps({"bucket": bucket}).encode()])

    def told_skipped(self) -> str:
        """The digest of what a person was last told that no backup holds, "" for nothing."""
        return str(self._read_json(TOLD_SKIPPED).get("digest", ""))

    def remember_told_skipped(self, digest: str) -> None:
        """Note it, so that it is told again only when it changes."""
        self._write(TOLD_SKIPPED, [json.dumps({"digest": digest}).encode()])

    def spent(self) -> tuple[str, float, int]:
        """What backups have cost on the last day of which anything is known: the day, USD, bytes."""
        fields = self._read_json(SPENT)
        try:
            return str(fields["day"]), float(fields["usd"]), int(fields["bytes"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return "", 0.0, 0

    def remember_spent(self, day: str, usd: float, size: int) -> None:
        """Note it, before it is spent and after."""
        self._write(SPENT, [json.dumps({"day": day, "usd": usd, "bytes": size}).encode()])

    def remember_unrestorable(self, keys: Sequence[str]) -> None:
        """Note objects under `latest/` that a restore could not bring back: no backup may delete them."""
        self._write(UNRESTORABLE, [json.dumps({"keys": list(keys)}).encode()])

    def unrestorable(self) -> frozenset[str]:
        """The keys that `remember_unrestorable` noted."""
        keys = self._read_json(UNRESTORABLE).get("keys", [])
        return frozenset(str(key) for key in keys) if isinstance(keys, list) else frozenset()

    def take_over_names_of_0_1_0(self) -> None:
        """Give what an agent of version 0.1.0 left here the names of now."""
        for old, now in NAMES_IN_0_1_0:
            if not (self._folder / now).exists():
                with contextlib.suppress(FileNotFoundError):
                    (self._folder / old).rename(self._folder / now)

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            fields = json.loads((self._folder / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return fields if isinstance(fields, dict) else {}

    def _write(self, name: str, chunks: Iterable[bytes]) -> None:
        replace_file(self._folder / name, chunks)
