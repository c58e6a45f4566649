"""The exit codes that every command, its `--help`, the units and the docs share.

They say how the run went, never how its output did: a closed, full or broken stdout or stderr changes no exit code.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    GAPS = 4
    OVER_BUDGET = 5
    NOT_OWNER = 75
    TERMINATED = 143


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "done, or nothing to do",
    ExitCode.FAILED: "failed; nothing that was complete before is lost",
    ExitCode.USAGE: "the command line or a setting is wrong",
    ExitCode.REFUSED: "refused by a guard",
    ExitCode.GAPS: "done, with gaps: what could not be backed up or restored is named, and nobody has accepted it",
    ExitCode.OVER_BUDGET: "refused: backups have cost as much in this UTC day as the configuration allows",
    ExitCode.NOT_OWNER: "this instance does not hold the lease (fenced)",
    ExitCode.TERMINATED: "ended by SIGTERM, as by a stop of its unit; nothing that was complete before is lost",
}
