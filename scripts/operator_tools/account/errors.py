"""Why an AWS account could not be asked; the text is the sentence for the user."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the exit status of a command for the user's own machine means."""

    DONE = 0
    FAILED = 1
    USAGE = 2


class AccountError(Exception):
    """AWS refused, could not be reached, or lacks what was asked for."""

    exit_code = ExitCode.FAILED


class WrongRegion(AccountError):
    """No region is given, or there is none of that name."""

    exit_code = ExitCode.USAGE
