"""Format 1 of the manifest, as version 0.1.0 wrote it: the same document with five other names. Pure.

`OLD_NAMES` is the whole difference; a value has the same type and meaning under either name.
"""

from typing import Any

# Name in format 1, name now, and where it stands in the document.
OLD_NAMES = (
    ("left_behind", "unrestorable", "last line"),
    ("seen", "fingerprint", "entry"),
    ("seen_wal", "wal_fingerprint", "entry"),
    ("holes", "sparse_bytes", "entry"),
    ("unchecked", "unverified", "entry"),
)
_NAME_NOW = {old: now for old, now, _place in OLD_NAMES}


def with_names_of_now(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a header, an entry or a last line of format 1 under the names that they have now."""
    return {_NAME_NOW.get(name, name): value for name, value in fields.items()}
