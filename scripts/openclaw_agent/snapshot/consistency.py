"""What the entries of a manifest must be to each other, so that a tree can be built of them in their order. Pure."""

import hashlib
from collections.abc import Iterable, Sequence

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.snapshot.disk_names import why_no_path
from openclaw_agent.snapshot.manifest import Entry, EntryKind


def require_paths(entries: Iterable[Entry]) -> None:
    """Refuse to write paths that no restore would accept; what is read has been looked at already.

    Raises:
        ManifestInvalid: naming the path.
    """
    for entry in entries:
        if why := why_no_path(entry.path):
            raise ManifestInvalid(f"The manifest names the path {entry.path[:99]!r}: {why}.")


def require_consistency(entries: Sequence[Entry]) -> None:
    """Refuse entries of which no tree can be built: each once, after its folder, a link to a file that is there.

    Raises:
        ManifestInvalid: naming the path.
    """
    folders: set[str] = set()
    paths: set[str] = set()
    first_names: set[str] = set()
    for entry in entries:
        path = entry.path
        if path in paths:
            raise ManifestInvalid(f"The manifest names the path {path!r} twice.")
        paths.add(path)
        if path and path.rpartition("/")[0] not in folders:
            raise ManifestInvalid(f"The manifest names the path {path!r}, but not the folder it is in before it.")
        if entry.kind is EntryKind.DIR:
            folders.add(path)
        elif not path:
            raise ManifestInvalid("The manifest says that the state folder is no folder.")
        if entry.kind is EntryKind.FILE and len(entry.sha256) != hashlib.sha256().digest_size:
            raise ManifestInvalid(f"The manifest gives no checksum for the file {path!r}.")
        if entry.hard_link_to:
            first_names.add(entry.hard_link_to)
    _require_first_names(entries, first_names)


def _require_first_names(entries: Iterable[Entry], first_names: set[str]) -> None:
    """Refuse a hard link to what is not there, or is another file."""
    if not first_names:
        return
    first = {entry.path: entry for entry in entries if entry.path in first_names}
    for entry in entries:
        if not entry.hard_link_to:
            continue
        stored = first.get(entry.hard_link_to)
        if stored is None or entry.kind is EntryKind.DIR:
            raise ManifestInvalid(f"The manifest has a hard link {entry.path!r} to {entry.hard_link_to!r}, not a file.")
        if stored.hard_link_to or (stored.kind, stored.size, stored.sha256) != (entry.kind, entry.size, entry.sha256):
            raise ManifestInvalid(f"The manifest has a hard link {entry.path!r} to another file.")
