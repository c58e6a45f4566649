"""Judging a cloned database in a child process: one that is made to take for ever is not judged, and stops nothing."""

import json
import os
from pathlib import Path

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.sandbox.child import Confine, OverLimit, Owner, WorkFailed, run_confined
from openclaw_agent.sandbox.limits import Limits
from openclaw_agent.sqlite.check import Outcome, Verdict, check

LONGEST_REASON = 500
# A disk with less room than this is full, whatever the database is like.
LEAST_ROOM_BYTES = 1024 * 1024


def check_confined(clone: Path, limits: Limits, owner: Owner) -> Verdict:
    """Fold a clone's log into it and judge it, with its owner's ids (nobody's for root's) and within limits.

    What a database does to its check says nothing about it, and is no reason to store nothing of it: it is not judged
    then, and its clone is of no use any more.

    Raises:
        LocalStorageError: when the disk is full or read-only, which says nothing about the database.
    """

    def work(confine: Confine) -> bytes:
        # The agent's folder is not the owner's to enter: what lies in it is opened first.
        try:
            verdict = check(clone, once_open=confine)
        except LocalStorageError as problem:
            if isinstance(problem.__cause__, MemoryError):
                raise MemoryError from problem
            return json.dumps({"local": str(problem)}).encode()
        reason = verdict.reason[:LONGEST_REASON]
        return json.dumps({"outcome": verdict.outcome.name, "reason": reason, "folded": verdict.folded}).encode()

    try:
        result = json.loads(run_confined(work, limits, owner.or_nobody()))
    except (OverLimit, WorkFailed) as problem:
        return Verdict(Outcome.NOT_JUDGED, f"its check was given up: {problem}", folded=False)
    local_problem = result.get("local", "")
    if local_problem:
        if _is_usable(clone.parent):
            return Verdict(Outcome.NOT_JUDGED, f"SQLite could not work on it ({local_problem})", folded=False)
        raise LocalStorageError(local_problem)
    return Verdict(Outcome[result["outcome"]], result["reason"], result["folded"])


def _is_usable(folder: Path) -> bool:
    """Whether a disk that SQLite complained about takes files all the same."""
    try:
        room = os.statvfs(folder)
        return room.f_bavail * room.f_frsize >= LEAST_ROOM_BYTES and os.access(folder, os.W_OK)
    except OSError:
        return False
