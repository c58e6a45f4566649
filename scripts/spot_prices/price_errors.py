"""Errors whose text is the sentence for the user, each with the exit code of its kind."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the command's exit status means."""

    DONE = 0
    FAILED = 1
    USAGE = 2


class SpotPriceError(Exception):
    """Prices could not be had, for a reason that the user can read."""

    exit_code = ExitCode.FAILED


class WrongRequest(SpotPriceError):
    """What was asked for does not exist or is malformed: an instance type, a region, a number of days."""

    exit_code = ExitCode.USAGE
