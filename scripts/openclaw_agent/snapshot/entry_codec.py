"""The text of one entry of a manifest, written and strictly read; its fields are listed in `codec`. Pure."""

import base64
import binascii
import json
import re
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.snapshot import strict_json
from openclaw_agent.snapshot.disk_names import MOST_NAME_BYTES, MOST_PATH_BYTES, why_no_path, why_no_text
from openclaw_agent.snapshot.keys import STATE_PREFIX
from openclaw_agent.snapshot.manifest import (
    NO_ATTRIBUTES,
    Attributes,
    Entry,
    EntryKind,
    Fingerprint,
    intern_int,
)

# Of a disk: times are seconds in 64 bits, and the last id is none (chown(2) takes it for "as it is").
NANOSECONDS = 1_000_000_000
EARLIEST_NS = -(2**63) * NANOSECONDS
LATEST_NS = 2**63 * NANOSECONDS - 1
LARGEST_ID = 2**32 - 2
LARGEST_MODE = 0o7777
LARGEST_SIZE = 2**63 - 1
LARGEST_INODE = 2**64 - 1
VERDICTS = ("unverified", "damaged", "stale")
FLAGS = ("", "i", "a", "ia")
_HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2})*")
_OCTAL = re.compile(r"[0-7]{1,4}")


def entry_fields(entry: Entry, snapshot: str = "") -> dict[str, object]:
    """The fields of an entry's line in the manifest of a snapshot, whose own folder need not be named."""
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
        if entry.sparse_bytes:
            fields["sparse_bytes"] = entry.sparse_bytes
        key = entry.relative_key
        if key != STATE_PREFIX + entry.path:
            fields["key"] = key
        if entry.stored_in not in ("", snapshot):
            fields["stored_in"] = entry.stored_in
    if entry.kind is EntryKind.SYMLINK:
        fields["target"] = entry.target
    if entry.hard_link_to:
        fields["hard_link_to"] = entry.hard_link_to
    if entry.database:
        fields["database"] = True
    for verdict in VERDICTS:
        if getattr(entry, verdict):
            fields[verdict] = True
    if entry.captured_live:
        fields["captured_live"] = True
    for name, fingerprint in (("fingerprint", entry.fingerprint), ("wal_fingerprint", entry.wal_fingerprint)):
        if fingerprint is not None:
            fields[name] = [fingerprint.size, fingerprint.mtime_ns, fingerprint.ctime_ns, fingerprint.inode]
    if entry.attributes is None:
        fields["xattrs"] = None
    elif entry.attributes is not NO_ATTRIBUTES:
        if entry.attributes.xattrs:
            fields["xattrs"] = {name: base64.b64encode(value).decode() for name, value in entry.attributes.xattrs}
        if entry.attributes.flags:
            fields["flags"] = entry.attributes.flags
    return fields


def why_unreadable(entry: Entry) -> str:
    """Why a restore would refuse this entry, or "" where it is read back as it is."""
    try:
        read = entry_of(parse_object(json.dumps(entry_fields(entry)).encode()), attributes_told=True)
    except ManifestInvalid as problem:
        return f"no manifest can hold it: {problem}"
    return "" if read == entry else "no manifest can hold it as it is"


def parse_object(text: bytes) -> dict[str, Any]:
    """The JSON object that a line is.

    Raises:
        ManifestInvalid: when it is none, or none of ours could be like it.
    """
    try:
        return strict_json.parse_object(text)
    except ValueError as problem:
        raise ManifestInvalid(f"The manifest has a line that is no JSON object of ours ({problem}).") from problem


def entry_of(fields: dict[str, Any], *, attributes_told: bool) -> Entry:
    """The entry that has these fields; `attributes_told`: without a field for attributes it has none.

    Raises:
        ManifestInvalid: when a field is missing, of another type, or holds what no disk does.
    """
    values: dict[str, Any] = {}
    try:
        kind = _kind(fields.get("kind"))
        readers = _READERS[kind]
        for name, value in fields.items():
            reader = readers.get(name)
            if reader is not None:
                values[name] = reader(value)
            elif name in _FIELDS:
                raise ValueError(f"a {kind.value} has no {name}")
        if not values.keys() >= _REQUIRED[kind]:
            raise ValueError(f"{min(_REQUIRED[kind] - values.keys())} is missing")
        if values.get("sparse_bytes", 0) > values.get("size", 0):
            raise ValueError("more of it are holes than it has bytes")
        values["attributes"] = _attributes_of(
            values.pop("xattrs", None), values.pop("flags", ""), fields, attributes_told
        )
        seen = values.get("fingerprint")
        if seen is not None and seen.mtime_ns == values["mtime_ns"]:
            values["mtime_ns"] = seen.mtime_ns
        return Entry(kind=kind, **values)
    except ValueError as problem:
        where = strict_json.shown(fields.get("path"))
        raise ManifestInvalid(f"The manifest has a malformed entry ({where}: {problem}).") from problem


def _kind(value: Any) -> EntryKind:
    if type(value) is not str:
        raise ValueError(f"the kind is {strict_json.shown(value)}")
    return EntryKind(value)


