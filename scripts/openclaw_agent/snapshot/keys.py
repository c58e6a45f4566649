"""Every key and prefix of the bucket. Pure.

latest/.openclaw/<path>, latest/manifest.json             the newest state
snapshots/<name>/.openclaw/<path>, …/manifest.json        one snapshot; without its manifest it is not complete
owner.json                                                the lease
had-state.json                                            says that the bucket has held a state
"""

import hashlib
from typing import TYPE_CHECKING

from openclaw_agent.snapshot.names import parse_snapshot_name

if TYPE_CHECKING:
    from openclaw_agent.snapshot.manifest import Entry

LEASE_KEY = "owner.json"
# Written once by the instance's role, which may not delete it: a bucket that has it and no state was wiped.
MARKER_KEY = "had-state.json"
# Ours beside the folders.
ROOT_KEYS = frozenset({LEASE_KEY, MARKER_KEY})
SNAPSHOTS_PREFIX = "snapshots/"
LATEST_PREFIX = "latest/"
MANIFEST_FILE = "manifest.json"
STATE_PREFIX = ".openclaw/"
ENCODED_PREFIX = ".encoded/"
# S3 allows 1,024 bytes for a key; the longest prefix in front of a relative key is `snapshots/YYYY-MM-DD-HH-MM-SS/`.
MAX_RELATIVE_KEY_BYTES = 1024 - len("snapshots/2026-01-01-00-00-00/")
LATEST_MANIFEST_KEY = LATEST_PREFIX + MANIFEST_FILE
# Reserves the name of a snapshot under way, so that two instances never write into one folder.
RESERVED_FILE = "reserved"
# Marks, for a listing, a snapshot that is no restore point of the main line; its manifest says why.
QUARANTINED_FILE = "quarantined"
DAMAGED_PREFIX = ".damaged/"
# What may lie beside `.openclaw/` in one of our folders; below `.openclaw/` these names are the state's own.
OWN_NAMES = frozenset(
    {
        MANIFEST_FILE,
        RESERVED_FILE,
        QUARANTINED_FILE,
        *ROOT_KEYS,
        ENCODED_PREFIX.rstrip("/"),
        DAMAGED_PREFIX.rstrip("/"),
    }
)


def latest_folder_marker(path: str) -> str:
    """The key under which the S3 console and some tools make a folder of the state; backups write none."""
    return f"{LATEST_PREFIX}{STATE_PREFIX}{path}/" if path else LATEST_PREFIX + STATE_PREFIX


def latest_key(entry: "Entry") -> str:
    """The key of a file's newest object."""
    return LATEST_PREFIX + entry.relative_key


def snapshot_key(name: str, entry: "Entry") -> str:
    """The key of a file's object in a snapshot: in its own folder, or in that of one of its bases."""
    return snapshot_prefix(entry.stored_in or name) + entry.relative_key


def snapshot_prefix(name: str) -> str:
    """Return the key prefix of a snapshot, `snapshots/<name>/`.

    Raises:
        ValueError: the name is no snapshot's name (a wrong prefix could delete what is not a snapshot).
    """
    if parse_snapshot_name(name) is None:
        raise ValueError(f"{name!r} is no snapshot name; allowed is YYYY-MM-DD-HH-MM in UTC, such as 2026-02-27-14-00")
    return f"{SNAPSHOTS_PREFIX}{name}/"


def snapshot_manifest_key(name: str) -> str:
    """Return the key of a snapshot's manifest, the object that makes it complete.

    Raises:
        ValueError: the name is no snapshot's name.
    """
    return f"{snapshot_prefix(name)}{MANIFEST_FILE}"


def snapshot_name_in_key(key: str) -> str | None:
    """Return the first folder's name of a key below `snapshots/`, which may be foreign, or None for any other key."""
    if not key.startswith(SNAPSHOTS_PREFIX):
        return None
    name, slash, _ = key.removeprefix(SNAPSHOTS_PREFIX).partition("/")
    return name if slash and name else None


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
