"""The exit codes that every command, its `--help`, the units and the docs share."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_OWNER = 75


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "done, or nothing to do",
    ExitCode.FAILED: "failed; nothing that was complete before is lost",
    ExitCode.USAGE: "the command line or a setting is wrong",
    ExitCode.REFUSED: "refused by a guard",
    ExitCode.NOT_OWNER: "this instance does not own the bucket (fenced)",
}
