"""Reserving a snapshot's name, so that no two runs ever write into one folder (docs/adr/0002)."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from openclaw_agent.agent_dir.records import BootRecord
from openclaw_agent.errors import AgentError, PreconditionFailed
from openclaw_agent.snapshot.keys import RESERVED_FILE, snapshot_prefix
from openclaw_agent.snapshot.names import choose_snapshot_name
from openclaw_agent.store.bucket import Bucket

MINUTE_NAME_LENGTH = len("2026-02-27-14-00")
MOST_MINUTES = 2
_log = logging.getLogger(__name__)


def reserve_name(
    store: Bucket,
    now: datetime,
    boot: BootRecord,
    last_name: str = "",
    *,
    clock: Callable[[], datetime],
    wait: Callable[[float], object] = time.sleep,
) -> str:
    """Take the first free name for a snapshot of this instant; `last_name` and its minute are used already.

    Where none is left in its minute the next one is waited for, which `clock` tells: no name lies in the future.

    Raises:
        AgentError: when none is left in the next minute either.
    """
    taken = {last_name, last_name[:MINUTE_NAME_LENGTH]}
    minutes = 1
    while True:
        try:
            name = choose_snapshot_name(now, taken)
        except ValueError as problem:
            if minutes == MOST_MINUTES:
                raise AgentError(f"No snapshot name is free: {problem}; the next run tries again.") from problem
            minutes += 1
            now = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
            _log.info("Waiting for the next minute: %s.", problem)
            wait(max((now - clock()).total_seconds(), 0.0))
            continue
        try:
            marker = f"{boot.instance_id} epoch {boot.epoch} {now.isoformat()}\n"
            store.put(snapshot_prefix(name) + RESERVED_FILE, marker.encode(), if_absent=True)
        except PreconditionFailed:
            taken.add(name)
            continue
        return name
