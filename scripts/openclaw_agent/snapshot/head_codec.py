"""A manifest's header and last line, written and strictly read; their fields are listed in `codec`. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.snapshot.bases import base_fields, bases_of, own_totals_of
from openclaw_agent.snapshot.damaged_rows import damaged_fields, rows_in_header
from openclaw_agent.snapshot.manifest import CaptureMethod, DamagedDatabase, Gap, Manifest, Omission, Totals
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.snapshot.strict_json import (
    LARGEST,
    Reader,
    document,
    field,
    flag,
    matching,
    number,
    rows,
    shown,
    text,
    texts,
    whole,
)

MANIFEST_FORMAT = 2
LARGEST_EPOCH = LARGEST
# A sum over more files than any disk has.
LARGEST_TOTAL = 2**90
# A path, escaped in a message.
MOST_TEXT = 64 * 1024
INSTANCE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._:@-]{0,252}")
_WORD = re.compile(r"[ -~]{0,128}")
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")
_text = text(MOST_TEXT)
_count = whole(0, LARGEST)
instance_id: Reader[str] = matching(INSTANCE_ID, "id of an instance")
_word: Reader[str] = matching(_WORD, "short text of plain characters")
_digest: Reader[str] = matching(_DIGEST, "SHA-256 in hexadecimal")


def header_fields(manifest: Manifest) -> dict[str, object]:
    """The fields of the first line."""
    totals = manifest.totals()
    return {
        "format": MANIFEST_FORMAT,
        "snapshot": manifest.snapshot,
        "created": manifest.created,
        "epoch": manifest.epoch,
        "instance_id": manifest.instance_id,
        "stack": manifest.stack,
        "agent_version": manifest.agent_version,
        "quarantined": manifest.quarantined,
        "attributes": True,
        "capture": {"method": manifest.method.value, "freeze_ms": round(manifest.freeze_ms, 3)},
        "files": totals.files,
        "bytes": totals.bytes,
        **base_fields(manifest),
        "skipped_count": manifest.skipped_count,
        "damaged": damaged_fields(rows_in_header(manifest.damaged)),
    }


def left_out_fields(manifest: Manifest) -> dict[str, object]:
    """The fields of the last line, but for the sum."""
    fields: dict[str, object] = {
        "excluded": [{"path": row.path, "reason": row.reason} for row in manifest.excluded],
        "skipped": [{"path": row.path, "reason": row.reason} for row in manifest.skipped],
        "unrestorable": list(manifest.unrestorable),
        "gaps": [_gap_fields(gap) for gap in manifest.gaps],
    }
    if more := manifest.damaged[len(rows_in_header(manifest.damaged)) :]:
        fields["more_damaged"] = damaged_fields(more)
    return fields


def _gap_fields(gap: Gap) -> dict[str, object]:
    fields: dict[str, object] = {"path": gap.path, "reason": gap.reason, "accepted": gap.accepted}
    return fields | {"missing": True} if gap.missing else fields


def format_of(header: Mapping[str, Any]) -> int:
    """The number of a manifest's format.

    Raises:
        ManifestInvalid: when this agent does not read it.
    """
    written = header.get("format")
    if type(written) is not int or not 1 <= written <= MANIFEST_FORMAT:
        raise ManifestInvalid(
            f"The manifest has format {shown(written)}; this agent reads formats 1 to {MANIFEST_FORMAT}."
        )
    return written


def attributes_told(header: Mapping[str, Any]) -> bool:
    """Whether its entries tell hard links, extended attributes and flags.

    Raises:
        ManifestInvalid: when the field says neither.
    """
    told = header.get("attributes", False)
    if type(told) is not bool:
        raise ManifestInvalid(f"The manifest's header is malformed (attributes: {shown(told)}).")
    return told


def manifest_of(header: dict[str, Any], left_out: Mapping[str, Any]) -> Manifest:
    """The manifest without its entries that has this header and this last line ({} where that was not read).

    Raises:
        ManifestInvalid: when a field is missing, of another type or out of its range.
    """
    attributes_told(header)
    try:
        capture = field(header, "capture", document)
        more: tuple[DamagedDatabase, ...] = ()
        more = field(left_out, "more_damaged", rows(_damaged), more)
        return Manifest(
            snapshot=field(header, "snapshot", _snapshot_name),
            created=field(header, "created", _word),
            epoch=field(header, "epoch", whole(0, LARGEST_EPOCH)),
            instance_id=field(header, "instance_id", instance_id),
            stack=field(header, "stack", _word),
            method=field(capture, "method", _method),
            freeze_ms=field(capture, "freeze_ms", number),
            entries=(),
            quarantined=field(header, "quarantined", _text),
            skipped_count=field(header, "skipped_count", _count, 0),
            damaged=field(header, "damaged", rows(_damaged)) + more,
            agent_version=field(header, "agent_version", _word),
            header_totals=Totals(field(header, "files", _count), field(header, "bytes", whole(0, LARGEST_TOTAL))),
            bases=bases_of(header),
            header_own=own_totals_of(header),
            excluded=field(left_out, "excluded", rows(_omission), ()),
            skipped=field(left_out, "skipped", rows(_omission), ()),
            unrestorable=field(left_out, "unrestorable", texts(MOST_TEXT), ()),
            gaps=field(left_out, "gaps", rows(_gap), ()),
        )
    except ValueError as problem:
        raise ManifestInvalid(f"The manifest's header is malformed ({problem}).") from problem


def _snapshot_name(value: Any) -> str:
    if type(value) is not str or parse_snapshot_name(value) is None:
        raise ValueError(f"{shown(value)} is no snapshot's name")
    return value


def _method(value: Any) -> CaptureMethod:
    if type(value) is not str or value not in set(CaptureMethod):
        raise ValueError(f"{shown(value)} is no way of capturing")
    return CaptureMethod(value)


def _omission(row: dict[str, Any]) -> Omission:
    return Omission(field(row, "path", _text), field(row, "reason", _text))


def _damaged(row: dict[str, Any]) -> DamagedDatabase:
    return DamagedDatabase(
        field(row, "path", _text),
        field(row, "problem", _text),
        field(row, "stored_as", _text),
        field(row, "last_good", _text),
        bytes.fromhex(field(row, "sha256", _digest, "")),
    )


def _gap(row: dict[str, Any]) -> Gap:
    return Gap(
        field(row, "path", _text),
        field(row, "reason", _text),
        accepted=field(row, "accepted", flag, False),
        missing=field(row, "missing", flag, False),
    )
