"""A manifest's text: one valid JSON document, written and read line by line, with a checksum of its own.

Header, the first line:
    format            number  2; 1 is read too (`format_1`), a higher one is refused
    snapshot          text    the snapshot's name, YYYY-MM-DD-HH-MM in UTC
    created           text    the instant of the capture, ISO 8601 in UTC
    epoch             number  the lease's epoch under which it was written
    instance_id       text    the instance that wrote it
    stack             text    its stack
    agent_version     text    the version of the agent that wrote it
    quarantined       text    why it is no restore point of the main line, "" for one that is
    attributes        true    its entries tell hard links, extended attributes and flags; without it they say nothing
    capture           object  method (frozen, stopped, live or mixed) and freeze_ms, how long the gateway was frozen
    files, bytes      number  totals over the entries
    bases             list    of a differential snapshot: those whose folders hold files of it, oldest first, each with
                              snapshot, created, epoch and instance_id
    own               object  of a differential snapshot: files and bytes of the objects in its own folder
    skipped_count     number  how many paths only the disk had; the last line names the first of them
    damaged           list    databases that failed SQLite's check: path, problem, stored_as, last_good, sha256;
                              the first of them, for the header stays short
Entry, one line for each; a field that says nothing is not written:
    path              text    relative to the state folder, "" for the folder itself
    kind              text    file, dir or symlink
    mode              text    four octal digits
    uid, gid          number  as found
    mtime_ns          number  as found, nanoseconds since 1970
    size              number  of a file: bytes of its content
    sha256            text    of a file: its content's digest, hexadecimal
    sparse_bytes      number  of a file: how many of its bytes are holes
    key               text    of a file: its object's key, unless that is .openclaw/<path>
    stored_in         text    of a file: the base whose folder holds the object; without it the snapshot's own does
    target            text    of a symlink: what it points to
    database          true    the file is a SQLite database, folded into one file
    unverified        true    of a database: nobody could tell whether it is good
    damaged           true    of a database: it failed SQLite's check and is as it was found
    stale             true    content of an earlier backup: it could not be had at this one
    captured_live     true    read while the gateway ran
    fingerprint       list    size, mtime_ns, ctime_ns and inode of the live file at capture
    wal_fingerprint   list    the same of the database's write-ahead log
    hard_link_to      text    the path of the name under which the same file is stored
    xattrs            object  extended attributes by name, their values in base64; null where nobody looked for them
    flags             text    letters of chattr: i immutable, a append-only
Last line:
    excluded, skipped list    what is not in the snapshot: path, reason
    unrestorable      list    keys of unmanaged objects under latest/ of which no file can be made
    more_damaged      list    the rest of `damaged`; not written where the header has all
    gaps              list    what could not be backed up or restored as it was: path, reason, accepted, missing
    sha256            text    the digest of header, entries and last line up to here
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.snapshot.bases import require_bases
from openclaw_agent.snapshot.bounded_lines import bounded_lines
from openclaw_agent.snapshot.consistency import require_consistency, require_paths
from openclaw_agent.snapshot.entry_codec import entry_fields, entry_of, parse_object
from openclaw_agent.snapshot.format_1 import with_names_of_now
from openclaw_agent.snapshot.head_codec import (
    MANIFEST_FORMAT,
    attributes_told,
    format_of,
    header_fields,
    left_out_fields,
    manifest_of,
)
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest

__all__ = ["MANIFEST_FORMAT", "decode_header", "decode_manifest", "encode_manifest", "require_readable"]


def encode_manifest(manifest: Manifest) -> Iterator[bytes]:
    """Yield the manifest as JSON text: a header line, a line for each entry, a line with what was left out and a sum.

    The whole is one valid JSON document; the lines let a reader with little memory take it entry by entry, and the
    header stays short however much was left out.

    Raises:
        ManifestInvalid: when no restore would accept it.
    """
    require_paths(manifest.entries)
    require_consistency(manifest.entries)
    require_bases(manifest)
    header_text = json.dumps(header_fields(manifest), separators=(",", ":"))
    digest = hashlib.sha256(header_text.encode())
    yield f'{header_text[:-1]},"entries":[\n'.encode()
    separator = b""
    for entry in manifest.entries:
        line = json.dumps(entry_fields(entry, manifest.snapshot), separators=(",", ":")).encode()
        digest.update(line)
        yield separator + line
        separator = b",\n"
    left_out_text = json.dumps(left_out_fields(manifest), separators=(",", ":")).encode()
    digest.update(left_out_text)
    yield b"\n]," + left_out_text[1:-1] + f',"sha256":"{digest.hexdigest()}"}}\n'.encode()


def decode_header(first_line: bytes) -> Manifest:
    """Read a manifest without its entries and what was left out, from its first line (for listings).

    Raises:
        ManifestInvalid: when the line is no manifest header of a known format.
    """
    header = parse_object(_header_text(first_line.rstrip(b"\n")))
    format_of(header)
    return manifest_of(header, {})


def decode_manifest(
    lines: Iterable[bytes], *, with_fingerprints: bool = True, naming_own_folder: bool = False
) -> Manifest:
    """Read a manifest from the lines of its text, as `encode_manifest` wrote them.

    With `naming_own_folder` what lies in the snapshot's own folder names that too, so that a later snapshot which leans
    on it has the very same entries. Fingerprints only mean something on the machine that made the snapshot; leaving
    them out saves a third.

    Raises:
        ManifestInvalid: when it is torn, altered, of another format, too long, or holds what no disk does.
    """
    entries: list[Entry] = []
    without_entries = _read(
        lines, entries.append, with_fingerprints=with_fingerprints, naming_own_folder=naming_own_folder
    )
    manifest = replace(without_entries, entries=tuple(entries))
    require_consistency(manifest.entries)
    require_bases(manifest)
    return manifest


def require_readable(lines: Iterable[bytes], manifest: Manifest) -> None:
    """Read what was written as a restore would, entry by entry; nothing is kept of it.

    Raises:
        ManifestInvalid: when it is not the manifest.
    """
    expected = iter(manifest.entries)

    def compare(entry: Entry) -> None:
        if entry != next(expected, None):
            raise ManifestInvalid(f"The manifest's entry {entry.path!r} is not read back as it was written.")

    _read(lines, compare, with_fingerprints=True)
    if next(expected, None) is not None:
        raise ManifestInvalid("The manifest is not read back with all its entries.")


def _header_text(first_line: bytes) -> bytes:
    if not first_line.endswith(b',"entries":['):
        raise ManifestInvalid("The manifest does not begin with a header line.")
    return first_line.removesuffix(b',"entries":[') + b"}"


def _read(
    lines: Iterable[bytes], take: Callable[[Entry], None], *, with_fingerprints: bool, naming_own_folder: bool = False
) -> Manifest:
    """Hand out the entries one by one; return the manifest without them."""
    reader = bounded_lines(lines)
    header_text = _header_text(next(reader, b"").rstrip(b"\n"))
    header = parse_object(header_text)
    written_in_format_1 = format_of(header) == 1
    told = attributes_told(header)
    digest = hashlib.sha256(header_text)
    for raw in reader:
        line = raw.rstrip(b"\n")
        if line.startswith(b"],"):
            left_out_text, _, promised = line[2:].rpartition(b',"sha256":"')
            digest.update(b"{" + left_out_text + b"}")
            if promised != f'{digest.hexdigest()}"}}'.encode():
                raise ManifestInvalid("The manifest's own checksum does not match: it was altered or torn.")
            if next(reader, None) is not None:
                raise ManifestInvalid("There is text after the end of the manifest.")
            left_out = parse_object(b"{" + left_out_text + b"}")
            return manifest_of(header, with_names_of_now(left_out) if written_in_format_1 else left_out)
        line = line.removesuffix(b",")
        if line:
            digest.update(line)
            fields = parse_object(line)
            if written_in_format_1:
                fields = with_names_of_now(fields)
            if not with_fingerprints:
                fields.pop("fingerprint", None)
                fields.pop("wal_fingerprint", None)
            if naming_own_folder and fields.get("kind") == EntryKind.FILE:
                fields.setdefault("stored_in", header.get("snapshot"))
            take(entry_of(fields, attributes_told=told))
    raise ManifestInvalid("The manifest ends before its checksum: it is torn.")
