"""A backup at once: by its unit while the gateway runs, by its command while it does not."""

import subprocess
from typing import Any

from openclaw_agent.errors import AgentError, DoneWithGaps, NotOwner, Refused
from openclaw_agent.host.units import BACKUP_UNIT, GATEWAY_UNIT, is_active, start_command
from openclaw_agent.operate.programs import last_run, run_program
from openclaw_agent.settings import Settings

BACKUP_PROGRAM = "openclaw-s3-backup.py"
GOOD = ("done", "unchanged")
KEPT = (*GOOD, "refused", "gaps")
"""After these the state of now is in S3: a refused one is a snapshot that no restore takes by itself."""
_FACTS = (
    *("result", "snapshot", "files", "uploaded_files", "bytes_uploaded", "freeze_ms", "cost_usd", "seconds", "time"),
    *("error", "gaps"),
)


def back_up(settings: Settings) -> dict[str, Any]:
    """Back up, and return the facts of the run, however it ended: `result`, `snapshot`, `files`, `error` and others."""
    if settings.on_instance and is_active(GATEWAY_UNIT):
        subprocess.run(start_command(BACKUP_UNIT), capture_output=True, check=False)  # noqa: S603 - fixed words
        line = last_run(settings.log_dir, "backup")
    else:
        ended = run_program(BACKUP_PROGRAM, "--state-dir", str(settings.state_dir), "--bucket", settings.bucket)
        line = ended.document or {"result": "failed", "error": ended.sentence}
    return {name: line[name] for name in _FACTS if name in line}


def require_kept(facts: dict[str, Any], among: tuple[str, ...] = GOOD) -> None:
    """Raise what a backup's facts tell, unless it ended as one of `among`.

    Raises:
        Refused, NotOwner, DoneWithGaps, AgentError: the backup's own sentence.
    """
    result, sentence = facts.get("result"), str(facts.get("error") or "The backup did not run; see its journal.")
    if result in among:
        return
    if result == "refused":
        raise Refused(sentence)
    if result == "fenced":
        raise NotOwner(sentence)
    if result == "gaps":
        raise DoneWithGaps(sentence, 1)
    raise AgentError(sentence)
