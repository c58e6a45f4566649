import hashlib
import io
import json
import os
import string
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.snapshot.codec import MANIFEST_FORMAT, decode_header, decode_manifest, encode_manifest
from openclaw_agent.snapshot.disk_names import why_no_path
from openclaw_agent.snapshot.format_1 import OLD_NAMES
from openclaw_agent.snapshot.keys import MAX_RELATIVE_KEY_BYTES, STATE_PREFIX, relative_key
from openclaw_agent.snapshot.manifest import (
    NO_ATTRIBUTES,
    Attributes,
    CaptureMethod,
    DamagedDatabase,
    Entry,
    EntryKind,
    Fingerprint,
    Manifest,
    Omission,
    SnapshotId,
    Totals,
)
from tests.support.entries import file, folder, manifest, symlink

OLDER = "2026-03-04-08-00"
BASE = SnapshotId(OLDER, "2026-03-04T08:00:00+00:00", 1, "i-1")
NAMES = st.one_of(
    st.binary(min_size=1, max_size=255).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_")),
    st.text(min_size=1, max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass").replace(b"/", b"_")),
    st.sampled_from(
        [b"-rf", b"a b", b"new\nline", b"quote'\"", b"\xff\xfe", "🦞".encode(), b"x" * 255, b"manifest.json"]
    ),
)
PATHS = (
    st.lists(NAMES, min_size=1, max_size=6)
    .map(lambda parts: [part.replace(b"\0", b"_") for part in parts])
    .filter(lambda parts: not any(part in (b".", b"..") for part in parts))
    .map(lambda parts: b"/".join(parts).decode(errors="surrogateescape"))
)
SIZES = st.integers(0, 2**63 - 1)
TIMES = st.integers(-(2**63) * 10**9, 2**63 * 10**9 - 1)
FINGERPRINTS = st.none() | st.builds(Fingerprint, SIZES, TIMES, TIMES, st.integers(0, 2**64 - 1))
XATTRS = st.dictionaries(
    NAMES.map(lambda raw: "user." + os.fsdecode(raw[:250].replace(b"\0", b"_"))), st.binary(max_size=99), max_size=3
)
ATTRIBUTES = st.none() | st.builds(
    Attributes, XATTRS.map(lambda rows: tuple(sorted(rows.items()))), st.sampled_from(["", "i", "ia"])
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    entries = {"": folder()}
    for path in draw(st.lists(PATHS, max_size=8)):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            entries[parent] = folder(parent, draw(st.integers(0, 0o7777)))
        if path in entries:
            continue
        entries[path] = Entry(
            path,
            kind=draw(st.sampled_from([EntryKind.FILE, EntryKind.SYMLINK])),
            mode=draw(st.integers(0, 0o7777)),
            uid=draw(st.integers(0, 2**32 - 2)),
            gid=draw(st.integers(0, 2**32 - 2)),
            mtime_ns=draw(TIMES),
        )
        if entries[path].kind is EntryKind.SYMLINK:
            target = draw(NAMES).replace(b"\0", b"_").decode(errors="surrogateescape")
            entries[path] = replace(entries[path], target=target)
        else:
            entries[path] = replace(
                entries[path],
                size=draw(SIZES),
                sha256=draw(st.binary(min_size=32, max_size=32)),
                database=draw(st.booleans()),
                captured_live=draw(st.booleans()),
                fingerprint=draw(FINGERPRINTS),
                wal_fingerprint=draw(FINGERPRINTS),
                unverified=draw(st.booleans()),
            )
            entries[path] = replace(entries[path], sparse_bytes=draw(st.integers(0, entries[path].size)))
        entries[path] = replace(entries[path], attributes=draw(ATTRIBUTES))
    for path, entry in list(entries.items()):
        another = entry.kind is not EntryKind.DIR and path + "+" not in entries and not why_no_path(path + "+")
        if another and draw(st.booleans()):
            entries[path + "+"] = replace(entry, path=path + "+", hard_link_to=path)
    left_out = st.lists(st.builds(Omission, PATHS, st.text(string.printable, max_size=20)), max_size=3).map(tuple)
    return replace(
        manifest(),
        entries=tuple(sorted(entries.values(), key=lambda entry: entry.path.split("/"))),
        method=draw(st.sampled_from(CaptureMethod)),
        quarantined=draw(st.text(max_size=20)),
        excluded=draw(left_out),
        skipped=draw(left_out),
        unrestorable=draw(st.lists(st.text()).map(tuple)),
        damaged=tuple(
            DamagedDatabase(path, "malformed", ".damaged/x", "", digest)
            for path in draw(st.lists(PATHS, max_size=2))
            for digest in (b"", b"\x01" * 32)
        ),
    )


def encoded(source: Manifest) -> bytes:
    return b"".join(encode_manifest(source))


def decoded(text: bytes) -> Manifest:
    return decode_manifest(io.BytesIO(text))


def as_decoded(source: Manifest) -> Manifest:
    """What is decoded also says what the header said."""
    return replace(source, header_totals=source.totals())


@example(manifest())
@given(manifests())
def test_what_is_encoded_is_decoded_again(source: Manifest) -> None:
    assert decoded(encoded(source)) == as_decoded(source)


@given(manifests())
def test_the_text_is_one_json_document_and_its_header_stands_in_the_first_line(source: Manifest) -> None:
    text = encoded(source)
    document = json.loads(text)
    assert len(document["entries"]) == len(source.entries)
    assert decode_header(text.split(b"\n", 1)[0]) == replace(
        as_decoded(source), entries=(), excluded=(), skipped=(), unrestorable=()
    )


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([folder(), file("a/b")], "but not the folder it is in"),
        ([folder(), symlink("a", "b"), file("a/b")], "but not the folder it is in"),
        ([folder(), file("a"), file("a")], "twice"),
        ([folder(), file("../a")], "could leave the state folder"),
        ([folder(), replace(file("a"), sha256=b"")], "no checksum"),
        ([folder(), replace(file("a"), hard_link_to="b")], "hard link 'a' to 'b', not a file"),
        ([folder(), replace(folder("a"), hard_link_to="b"), file("b")], "hard link 'a' to 'b', not a file"),
        ([folder(), replace(file("a"), hard_link_to="b"), symlink("b", "x")], "to another file"),
        ([folder(), replace(file("a"), hard_link_to="b"), file("b", b"other")], "to another file"),
        ([folder(), replace(file("a"), hard_link_to="a")], "to another file"),
        ([folder(), replace(file("a"), hard_link_to="b"), replace(file("b"), hard_link_to="a")], "to another file"),
        ([folder(), replace(file("a"), stored_in="2026-03-01-00-00")], "which is none of its bases"),
    ],
)
def test_a_manifest_that_no_restore_would_accept_is_never_written(entries: list[Entry], sentence: str) -> None:
    with pytest.raises(ManifestInvalid, match=sentence):
        encoded(manifest(entries))


