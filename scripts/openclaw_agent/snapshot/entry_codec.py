"""The text of one entry of a manifest, written and strictly read; its fields are listed in `codec`. Pure."""

import base64
import binascii
import json
import sys
from functools import lru_cache
from typing import Any

from openclaw_agent.errors import ManifestInvalid
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
MOST_SECONDS = 2**63
NANOSECONDS = 1_000_000_000
LARGEST_ID = 2**32 - 2
LARGEST_MODE = 0o7777
LARGEST_SIZE = 2**63
VERDICTS = ("unverified", "damaged", "stale")
MOST_TARGET_BYTES = 4095  # of a symlink (PATH_MAX)
MOST_NAME_BYTES = 255  # of an attribute (xattr(7))


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
        read = entry_of(parse_object(json.dumps(entry_fields(entry))), attributes_told=True)
    except ManifestInvalid as problem:
        return f"no manifest can hold it: {problem}"
    return "" if read == entry else "no manifest can hold it as it is"


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object that a line is.

    Raises:
        ManifestInvalid: when it is none.
    """
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ManifestInvalid(f"The manifest is no valid JSON ({problem}).") from problem
    if not isinstance(parsed, dict):
        raise ManifestInvalid("The manifest holds something that is no JSON object.")
    return parsed


def entry_of(fields: dict[str, Any], *, attributes_told: bool) -> Entry:
    """The entry that has these fields; `attributes_told`: without a field for attributes it has none.

    Raises:
        ManifestInvalid: when a field is missing, of another type, or holds what no disk does.
    """
    try:
        fingerprint = Fingerprint(*fields["fingerprint"]) if "fingerprint" in fields else None
        mtime_ns = _within(fields, "mtime_ns", -MOST_SECONDS * NANOSECONDS, MOST_SECONDS * NANOSECONDS)
        if fingerprint is not None and fingerprint.mtime_ns == mtime_ns:
            mtime_ns = fingerprint.mtime_ns
        kind = EntryKind(fields["kind"])
        return Entry(
            path=str(fields["path"]),
            kind=kind,
            mode=_mode(fields["mode"]),
            uid=_id(fields["uid"]),
            gid=_id(fields["gid"]),
            mtime_ns=mtime_ns,
            size=_within(fields, "size", 0, LARGEST_SIZE) if "size" in fields else 0,
            sha256=bytes.fromhex(fields.get("sha256", "")),
            target=_target(fields["target"]) if kind is EntryKind.SYMLINK else "",
            database=bool(fields.get("database", False)),
            captured_live=bool(fields.get("captured_live", False)),
            fingerprint=fingerprint,
            wal_fingerprint=Fingerprint(*fields["wal_fingerprint"]) if "wal_fingerprint" in fields else None,
            sparse_bytes=_within(fields, "sparse_bytes", 0, LARGEST_SIZE) if "sparse_bytes" in fields else 0,
            unverified=bool(fields.get("unverified", False)),
            damaged=bool(fields.get("damaged", False)),
            stale=bool(fields.get("stale", False)),
            attributes=_attributes_of(fields, attributes_told),
            hard_link_to=str(fields.get("hard_link_to", "")),
            stored_in=_base_name(fields.get("stored_in", "")),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise ManifestInvalid(f"The manifest has a malformed entry ({problem!r}).") from problem


def _within(fields: dict[str, Any], name: str, least: int, most: int) -> int:
    value = fields[name]
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} is {value!r}")
    return value


def _target(target: str) -> str:
    if not 0 < len(target.encode(errors="surrogateescape")) <= MOST_TARGET_BYTES:
        raise ValueError(f"the target {target[:99]!r}")
    return target


@lru_cache(maxsize=64, typed=True)
def _base_name(name: str) -> str:
    # Which names are allowed is the header's to say.
    if type(name) is not str:
        raise TypeError("the snapshot that an object is stored in is a text")
    return sys.intern(name)


# 100,000 entries have few modes and owners: one object for each saves memory, and looking it up time.
@lru_cache(maxsize=4096)
def _mode(text: str) -> int:
    mode = int(text, 8)
    if not 0 <= mode <= LARGEST_MODE:
        raise ValueError(f"the mode {text!r}")
    return intern_int(mode)


@lru_cache(maxsize=4096, typed=True)
def _id(number: int) -> int:
    if type(number) is not int or not 0 <= number <= LARGEST_ID:
        raise ValueError(f"the id {number!r}")
    return intern_int(number)


def _attributes_of(fields: dict[str, Any], attributes_told: bool) -> Attributes | None:
    if "xattrs" not in fields and "flags" not in fields:
        return NO_ATTRIBUTES if attributes_told else None
    xattrs, flags = fields.get("xattrs", {}), fields.get("flags", "")
    if xattrs is None:
        return None
    if type(xattrs) is not dict or type(flags) is not str:
        raise TypeError("xattrs and flags are an object and a text")
    return _shared(tuple((_attribute_name(name), _decoded(value)) for name, value in sorted(xattrs.items())), flags)


@lru_cache(maxsize=256)
def _shared(xattrs: tuple[tuple[str, bytes], ...], flags: str) -> Attributes:
    # Files that inherit an access control list have the same one, of which one object is enough.
    return Attributes(xattrs, flags) if xattrs or flags else NO_ATTRIBUTES


def _attribute_name(name: str) -> str:
    if not name or "\0" in name or len(name.encode(errors="surrogateescape")) > MOST_NAME_BYTES:
        raise ValueError(f"the attribute {name!r}")
    return name


def _decoded(value: object) -> bytes:
    if type(value) is not str:
        raise TypeError("the value of an attribute is a text")
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as problem:
        raise ValueError("the value of an attribute is no base64") from problem
