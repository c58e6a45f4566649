"""Errors whose text is the sentence for the user, each with the exit code of its kind."""

from operator_tools.account.errors import AccountError, ExitCode


class SpotPriceError(AccountError):
    """Prices could not be had, for a reason that the user can read."""


class WrongRequest(SpotPriceError):
    """What was asked for does not exist or is malformed: an instance type, a number of days."""

    exit_code = ExitCode.USAGE