def _path(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("the path is no text")
    if why := why_no_path(value):
        raise ValueError(why)
    return value


def _first_name(value: Any) -> str:
    if value == "":
        raise ValueError("it is a hard link to the state folder")
    return _path(value)


def _target(value: Any) -> str:
    if type(value) is not str or not value:
        raise ValueError(f"the target is {strict_json.shown(value)}")
    if why := why_no_text(value, MOST_PATH_BYTES):
        raise ValueError(f"of the target {strict_json.shown(value)}, {why}")
    return value


def _mode(value: Any) -> int:
    if type(value) is not str:
        raise ValueError(f"the mode is {strict_json.shown(value)}")
    return _mode_of(value)


def _base_name(value: Any) -> str:
    # Which names are allowed is the header's to say.
    if type(value) is not str or len(value) > MOST_NAME_BYTES:
        raise ValueError(f"it is stored in {strict_json.shown(value)}")
    return sys.intern(value)


# 100,000 entries have few modes and owners: one object for each saves memory, and looking it up time.
@lru_cache(maxsize=4096)
def _mode_of(text: str) -> int:
    if _OCTAL.fullmatch(text) is None:
        raise ValueError(f"the mode is {strict_json.shown(text)}")
    return intern_int(int(text, 8))


def _id(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST_ID:
        raise ValueError(f"the id is {strict_json.shown(value)}")
    return intern_int(value)


def _whole(what: str, least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{what} is {strict_json.shown(value)}")
        return value

    return read


_time = _whole("its time", EARLIEST_NS, LATEST_NS)
_size = _whole("its size", 0, LARGEST_SIZE)


def _digest(value: Any) -> bytes:
    if type(value) is not str or _HEXADECIMAL.fullmatch(value) is None:
        raise ValueError(f"its checksum is {strict_json.shown(value)}")
    return bytes.fromhex(value)


def _fingerprint(value: Any) -> Fingerprint:
    if type(value) is not list or len(value) != 4 or any(type(part) is not int for part in value):
        raise ValueError(f"its fingerprint is {strict_json.shown(value)}")
    size, mtime_ns, ctime_ns, inode = value
    sound = 0 <= size <= LARGEST_SIZE and 0 <= inode <= LARGEST_INODE
    if not (sound and EARLIEST_NS <= mtime_ns <= LATEST_NS and EARLIEST_NS <= ctime_ns <= LATEST_NS):
        raise ValueError(f"its fingerprint is {strict_json.shown(value)}")
    return Fingerprint(size, mtime_ns, ctime_ns, inode)


def _xattrs(value: Any) -> tuple[tuple[str, bytes], ...] | None:
    if value is None:
        return None
    if type(value) is not dict:
        raise ValueError("its attributes are no object")
    return tuple((_attribute_name(name), _decoded(value[name])) for name in sorted(value))


def _flags(value: Any) -> str:
    if type(value) is not str or value not in FLAGS:
        raise ValueError(f"its flags are {strict_json.shown(value)}")
    return value


def _attributes_of(
    xattrs: tuple[tuple[str, bytes], ...] | None, flags: str, fields: dict[str, Any], attributes_told: bool
) -> Attributes | None:
    if "xattrs" not in fields:
        return _shared((), flags) if attributes_told or "flags" in fields else None
    return None if xattrs is None else _shared(xattrs, flags)


@lru_cache(maxsize=256)
def _shared(xattrs: tuple[tuple[str, bytes], ...], flags: str) -> Attributes:
    # Files that inherit an access control list have the same one, of which one object is enough.
    return Attributes(xattrs, flags) if xattrs or flags else NO_ATTRIBUTES


def _attribute_name(name: str) -> str:
    if not name or why_no_text(name, MOST_NAME_BYTES):
        raise ValueError(f"it has an attribute {strict_json.shown(name)}")
    return name


def _decoded(value: Any) -> bytes:
    if type(value) is not str:
        raise ValueError("the value of an attribute is no text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise ValueError("the value of an attribute is no base64") from problem


_ALL = frozenset(EntryKind)
_FILE = frozenset({EntryKind.FILE})
_SYMLINK = frozenset({EntryKind.SYMLINK})
_Field = tuple[Callable[[Any], Any], frozenset[EntryKind], bool]
# Each field with how it is read, which kinds have it, and whether they must. `kind` comes before all of them; `key` is
# for other tools, and the agent makes its own out of the path. A field that is not here is of a later agent.
_FIELDS: dict[str, _Field] = {
    "path": (_path, _ALL, True),
    "mode": (_mode, _ALL, True),
    "uid": (_id, _ALL, True),
    "gid": (_id, _ALL, True),
    "mtime_ns": (_time, _ALL, True),
    "size": (_size, _FILE, True),
    "sha256": (_digest, _FILE, True),
    "sparse_bytes": (_size, _FILE, False),
    "target": (_target, _SYMLINK, True),
    "hard_link_to": (_first_name, _FILE | _SYMLINK, False),
    "stored_in": (_base_name, _FILE, False),
    "database": (strict_json.flag, _FILE, False),
    "unverified": (strict_json.flag, _FILE, False),
    "damaged": (strict_json.flag, _FILE, False),
    "stale": (strict_json.flag, _FILE, False),
    "captured_live": (strict_json.flag, _FILE, False),
    "fingerprint": (_fingerprint, _ALL, False),
    "wal_fingerprint": (_fingerprint, _ALL, False),
    "xattrs": (_xattrs, _ALL, False),
    "flags": (_flags, _ALL, False),
}
_READERS = {kind: {name: read for name, (read, kinds, _must) in _FIELDS.items() if kind in kinds} for kind in EntryKind}
_REQUIRED = {
    kind: {name for name, (_read, kinds, must) in _FIELDS.items() if kind in kinds and must} for kind in EntryKind
}
