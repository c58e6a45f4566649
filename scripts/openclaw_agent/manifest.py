"""The manifest: what one snapshot holds, entry by entry, and how it was captured.

Paths are relative to the state folder, with `/` between parts; bytes that are no UTF-8 travel as surrogate escapes
(PEP 383), so every legal file name survives the round trip. The root itself is the entry with the path "".
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from openclaw_agent.errors import ManifestInvalid

MANIFEST_FORMAT = 1
STATE_PREFIX = ".openclaw/"
ENCODED_PREFIX = ".encoded/"
# S3 allows 1,024 bytes for a key; the longest prefix in front of a relative key is `snapshots/YYYY-MM-DD-HH-MM-SS/`.
MAX_RELATIVE_KEY_BYTES = 1024 - len("snapshots/2026-01-01-00-00-00/")


class EntryKind(StrEnum):
    """What an entry is on disk."""

    FILE = "file"
    DIR = "dir"
    SYMLINK = "symlink"


class CaptureMethod(StrEnum):
    """How the bytes of a snapshot were taken."""

    FROZEN = "frozen"
    LIVE = "live"
    STOPPED = "stopped"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells, without reading it, that a file is as it was: size in bytes, times in ns, and its inode."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or symlink of a snapshot.

    `sha256` is the digest (32 bytes) of a file's content as stored. `fingerprint` and `wal` are those of the live file
    and of its write-ahead log at capture; they only serve change detection on the machine that made the snapshot.
    """

    path: str
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    sha256: bytes = b""
    target: str = ""
    database: bool = False
    captured_live: bool = False
    fingerprint: Fingerprint | None = None
    wal: Fingerprint | None = None

    @property
    def relative_key(self) -> str:
        """The object's key below the snapshot's folder."""
        return relative_key(self.path)

    def same_state(self, other: Self) -> bool:
        """Whether both describe the same content and metadata, whatever inode holds it."""
        return (
            self.path == other.path
            and self.kind == other.kind
            and self.mode == other.mode
            and self.uid == other.uid
            and self.gid == other.gid
            and self.mtime_ns == other.mtime_ns
            and self.size == other.size
            and self.sha256 == other.sha256
            and self.target == other.target
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path that is not in the snapshot, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class DamagedDatabase:
    """A database that failed its check: its bytes as found lie under `stored_as`; `last_good` names a snapshot."""

    path: str
    problem: str
    stored_as: str
    last_good: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One snapshot: who took it, when, how, and everything it holds.

    `created` is ISO 8601 in UTC; `freeze_ms` is how long the gateway stood still; `quarantined` is the reason why this
    snapshot is no restore point of the main line ("" for those that are).
    """

    snapshot: str
    created: str
    epoch: int
    instance_id: str
    stack: str
    method: CaptureMethod
    freeze_ms: float
    entries: tuple[Entry, ...]
    quarantined: str = ""
    excluded: tuple[LeftOut, ...] = ()
    skipped: tuple[LeftOut, ...] = ()
    damaged: tuple[DamagedDatabase, ...] = ()
    agent_version: str = ""
    file_count: int = field(default=-1)
    total_bytes: int = field(default=-1)

    def counted(self) -> Self:
        """The same manifest with its totals taken from its entries."""
        files = [entry for entry in self.entries if entry.kind is EntryKind.FILE]
        return replace(self, file_count=len(files), total_bytes=sum(entry.size for entry in files))

    def files(self) -> Iterator[Entry]:
        """The entries that have an object in S3."""
        return (entry for entry in self.entries if entry.kind is EntryKind.FILE)

    def by_path(self) -> dict[str, Entry]:
        """The entries by path."""
        return {entry.path: entry for entry in self.entries}


def relative_key(path: str) -> str:
    """The S3 key below a snapshot's folder for `path`.

    Names that S3, XML or the transfer engine would mangle (control characters, non-UTF-8 bytes, too long) get a key
    made of their digest instead; the manifest alone knows their real name.
    """
    plain = STATE_PREFIX + path
    try:
        encoded = plain.encode()
    except UnicodeEncodeError:
        return _encoded_key(path)
    if len(encoded) > MAX_RELATIVE_KEY_BYTES or not all(_travels_plainly(character) for character in path):
        return _encoded_key(path)
    return plain


def _encoded_key(path: str) -> str:
    return ENCODED_PREFIX + hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()


def _travels_plainly(character: str) -> bool:
    # U+FFFE and U+FFFF are no XML characters, and a backslash becomes a folder in some S3 tools on Windows.
    return " " <= character not in "\x7f\\\ufffe\uffff" and not "\x80" <= character <= "\x9f"


def encode_manifest(manifest: Manifest) -> Iterator[bytes]:
    """Yield the manifest as JSON text: a header line, a line for each entry, a line with what was left out and a digest.

    The whole is one valid JSON document; the lines let a reader with little memory take it entry by entry, and the
    header stays short however much was left out.
    """
    counted = manifest.counted()
    header = {
        "format": MANIFEST_FORMAT,
        "snapshot": counted.snapshot,
        "created": counted.created,
        "epoch": counted.epoch,
        "instance_id": counted.instance_id,
        "stack": counted.stack,
        "agent_version": counted.agent_version,
        "quarantined": counted.quarantined,
        "capture": {"method": counted.method.value, "freeze_ms": round(counted.freeze_ms, 3)},
        "files": counted.file_count,
        "bytes": counted.total_bytes,
        "damaged": [
            {"path": row.path, "problem": row.problem, "stored_as": row.stored_as, "last_good": row.last_good}
            for row in counted.damaged
        ],
    }
    header_text = json.dumps(header, separators=(",", ":"))
    digest = hashlib.sha256(header_text.encode())
    yield f'{header_text[:-1]},"entries":[\n'.encode()
    separator = b""
    for entry in manifest.entries:
        line = json.dumps(_entry_fields(entry), separators=(",", ":")).encode()
        digest.update(line)
        yield separator + line
        separator = b",\n"
    left_out = {
        "excluded": [{"path": row.path, "reason": row.reason} for row in counted.excluded],
        "skipped": [{"path": row.path, "reason": row.reason} for row in counted.skipped],
    }
    left_out_text = json.dumps(left_out, separators=(",", ":")).encode()
    digest.update(left_out_text)
    yield b"\n]," + left_out_text[1:-1] + f',"sha256":"{digest.hexdigest()}"}}\n'.encode()


def decode_header(first_line: bytes) -> Manifest:
    """Read a manifest without its entries and what was left out, from its first line (for listings).

    Raises:
        ManifestInvalid: when the line is no manifest header of a known format.
    """
    text = first_line.decode(errors="replace").rstrip("\n")
    if not text.endswith(',"entries":['):
        raise ManifestInvalid("The manifest does not begin with a header line.")
    return _manifest_of(_parse_object(text.removesuffix(',"entries":[') + "}"), ())


def decode_manifest(lines: Iterable[bytes]) -> Manifest:
    """Read a manifest from the lines of its text, as `encode_manifest` wrote them.

    Raises:
        ManifestInvalid: when it is torn, altered, of another format, or names a path that could leave the state folder.
    """
    reader = iter(lines)
    first = next(reader, b"").rstrip(b"\n")
    if not first.endswith(b',"entries":['):
        raise ManifestInvalid("The manifest does not begin with a header line.")
    header_text = first.removesuffix(b',"entries":[') + b"}"
    digest = hashlib.sha256(header_text)
    entries: list[Entry] = []
    for raw in reader:
        line = raw.rstrip(b"\n")
        if line.startswith(b"],"):
            left_out_text, _, promised = line[2:].rpartition(b',"sha256":"')
            digest.update(b"{" + left_out_text + b"}")
            if promised != f'{digest.hexdigest()}"}}'.encode():
                raise ManifestInvalid("The manifest's own checksum does not match: it was altered or torn.")
            if next(reader, None) is not None:
                raise ManifestInvalid("There is text after the end of the manifest.")
            header = _parse_object(header_text.decode(errors="replace"))
            left_out = _parse_object("{" + left_out_text.decode(errors="replace") + "}")
            manifest = _manifest_of(header | left_out, tuple(entries))
            _require_consistency(manifest)
            return manifest
        line = line.removesuffix(b",")
        if line:
            digest.update(line)
            entries.append(_entry_of(_parse_object(line.decode(errors="replace"))))
    raise ManifestInvalid("The manifest ends before its checksum: it is torn.")


def _require_consistency(manifest: Manifest) -> None:
    folders: set[str] = set()
    seen: set[str] = set()
    for entry in manifest.entries:
        if entry.kind is EntryKind.DIR:
            folders.add(entry.path)
    for entry in manifest.entries:
        parts = entry.path.split("/")
        if entry.path and any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ManifestInvalid(f"The manifest names the path {entry.path!r}, which could leave the state folder.")
        if entry.path in seen:
            raise ManifestInvalid(f"The manifest names the path {entry.path!r} twice.")
        seen.add(entry.path)
        if entry.path and "/".join(parts[:-1]) not in folders:
            raise ManifestInvalid(f"The manifest names the path {entry.path!r}, but not the folder it is in.")
        if entry.kind is EntryKind.FILE and len(entry.sha256) != hashlib.sha256().digest_size:
            raise ManifestInvalid(f"The manifest gives no checksum for the file {entry.path!r}.")


def _entry_fields(entry: Entry) -> dict[str, object]:
    fields: dict[str, object] = {
        "path": entry.path,
        "kind": entry.kind.value,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "mtime_ns": entry.mtime_ns,
    }
    if entry.kind is EntryKind.FILE:
        fields["size"] = entry.size
        fields["sha256"] = entry.sha256.hex()
        key = entry.relative_key
        if key != STATE_PREFIX + entry.path:
            fields["key"] = key
    if entry.kind is EntryKind.SYMLINK:
        fields["target"] = entry.target
    if entry.database:
        fields["database"] = True
    if entry.captured_live:
        fields["captured_live"] = True
    for name, fingerprint in (("seen", entry.fingerprint), ("seen_wal", entry.wal)):
        if fingerprint is not None:
            fields[name] = [fingerprint.size, fingerprint.mtime_ns, fingerprint.ctime_ns, fingerprint.inode]
    return fields


def _parse_object(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except ValueError as problem:
        raise ManifestInvalid(f"The manifest is no valid JSON ({problem}).") from problem
    if not isinstance(parsed, dict):
        raise ManifestInvalid("The manifest holds something that is no JSON object.")
    return parsed


def _entry_of(fields: dict[str, Any]) -> Entry:
    try:
        return Entry(
            path=str(fields["path"]),
            kind=EntryKind(fields["kind"]),
            mode=int(fields["mode"], 8),
            uid=int(fields["uid"]),
            gid=int(fields["gid"]),
            mtime_ns=int(fields["mtime_ns"]),
            size=int(fields.get("size", 0)),
            sha256=bytes.fromhex(fields.get("sha256", "")),
            target=str(fields.get("target", "")),
            database=bool(fields.get("database", False)),
            captured_live=bool(fields.get("captured_live", False)),
            fingerprint=Fingerprint(*fields["seen"]) if "seen" in fields else None,
            wal=Fingerprint(*fields["seen_wal"]) if "seen_wal" in fields else None,
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise ManifestInvalid(f"The manifest has a malformed entry ({problem!r}).") from problem


def _manifest_of(header: dict[str, Any], entries: tuple[Entry, ...]) -> Manifest:
    if header.get("format") != MANIFEST_FORMAT:
        raise ManifestInvalid(
            f"The manifest has format {header.get('format')!r}; this agent reads format {MANIFEST_FORMAT}."
        )
    try:
        return Manifest(
            snapshot=str(header["snapshot"]),
            created=str(header["created"]),
            epoch=int(header["epoch"]),
            instance_id=str(header["instance_id"]),
            stack=str(header["stack"]),
            method=CaptureMethod(header["capture"]["method"]),
            freeze_ms=float(header["capture"]["freeze_ms"]),
            entries=entries,
            quarantined=str(header["quarantined"]),
            excluded=tuple(LeftOut(row["path"], row["reason"]) for row in header.get("excluded", ())),
            skipped=tuple(LeftOut(row["path"], row["reason"]) for row in header.get("skipped", ())),
            damaged=tuple(
                DamagedDatabase(row["path"], row["problem"], row["stored_as"], row["last_good"])
                for row in header["damaged"]
            ),
            agent_version=str(header["agent_version"]),
            file_count=int(header["files"]),
            total_bytes=int(header["bytes"]),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise ManifestInvalid(f"The manifest's header is malformed ({problem!r}).") from problem
