"""The proof that what is captured can be restored: each new entry is read back as a restore would read it."""

from collections.abc import Mapping

from openclaw_agent.errors import AgentError
from openclaw_agent.snapshot.entry_codec import why_unreadable
from openclaw_agent.snapshot.manifest import Entry, Omission


def take_out_unreadable(entries: list[Entry], base: Mapping[str, Entry]) -> list[Omission]:
    """Take out of `entries` what a restore would refuse, with all that hangs on it; return it with the reasons.

    What is as in `base` has been read out of a manifest already.

    Raises:
        AgentError: when it is the state folder itself.
    """
    found = {
        entry.path: reason
        for entry in entries
        if (before := base.get(entry.path)) is not entry and before != entry and (reason := why_unreadable(entry))
    }
    if not found:
        return []
    if "" in found:
        raise AgentError(f"The state folder cannot be backed up: {found['']}.")
    inside = tuple(f"{path}/" for path in found)
    entries[:] = [
        entry
        for entry in entries
        if entry.path not in found and entry.hard_link_to not in found and not entry.path.startswith(inside)
    ]
    return [Omission(path, reason) for path, reason in found.items()]
