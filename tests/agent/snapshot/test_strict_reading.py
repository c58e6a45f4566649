"""What a stranger writes into a manifest is of the right type, range and size, or the manifest is none."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.snapshot.bounded_lines import MOST_ENTRIES, MOST_LAST_LINE_BYTES, MOST_LINE_BYTES, bounded_lines
from openclaw_agent.snapshot.codec import decode_header, decode_manifest, encode_manifest
from openclaw_agent.snapshot.disk_names import why_no_path
from openclaw_agent.snapshot.entry_codec import entry_fields, entry_of, parse_object
from openclaw_agent.snapshot.manifest import Manifest
from tests.support.hostile_documents import JUNK, assemble, full_manifest

LINES = b"".join(encode_manifest(full_manifest())).decode().splitlines()
HEADER: dict[str, Any] = json.loads(LINES[0].removesuffix(',"entries":[') + "}")
ROWS: list[dict[str, Any]] = [json.loads(line.removesuffix(",")) for line in LINES[1:-1]]
LAST: dict[str, Any] = json.loads("{" + LINES[-1].removeprefix("],"))
del LAST["sha256"]
OTHER_TYPES: tuple[Any, ...] = (None, True, 1.0, "1", [], {}, -1, 2**93, float("nan"), float("inf"))


def read(header: Any = HEADER, rows: Any = ROWS, last: Any = LAST) -> Manifest:
    text = assemble(header, rows, last, lambda part: json.dumps(part, separators=(",", ":")))
    return decode_manifest(io.BytesIO(text))


def test_the_whole_manifest_is_sound() -> None:
    assert read().entries == full_manifest().entries


ENTRY_CASES = sorted({(number, name) for number, row in enumerate(ROWS) for name in row if name != "key"})


@pytest.mark.parametrize(("number", "name"), ENTRY_CASES)
def test_a_field_of_an_entry_that_has_another_type_than_its_own_is_refused(number: int, name: str) -> None:
    own = ROWS[number][name]
    for value in OTHER_TYPES:
        rows = [dict(row) for row in ROWS]
        rows[number][name] = value
        fits = type(value) is type(own) and value != 2**93 and (value != -1 or name == "mtime_ns")
        if not (fits or (name == "xattrs" and value in (None, {})) or (name == "hard_link_to" and value == "1")):
            with pytest.raises(ManifestInvalid):
                read(rows=rows)


@pytest.mark.parametrize("name", [name for name in HEADER if name != "quarantined"])
def test_a_field_of_the_header_that_has_another_type_than_its_own_is_refused(name: str) -> None:
    own = HEADER[name]
    for value in OTHER_TYPES:
        text = type(value) is str and type(own) is str and name not in ("snapshot", "created")
        lists = type(value) is list and type(own) is list
        if text or lists or (name == "attributes" and value is True) or (name == "created" and value == "1"):
            continue
        if type(value) is type(own) and value == own:
            continue
        with pytest.raises(ManifestInvalid):
            decode_header((json.dumps(HEADER | {name: value})[:-1] + ',"entries":[').encode())
        with pytest.raises(ManifestInvalid):
            read(header=HEADER | {name: value})


@pytest.mark.parametrize("name", LAST)
def test_a_field_of_the_last_line_that_is_no_list_of_the_right_rows_is_refused(name: str) -> None:
    others: tuple[Any, ...] = (
        None,
        True,
        1,
        "a",
        {},
        [1],
        [None],
        [[]],
        [{}],
        [{"path": 1, "reason": "a"}],
        [{"path": "a"}],
    )
    for value in others:
        with pytest.raises(ManifestInvalid):
            read(last=LAST | {name: value})


@pytest.mark.parametrize(
    "fields",
    [
        {"uid": 2**32 - 1},
        {"gid": 2**32 - 1},
        {"mode": "10000"},
        {"mode": "-1"},
        {"mode": "0o7"},
        {"mode": "\u0667"},
        {"mtime_ns": 2**63 * 10**9},
        {"mtime_ns": -(2**63) * 10**9 - 1},
        {"size": 2**63},
        {"sparse_bytes": 6},
        {"sparse_bytes": -1},
        {"sha256": "00 " * 32},
        {"sha256": "AA" * 32},
        {"path": "a/\ud800"},
        {"path": "a/\udcc3\udca9"},
        {"path": "a/" + "x" * 256},
        {"path": "a/" + "é" * 128},
        {"path": "a/\0"},
        {"path": "/f"},
        {"path": "a/../f"},
        {"path": "a" * 5000},
        {"target": "x"},
        {"flags": "q"},
        {"flags": "ii"},
        {"fingerprint": [1, 2, 3, 2**64]},
        {"fingerprint": [1, 2, 3, True]},
        {"xattrs": {"user.\0": ""}},
        {"xattrs": {"user.\ud800": ""}},
    ],
    ids=lambda fields: ascii(fields)[:40],
)
def test_what_no_disk_takes_is_no_entry(fields: dict[str, Any]) -> None:
    with pytest.raises(ManifestInvalid):
        entry_of(ROWS[2] | fields, attributes_told=True)


@pytest.mark.parametrize("target", ["", "\0", "a\0", "\ud800", "x" * 4096, "\udcc3\udca9", None, 1])
def test_what_no_symlink_leads_to_is_no_target(target: object) -> None:
    (link,) = (row for row in ROWS if row["kind"] == "symlink")
    with pytest.raises(ManifestInvalid):
        entry_of(link | {"target": target}, attributes_told=True)


@pytest.mark.parametrize(
    "text",
    [
        b'{"path":"a","path":"b"}',
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000,
        b'{"a":"' + b'\\"' * 500_000,
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\xff"}',
        b"\xef\xbb\xbf{}",
        b'{"a":"\xed\xa0\x80"}',
        b"[]",
        b"1",
        b"",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_line_that_is_no_object_of_ours_is_refused_before_it_costs_anything(text: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_object(text)


@given(st.recursive(st.sampled_from([str(one) for one in JUNK]) | st.integers(), lambda one: st.lists(one, max_size=3)))
def test_brackets_within_a_text_are_no_depth(value: object) -> None:
    fields = {"a": value, "[{[{[{": '[[[[[[[["[[[[[[[[[[[\\'}
    if json.dumps(value, ensure_ascii=True).count("[") < 10:
        assert parse_object(json.dumps(fields).encode()) == fields


def test_a_folder_comes_before_what_is_in_it() -> None:
    rows = [ROWS[0], ROWS[2], ROWS[1], *ROWS[3:]]
    with pytest.raises(ManifestInvalid, match="not the folder it is in before it"):
        read(rows=rows)


def test_the_state_folder_is_a_folder() -> None:
    with pytest.raises(ManifestInvalid, match="state folder is no folder"):
        read(rows=[ROWS[-1] | {"path": ""}])


@pytest.mark.parametrize("first", [b"x", b"],"])
def test_a_line_that_is_longer_than_ours_is_not_read_to_its_end(first: bytes) -> None:
    most = MOST_LAST_LINE_BYTES if first == b"]," else MOST_LINE_BYTES

    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, place: Any) -> int:
            self.given += len(place)
            place[:] = (first if self.given == len(place) else b"").ljust(len(place), b"x")
            return len(place)

    text = Endless()
    with pytest.raises(ManifestInvalid, match=f"line 1 has more than {most:,} bytes"):
        list(bounded_lines(io.BufferedReader(text, 64 * 1024)))
    assert text.given < most + 1024 * 1024


def test_a_manifest_of_more_entries_than_a_disk_has_is_refused() -> None:
    with pytest.raises(ManifestInvalid, match=f"more than {MOST_ENTRIES:,} entries"):
        for _line in bounded_lines(b"\n" for _ in range(MOST_ENTRIES + 3)):
            pass


@pytest.mark.parametrize("path", ["", "a", "a/b", "x" * 255, "é" * 127, "\udcff", "a/\n", "-rf", "...", ".a", "a."])
def test_a_path_that_a_disk_can_hold_is_one(path: str) -> None:
    assert why_no_path(path) == ""


def test_an_entry_is_read_as_it_is_written_whatever_a_later_agent_adds() -> None:
    for entry in full_manifest().entries:
        assert entry_of(entry_fields(entry) | {"later": [1]}, attributes_told=True).same_state(entry)
