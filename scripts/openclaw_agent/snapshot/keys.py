"""Where things lie in the bucket, beside what `snapshot_names` says of snapshots. Pure."""

from openclaw_agent.lease.record import LEASE_KEY
from openclaw_agent.snapshot.manifest import ENCODED_PREFIX, Entry
from openclaw_agent.snapshot.names import LATEST_PREFIX, MANIFEST_FILE, snapshot_prefix

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
        LEASE_KEY,
        ENCODED_PREFIX.rstrip("/"),
        DAMAGED_PREFIX.rstrip("/"),
    }
)


def latest_key(entry: Entry) -> str:
    """The key of a file's newest object."""
    return LATEST_PREFIX + entry.relative_key


def snapshot_key(name: str, entry: Entry) -> str:
    """The key of a file's object in a snapshot."""
    return snapshot_prefix(name) + entry.relative_key