def differential() -> Manifest:
    entries = [folder(), replace(file("a"), stored_in=OLDER), replace(file("b"), stored_in=OLDER, hard_link_to="a")]
    return replace(manifest([*entries, file("c", b"own")], "2026-03-04-08-20"), bases=(BASE,))


def test_a_differential_manifest_says_in_its_first_line_what_it_leans_on_and_what_is_its_own() -> None:
    text = encoded(differential())
    assert decoded(text) == replace(as_decoded(differential()), header_own=Totals(1, 3))
    header = decode_header(text.split(b"\n", 1)[0])
    assert (header.bases, header.own_totals(), header.totals()) == ((BASE,), Totals(1, 3), Totals(3, 7))
    assert manifest([file("c", b"own")]).own_totals() == Totals(1, 3)


@pytest.mark.parametrize(
    ("text", "other", "sentence"),
    [
        (f'"snapshot":"{OLDER}"', '"snapshot":"2026-03-04-08-20"', "not older"),
        (f'"snapshot":"{OLDER}"', '"snapshot":"../x"', "no snapshot's name"),
        (f'"snapshot":"{OLDER}"', '"snapshot":7', "no snapshot's name"),
        ('"bases":[', '"bases":[1,', "no object"),
        ('"bases":[', '"bases":[1,2,3,', "at most 3"),
        ('"epoch":1,"instance_id":"i-1"}', '"epoch":true,"instance_id":"i-1"}', "which run"),
        ('"own":{"files":1', '"own":{"files":-1', "own folder"),
        ('"own":{"files":1,"bytes":3}', '"own":7', "own folder"),
        ('"own":{"files":1,"bytes":3},', "", "what its own folder holds"),
    ],
)
def test_a_header_whose_bases_are_none_is_refused(text: str, other: str, sentence: str) -> None:
    line = encoded(differential()).split(b"\n", 1)[0]
    assert text.encode() in line
    with pytest.raises(ManifestInvalid, match=sentence):
        decode_header(line.replace(text.encode(), other.encode(), 1))


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([replace(file("a"), stored_in="2026-03-01-00-00")], "none of its bases"),
        ([replace(folder("a"), stored_in=OLDER)], "no file"),
        ([file("a"), replace(file("b"), stored_in=OLDER, hard_link_to="a")], "another folder than its file"),
        ([replace(file("a"), stored_in=OLDER), replace(file("b"), hard_link_to="a")], "another folder than its file"),
    ],
)
def test_an_entry_lies_in_the_snapshot_s_own_folder_or_in_a_base_s(entries: list[Entry], sentence: str) -> None:
    with pytest.raises(ManifestInvalid, match=sentence):
        encoded(replace(differential(), entries=(folder(), *entries)))


