"""What the state folder holds that S3 does not: the question before it is replaced."""

import os

from openclaw_agent.session import Session
from openclaw_agent.snapshot.manifest import Entry, EntryKind, Fingerprint
from openclaw_agent.sqlite.files import WAL_SUFFIX
from openclaw_agent.state_dir.attributes import AttributeReader
from openclaw_agent.state_dir.sidecars import find_sidecars
from openclaw_agent.state_dir.walk import WalkEntry, open_state_folder, walk


def local_changes(session: Session) -> list[str]:
    """Paths that are new or differ from the last state known to be in S3 (by what lstat says, unread).

    What cannot be read may differ. What is gone is no such change: S3 has it. Neither is the state folder itself, which
    the installer makes.
    """
    state_dir = session.settings.state_dir
    if not state_dir.is_dir():
        return []
    known = _known_in_s3(session)
    tree = walk(state_dir, session.exclusions, known)
    with open_state_folder(state_dir) as top, AttributeReader(top) as attributes:
        sidecars = find_sidecars(top, tree)
        return [row.path for row in tree.unreadable] + [
            row.path
            for row in tree.found
            if row.path
            and row.path not in sidecars
            and not (
                _is_known(row, known.get(row.path), sidecars.get(row.path + WAL_SUFFIX))
                and _has_no_other_attributes(row, known[row.path], attributes)
            )
        ]


def _known_in_s3(session: Session) -> dict[str, Entry]:
    base, latest = session.records.base(), session.records.latest()
    if base is None or (latest is not None and latest.bucket != session.settings.bucket):
        return {}
    return base.by_path()


def _is_known(row: WalkEntry, entry: Entry | None, log: WalkEntry | None) -> bool:
    if entry is None or entry.kind is not row.kind or entry.target != row.target:
        return False
    # Only root restores owners; an ordinary user's state has its own from then on.
    if os.geteuid() == 0 and (entry.uid, entry.gid) != (row.uid, row.gid):
        return False
    if row.kind is EntryKind.SYMLINK:
        return True
    if entry.mode != row.mode:
        return False
    return row.kind is EntryKind.DIR or _unchanged_since(entry, row.fingerprint, log.fingerprint if log else None)


def _has_no_other_attributes(row: WalkEntry, entry: Entry, attributes: AttributeReader) -> bool:
    if entry.attributes is None or (entry.fingerprint is not None and entry.fingerprint == row.fingerprint):
        return True
    now = attributes.of(row.path, row.kind)
    # What is gone S3 has, and not every disk and user could be given it.
    return set(now.xattrs) <= set(entry.attributes.xattrs) and set(now.flags) <= set(entry.attributes.flags)


def _unchanged_since(entry: Entry, now: Fingerprint, log: Fingerprint | None) -> bool:
    # Size and mtime are enough here: the question is only whether the user must be asked. A folded database has
    # another size than the live file with its log; a database that is only read has an empty log.
    # A file system may keep no such time as the backup's: what it made of it is in the fingerprint.
    if now.mtime_ns not in (entry.mtime_ns, entry.fingerprint.mtime_ns if entry.fingerprint else entry.mtime_ns):
        return False
    if entry.database:
        return log is None or log.size == 0 or log == entry.wal_fingerprint
    return entry.size == now.size
