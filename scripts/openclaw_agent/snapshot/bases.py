"""The bases of a differential snapshot in a manifest's text, written and strictly read. Pure.

A base is named with the run that made it, since a name alone is a minute: whoever follows it can tell that snapshot
from another one of the name.
"""

from typing import Any

from openclaw_agent.errors import ManifestInvalid
from openclaw_agent.snapshot.manifest import EntryKind, Manifest, SnapshotId, Totals
from openclaw_agent.snapshot.names import parse_snapshot_name

# With its own, a snapshot lies in four folders at most, so that plain tools can still bring it back.
MOST_BASES = 3


def base_fields(manifest: Manifest) -> dict[str, object]:
    """The header's fields of a differential snapshot; none of a whole one."""
    if not manifest.bases:
        return {}
    own = manifest.own_totals()
    return {
        "bases": [
            {"snapshot": row.snapshot, "created": row.created, "epoch": row.epoch, "instance_id": row.instance_id}
            for row in manifest.bases
        ],
        "own": {"files": own.files, "bytes": own.bytes},
    }


def bases_of(header: dict[str, Any]) -> tuple[SnapshotId, ...]:
    """The bases that a header names.

    Raises:
        ManifestInvalid: when one is no snapshot older than this one, or there are too many.
    """
    rows = header.get("bases", [])
    if type(rows) is not list or len(rows) > MOST_BASES:
        raise ManifestInvalid(f"The manifest's bases are no list of at most {MOST_BASES}.")
    bases = tuple(_base_of(row) for row in rows)
    names = [base.snapshot for base in bases]
    if names != sorted(set(names)):
        raise ManifestInvalid("The manifest's bases are not in their order, or one of them is named twice.")
    if bool(names) != ("own" in header):
        raise ManifestInvalid("The manifest names bases and does not say what its own folder holds, or the reverse.")
    if names and not names[-1] < str(header.get("snapshot")):
        raise ManifestInvalid(f"The manifest names the base {names[-1]!r}, which is not older than the snapshot.")
    return bases


def own_totals_of(header: dict[str, Any]) -> Totals | None:
    """What a header says of the snapshot's own folder; None for a whole one.

    Raises:
        ManifestInvalid: when these are no totals.
    """
    own = header.get("own")
    if own is None:
        return None
    files, size = (own.get("files"), own.get("bytes")) if type(own) is dict else (None, None)
    if type(files) is not int or type(size) is not int or files < 0 or size < 0:
        raise ManifestInvalid(f"The manifest says of its own folder {own!r}.")
    return Totals(files, size)


def names_in_any_format(header: dict[str, Any]) -> tuple[str, ...]:
    """The bases' names in the header of a manifest of whatever format: of a later one no more can be read."""
    rows = header.get("bases")
    named = [row.get("snapshot") for row in rows if type(row) is dict] if type(rows) is list else []
    return tuple(name for name in named if type(name) is str and parse_snapshot_name(name))


def require_bases(manifest: Manifest) -> None:
    """Refuse an entry that lies in the folder of a snapshot that the header does not name.

    Raises:
        ManifestInvalid: naming the entry.
    """
    names = {"", manifest.snapshot, *(base.snapshot for base in manifest.bases)}
    folders = {entry.hard_link_to: "" for entry in manifest.entries if entry.hard_link_to}
    for entry in manifest.entries:
        if entry.stored_in not in names:
            raise ManifestInvalid(
                f"The manifest has {entry.path!r} in {entry.stored_in!r}, which is none of its bases."
            )
        if entry.stored_in and entry.kind is not EntryKind.FILE:
            raise ManifestInvalid(f"The manifest has {entry.path!r}, which is no file, in the folder of a base.")
        if entry.path in folders:
            folders[entry.path] = entry.stored_in or manifest.snapshot
    for entry in manifest.entries if folders else ():
        if entry.hard_link_to and (entry.stored_in or manifest.snapshot) != folders[entry.hard_link_to]:
            raise ManifestInvalid(f"The manifest has a hard link {entry.path!r} in another folder than its file.")


def _base_of(row: object) -> SnapshotId:
    if type(row) is not dict:
        raise ManifestInvalid("The manifest names a base that is no object.")
    name, created, epoch, instance_id = (row.get(field) for field in ("snapshot", "created", "epoch", "instance_id"))
    if type(name) is not str or parse_snapshot_name(name) is None:
        raise ManifestInvalid(f"The manifest names the base {name!r}, which is no snapshot's name.")
    if type(created) is not str or type(epoch) is not int or type(instance_id) is not str:
        raise ManifestInvalid(f"The manifest does not say which run made its base {name!r}.")
    return SnapshotId(name, created, epoch, instance_id)