def test_a_manifest_of_before_there_were_unverified_databases_is_read() -> None:
    row = DamagedDatabase("a", "malformed", ".damaged/a", "")
    entry = replace(file("a"), database=True)
    text = encoded(replace(manifest([folder(), entry]), damaged=(row,)))
    assert b"unverified" not in text
    header, *_rest = text.splitlines()
    old = header.replace(b',"sha256":""', b"")
    assert old != header
    assert decode_header(old).damaged == (row,)
    assert decoded(text).entries[1].is_good_database


SAMPLE = encoded(
    replace(
        manifest([folder(), folder("a"), file("a/b", b"hello"), symlink("c", "a/b")]), excluded=(Omission("x", "y"),)
    )
)


@pytest.mark.parametrize("length", range(0, len(SAMPLE) - 1, 7))
def test_a_torn_manifest_is_refused_wherever_it_ends(length: int) -> None:
    with pytest.raises(ManifestInvalid):
        decoded(SAMPLE[:length])


@given(st.integers(0, len(SAMPLE) - 2), st.integers(0, 255))
def test_a_manifest_with_one_other_byte_is_refused_or_says_the_same(position: int, other: int) -> None:
    altered = SAMPLE[:position] + bytes([other]) + SAMPLE[position + 1 :]
    try:
        read = decoded(altered)
    except ManifestInvalid:
        return
    assert read == decoded(SAMPLE)


NOTHING_LEFT_OUT = b'"excluded":[],"skipped":[],"unrestorable":[]'


TOLD = b'"attributes":true,'


def with_lines(
    *entries: object, left_out: bytes = NOTHING_LEFT_OUT, form: int = MANIFEST_FORMAT, told: bytes = TOLD
) -> bytes:
    """A manifest of a format with these entry lines and a checksum that fits."""
    header = encoded(manifest()).split(b"\n", 1)[0].replace(b'"format":2', b'"format":%d' % form).replace(TOLD, told)
    lines = [json.dumps(entry, separators=(",", ":")).encode() for entry in entries]
    start = header.removesuffix(b',"entries":[') + b"}"
    digest = hashlib.sha256(start + b"".join(lines) + b"{" + left_out + b"}").hexdigest().encode()
    return header + b"\n" + b",\n".join(lines) + b"\n]," + left_out + b',"sha256":"' + digest + b'"}\n'


