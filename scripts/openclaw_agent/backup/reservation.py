"""Reserving a snapshot's name, so that no two runs ever write into one folder (docs/adr/0002)."""

from datetime import datetime

from openclaw_agent.agent_dir.records import BootRecord
from openclaw_agent.errors import AgentError, PreconditionFailed
from openclaw_agent.snapshot.keys import RESERVED_FILE, snapshot_prefix
from openclaw_agent.snapshot.names import choose_snapshot_name
from openclaw_agent.store.bucket import Bucket

MINUTE_NAME_LENGTH = len("2026-02-27-14-00")


def reserve_name(store: Bucket, now: datetime, boot: BootRecord, last_name: str = "") -> str:
    """Take the first free name for a snapshot of this instant; `last_name` and its minute are used already.

    Raises:
        AgentError: when none is left in this minute.
    """
    taken = {last_name, last_name[:MINUTE_NAME_LENGTH]}
    while True:
        try:
            name = choose_snapshot_name(now, taken)
        except ValueError as problem:
            raise AgentError(f"No snapshot name is free: {problem}; the next run tries again.") from problem
        try:
            marker = f"{boot.instance_id} epoch {boot.epoch} {now.isoformat()}\n"
            store.put(snapshot_prefix(name) + RESERVED_FILE, marker.encode(), if_absent=True)
        except PreconditionFailed:
            taken.add(name)
            continue
        return name
