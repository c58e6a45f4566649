"""Activating what was built: swapped in for the state folder or parts of it, and given its flags there."""

import logging
from collections.abc import Sequence
from pathlib import Path

from openclaw_agent.restore.metadata import NotRestored, flags_by_path, give_all_flags
from openclaw_agent.restore.staying import say_what_is_kept
from openclaw_agent.session import Session
from openclaw_agent.snapshot.manifest import Entry
from openclaw_agent.state_dir.late_flags import note_late_flags
from openclaw_agent.state_dir.swap import Replacement, swap_in

_log = logging.getLogger(__name__)


def activate(session: Session, building: Path, entries: Sequence[Entry], replacement: Replacement) -> Path | None:
    """Swap what was built of the entries in; return where what it replaced is kept, or None when there was nothing.

    Raises:
        LocalStorageError: as `swap_in`; the old state is in place then.
    """
    records, state_dir = session.agent_dir.aside, session.settings.state_dir
    note_late_flags(records, building, state_dir, flags_by_path(entries))
    try:
        kept = swap_in(records, building, state_dir, replacement)
        say_what_is_kept(replacement, kept)
        report_not_restored(session, give_all_flags(state_dir, entries))
    except Exception:
        records.forget_late_flags()
        raise
    records.forget_late_flags()
    return kept


def report_not_restored(session: Session, missing: NotRestored) -> None:
    """Warn of what of the metadata this disk or this user could not be given."""
    for sentence in missing.sentences():
        _log.warning("%s", sentence)
    if missing.count:
        session.record.add(metadata_not_restored=missing.count)