ROOT = {"path": "", "kind": "dir", "mode": "0700", "uid": 0, "gid": 0, "mtime_ns": 0}
GOOD = {"path": "a", "kind": "file", "mode": "0600", "uid": 0, "gid": 0, "mtime_ns": 0, "size": 1, "sha256": "00" * 32}
LINK = {"path": "a", "kind": "symlink", "mode": "0777", "uid": 0, "gid": 0, "mtime_ns": 0, "target": "/etc"}


def test_the_hand_made_manifest_is_sound() -> None:
    assert [entry.path for entry in decoded(with_lines(ROOT, GOOD)).entries] == ["", "a"]


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([ROOT, GOOD | {"path": "../a"}], "could leave the state folder"),
        ([ROOT, GOOD | {"path": "/etc/passwd"}], "could leave the state folder"),
        ([ROOT, GOOD | {"path": "a/../../b"}], "could leave the state folder"),
        ([ROOT, GOOD | {"path": "./a"}], "could leave the state folder"),
        ([ROOT, GOOD | {"path": "a//b"}], "could leave the state folder"),
        ([ROOT, GOOD | {"path": "a\0b"}], "zero byte"),
        ([ROOT, GOOD, GOOD], "twice"),
        ([ROOT, GOOD | {"path": "no/such"}], "not the folder it is in"),
        ([ROOT, LINK, GOOD | {"path": "a/passwd"}], "not the folder it is in"),
        ([ROOT, GOOD, GOOD | {"path": "a/b"}], "not the folder it is in"),
        ([ROOT, GOOD | {"sha256": ""}], "no checksum"),
        ([ROOT, GOOD | {"sha256": "00"}], "no checksum"),
        ([ROOT, GOOD | {"sha256": "no hex"}], "malformed entry"),
        ([ROOT, GOOD | {"kind": "device"}], "malformed entry"),
        ([ROOT, GOOD | {"mode": "rwx"}], "malformed entry"),
        ([ROOT, GOOD | {"fingerprint": [1]}], "malformed entry"),
        ([ROOT, GOOD | {"uid": 2**32 - 1}], "malformed entry"),
        ([ROOT, GOOD | {"gid": -1}], "malformed entry"),
        ([ROOT, GOOD | {"uid": "0"}], "malformed entry"),
        ([ROOT, GOOD | {"mode": "10000"}], "malformed entry"),
        ([ROOT, GOOD | {"mtime_ns": 2**93}], "malformed entry"),
        ([ROOT, GOOD | {"mtime_ns": 1.5}], "malformed entry"),
        ([ROOT, GOOD | {"size": -1}], "malformed entry"),
        ([ROOT, GOOD | {"size": True}], "malformed entry"),
        ([ROOT, GOOD | {"xattrs": []}], "malformed entry"),
        ([ROOT, GOOD | {"xattrs": {"user.a": 1}}], "malformed entry"),
        ([ROOT, GOOD | {"xattrs": {"user.a": "!"}}], "malformed entry"),
        ([ROOT, GOOD | {"xattrs": {"": "eA=="}}], "malformed entry"),
        ([ROOT, GOOD | {"xattrs": {"user." + "n" * 251: "eA=="}}], "malformed entry"),
        ([ROOT, GOOD | {"flags": ["i"]}], "malformed entry"),
        ([ROOT, GOOD | {"path": "b", "hard_link_to": "a"}], "hard link 'b' to 'a'"),
        ([ROOT, GOOD, GOOD | {"path": "b", "hard_link_to": "a", "sha256": "11" * 32}], "to another file"),
        ([ROOT, {"kind": "file"}], "malformed entry"),
        ([ROOT, "text"], "no JSON object"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_entries_that_would_leave_the_folder_or_disagree_are_refused(entries: list[object], sentence: str) -> None:
    with pytest.raises(ManifestInvalid, match=sentence):
        decoded(with_lines(*entries))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "does not begin with a header"),
        (b"{}\n", "does not begin with a header"),
        (SAMPLE + b"more", "after the end"),
        (SAMPLE.replace(b'"format":2', b'"format":1'), "altered or torn"),
        (SAMPLE.replace(b'"kind":"file"', b'"kind":"fil2"'), "malformed entry"),
    ],
    ids=["nothing", "another document", "more after the end", "another header", "another entry"],
)
def test_what_is_no_manifest_is_refused(text: bytes, sentence: str) -> None:
    with pytest.raises(ManifestInvalid, match=sentence):
        decoded(text)


