"""What a manifest may not give: programs that run with the rights of somebody else than the gateway."""

import os
from dataclasses import replace

from openclaw_agent.snapshot.manifest import Attributes, Entry
from openclaw_agent.state_dir.attributes import CAPABILITY
from openclaw_agent.state_dir.openclaw import GATEWAY_UID

_SETUID, _SETGID = 0o4000, 0o2000


def without_privileges(entry: Entry) -> Entry:
    """The entry as it may lie on this disk: setuid and setgid for the gateway's own ids alone, and no capabilities.

    Whoever can write to the bucket writes manifests. An ordinary user restores owners as their own, so that the bits
    would be theirs.
    """
    by_its_owner = os.geteuid() in (0, GATEWAY_UID)
    refused = (0 if by_its_owner and entry.uid == GATEWAY_UID else _SETUID) | (
        0 if by_its_owner and entry.gid == GATEWAY_UID else _SETGID
    )
    if entry.mode & refused:
        entry = replace(entry, mode=entry.mode & ~refused)
    rows = entry.attributes.xattrs if entry.attributes else ()
    if entry.attributes and any(name == CAPABILITY for name, _value in rows):
        kept = tuple(row for row in rows if row[0] != CAPABILITY)
        entry = replace(entry, attributes=Attributes(kept, entry.attributes.flags))
    return entry


def what_was_refused(asked: Entry, given: Entry) -> str:
    """What `without_privileges` took away, in a word or two; "" for nothing."""
    if asked is given:
        return ""
    return "setuid or setgid" if asked.mode != given.mode else "capabilities"
