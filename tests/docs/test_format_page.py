"""docs/format.md has a row for each field that is written, and for no other."""

import json
import re
from pathlib import Path

from openclaw_agent.lease.record import Lease
from openclaw_agent.snapshot.codec import MANIFEST_FORMAT, encode_manifest
from openclaw_agent.snapshot.format_1 import OLD_NAMES
from openclaw_agent.snapshot.manifest import (
    Attributes,
    CaptureMethod,
    DamagedDatabase,
    Entry,
    EntryKind,
    Fingerprint,
    Gap,
    Manifest,
    Omission,
    SnapshotId,
)
from openclaw_agent.snapshot.row_limits import MOST_HEADER_ROWS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "format.md").read_text()
FINGERPRINT = Fingerprint(1, 2, 3, 4)
FOLDER = Entry(path="", kind=EntryKind.DIR, mode=0o700, uid=1000, gid=1000, mtime_ns=1)
EVERYTHING = Manifest(
    snapshot="2026-02-27-14-00",
    created="2026-02-27T14:00:00+00:00",
    epoch=1,
    instance_id="i-1",
    stack="dev",
    method=CaptureMethod.FROZEN,
    freeze_ms=20.0,
    entries=(
        FOLDER,
        Entry(path="link", kind=EntryKind.SYMLINK, mode=0o777, uid=1000, gid=1000, mtime_ns=1, target="x"),
        Entry(
            path="a\nb",
            kind=EntryKind.FILE,
            mode=0o600,
            uid=1000,
            gid=1000,
            mtime_ns=1,
            size=1,
            sha256=bytes(32),
            database=True,
            captured_live=True,
            fingerprint=FINGERPRINT,
            wal_fingerprint=FINGERPRINT,
            sparse_bytes=1,
            unverified=True,
            attributes=Attributes((("user.a", b"x"),), "i"),
            damaged=True,
            stale=True,
            stored_in="2026-02-27-00-00",
        ),
        Entry(
            "b",
            EntryKind.FILE,
            0o600,
            1,
            1,
            1,
            size=1,
            sha256=bytes(32),
            hard_link_to="a\nb",
            stored_in="2026-02-27-00-00",
        ),
    ),
    quarantined="why",
    excluded=(Omission("a", "why"),),
    skipped=(Omission("b", "why"),),
    damaged=(DamagedDatabase("c", "why", ".damaged/c", "2026-02-27-13-40", bytes(32)),) * (MOST_HEADER_ROWS + 1),
    unrestorable=("latest/x",),
    gaps=(Gap("d", "why", accepted=True, missing=True),),
    agent_version="1.2.3",
    bases=(SnapshotId("2026-02-27-00-00", "2026-02-27T00:00:00+00:00", 1, "i-1"),),
)


def fields_in_the_table(heading: str) -> set[str]:
    table = PAGE.split(f"| {heading} | Meaning |", 1)[1].split("\n\n", 1)[0]
    cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_each_field_of_a_manifest_has_its_row() -> None:
    lines = b"".join(encode_manifest(EVERYTHING)).split(b"\n")
    header = json.loads(lines[0].removesuffix(b',"entries":[') + b"}")
    last = json.loads(b"{" + lines[-2].removeprefix(b"],"))
    entries = [json.loads(line.removesuffix(b",")) for line in lines[1:-2]]

    assert fields_in_the_table("Field of the header") == set(header)
    assert fields_in_the_table("Field of an entry") == {name for entry in entries for name in entry}
    assert fields_in_the_table("Field of the last line") == set(last)
    assert f"| `format` | {MANIFEST_FORMAT} " in PAGE


def test_each_field_of_the_lease_record_has_its_row() -> None:
    record = json.loads(Lease(1, "i-1", "2026-02-27T14:00:00+00:00", released=False).encode())

    assert fields_in_the_table("Field") == set(record)


def test_each_name_of_format_1_is_in_its_table_with_the_name_of_now() -> None:
    table = PAGE.split("| Name in format 1 | Name now | Where |", 1)[1].split("\n\n", 1)[0]

    assert re.findall(r"^\| `(\w+)` \| `(\w+)` \| ([\w ]+) \|$", table, re.MULTILINE) == list(OLD_NAMES)