@pytest.mark.parametrize("form", ["3", "0", "true", '"2"', "null"])
def test_a_manifest_of_another_format_is_refused_by_its_number(form: str) -> None:
    shown = json.loads(form)
    with pytest.raises(ManifestInvalid, match=f"has format {shown!r}; this agent reads formats 1 to 2"):
        decode_header(b'{"format":%s,"entries":[' % form.encode())
    with pytest.raises(ManifestInvalid, match=f"has format {shown!r}; this agent reads formats 1 to 2"):
        decoded(encoded(manifest()).replace(b'"format":2', b'"format":' + form.encode(), 1))


VALUES = {
    "unrestorable": ["latest/a//b"],
    "fingerprint": [1, 2, 3, 4],
    "wal_fingerprint": [5, 6, 7, 8],
    "sparse_bytes": 1,
    "unverified": True,
}


@pytest.mark.parametrize(("old", "now", "place"), OLD_NAMES)
def test_what_format_1_calls_otherwise_is_read_as_what_it_is_called_now(old: str, now: str, place: str) -> None:
    def written(name: str, form: int) -> Manifest:
        field = {name: VALUES[now]}
        if place == "entry":
            return decoded(with_lines(ROOT, GOOD | field, form=form))
        left_out = json.dumps({"excluded": [], "skipped": []} | field, separators=(",", ":")).encode()[1:-1]
        return decoded(with_lines(ROOT, GOOD, left_out=left_out, form=form))

    assert written(old, 1) == written(now, 2) != decoded(with_lines(ROOT, GOOD))
    assert written(old, 2) == decoded(with_lines(ROOT, GOOD)), "an old name means nothing in the new format"


def test_what_stays_as_it_was_in_format_1_is_read_by_its_name() -> None:
    assert decoded(with_lines(ROOT, GOOD, form=1)) == decoded(with_lines(ROOT, GOOD))


def test_a_manifest_names_no_field_as_format_1_did() -> None:
    old_names = {old for old, _now, _place in OLD_NAMES}
    fingerprint = Fingerprint(1, 2, 3, 4)
    full = replace(
        file("a"), fingerprint=fingerprint, wal_fingerprint=fingerprint, sparse_bytes=1, database=True, unverified=True
    )
    document = json.loads(encoded(replace(manifest([folder(), full]), unrestorable=("latest/x",))))
    names = {*document, *document["entries"][1]}
    assert names.isdisjoint(old_names)
    assert names >= {now for _old, now, _place in OLD_NAMES}


def test_the_header_stays_short_however_much_was_left_out() -> None:
    left_out = tuple(Omission(f"cache/{number}", "a cache") for number in range(100_000))
    text = encoded(replace(manifest([folder()]), excluded=left_out))
    assert len(text.split(b"\n", 1)[0]) < 1000
    assert decoded(text).excluded == left_out


@pytest.mark.parametrize("missing", ["snapshot", "epoch", "capture", "damaged", "files", "agent_version"])
def test_a_header_that_lacks_a_field_is_refused(missing: str) -> None:
    header = json.loads(encoded(manifest()))
    del header["entries"], header["sha256"], header[missing]
    line = json.dumps(header, separators=(",", ":")).encode()[:-1] + b',"entries":['
    with pytest.raises(ManifestInvalid, match="header is malformed"):
        decode_header(line)


@given(PATHS)
def test_a_key_is_short_enough_for_s3_and_utf8(path: str) -> None:
    key = relative_key(path)
    assert len(key.encode()) <= MAX_RELATIVE_KEY_BYTES
    assert key == STATE_PREFIX + path or key.startswith(".encoded/")


@given(st.lists(PATHS, unique=True, min_size=2, max_size=6))
def test_two_paths_never_share_a_key(paths: list[str]) -> None:
    assert len({relative_key(path) for path in paths}) == len(paths)


@pytest.mark.parametrize(
    ("path", "plain"),
    [
        ("workspace/notes.md", True),
        ("with space & quote's \"", True),
        ("-rf", True),
        ("🦞/ümlaut", True),
        ("percent%2F+plus?#", True),
        ("new\nline", False),
        ("tab\t", False),
        ("\x7f", False),
        ("c1\x85", False),
        ("back\\slash", False),
        ("\udcff", False),
        ("\ufffe", False),
        ("x" * (MAX_RELATIVE_KEY_BYTES - len(STATE_PREFIX)), True),
        ("x" * (MAX_RELATIVE_KEY_BYTES - len(STATE_PREFIX) + 1), False),
        ("ü" * 500, False),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_names_that_would_be_mangled_on_their_way_are_encoded(path: str, plain: bool) -> None:
    assert (relative_key(path) == STATE_PREFIX + path) is plain


def test_a_manifest_of_before_attributes_says_nothing_of_them_and_one_of_now_says_that_there_are_none() -> None:
    text = encoded(manifest([folder(), replace(file("a"), attributes=NO_ATTRIBUTES), file("b")]))
    assert [entry.attributes for entry in decoded(text).entries] == [None, NO_ATTRIBUTES, None]
    assert decoded(with_lines(ROOT, GOOD)).entries[1].attributes is NO_ATTRIBUTES
    assert decoded(with_lines(ROOT, GOOD, told=b"")).entries[1].attributes is None
    assert decoded(with_lines(ROOT, GOOD, form=1, told=b"")).entries[1].attributes is None


def test_attributes_that_nobody_looked_for_are_the_same_state_as_none() -> None:
    assert file("a").same_state(replace(file("a"), attributes=NO_ATTRIBUTES))


def test_a_hard_link_has_the_object_of_its_first_name_and_takes_no_room() -> None:
    link = replace(file("b", b"12345"), hard_link_to="a")
    linked = manifest([folder(), file("a", b"12345"), link])
    assert (link.relative_key, [entry.path for entry in linked.files()]) == (".openclaw/a", ["a"])
    assert linked.totals() == Totals(2, 5)


def test_the_totals_come_from_the_entries() -> None:
    source = manifest([folder(), file("a", b"12345"), file("b", b""), symlink("c", "a")])
    assert source.totals() == Totals(2, 5)
    # What a header says of entries that are at hand is old: a backup may have replaced some.
    assert replace(source, header_totals=Totals(9, 9)).totals() == Totals(2, 5)
    assert replace(source, header_totals=Totals(2, 5), entries=()).totals() == Totals(2, 5)


@pytest.mark.parametrize(
    "other",
    [
        {"mode": 0o4600},
        {"uid": 0},
        {"gid": 0},
        {"mtime_ns": 5},
        {"size": 9},
        {"sha256": b"x" * 32},
        {"kind": EntryKind.DIR},
        {"path": "b"},
        {"target": "x"},
        {"attributes": Attributes((("user.a", b"x"),))},
        {"attributes": Attributes(flags="i")},
        {"hard_link_to": "b"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_same_state_means_every_respect_but_the_inode(other: dict[str, object]) -> None:
    entry = file("a")
    assert entry.same_state(replace(entry, fingerprint=Fingerprint(1, 2, 3, 4)))
    assert not entry.same_state(replace(entry, **other))  # type: ignore[arg-type]


def test_a_manifest_that_names_its_own_folder_is_written_as_one_that_does_not() -> None:
    text = encoded(differential())
    named = decode_manifest(io.BytesIO(text), naming_own_folder=True)
    assert {entry.path: entry.stored_in for entry in named.files()} == {"a": OLDER, "c": "2026-03-04-08-20"}
    assert named.own_totals() == Totals(1, 3)
    assert encoded(named) == text
