"""Which flags of the restore command go together: one table, and everything else is refused."""

import argparse
import math

from openclaw_agent.errors import UsageError

# What may stand beside a flag, of all flags below; those that are no row here go with one another.
GOES_WITH: dict[str, frozenset[str]] = {
    "--list": frozenset(),
    "--verify": frozenset({"--snapshot"}),
    "--diff": frozenset(),
    "--boot": frozenset({"--owner-wait"}),
    "--before-start": frozenset(),
    "--to": frozenset({"--snapshot", "--path"}),
    "--path": frozenset({"--snapshot", "--to"}),
}
CHOOSABLE = (*GOES_WITH, "--snapshot", "--force", "--owner-wait")


def check_flags(options: argparse.Namespace) -> None:
    """Refuse values that can be none, and flags that make no sense together.

    Raises:
        UsageError: naming the flag and what is allowed.
    """
    values = {flag: getattr(options, flag.removeprefix("--").replace("-", "_")) for flag in CHOOSABLE}
    for flag, value in values.items():
        if value == "" or (isinstance(value, list) and "" in value):
            raise UsageError(f"{flag} '' is not allowed: give a value, or leave the flag out.")
    wait = options.owner_wait
    if wait is not None and not (math.isfinite(wait) and wait >= 0):
        raise UsageError(f"--owner-wait {wait:g} is not allowed: it must be 0 or more seconds, and finite.")
    given = [flag for flag, value in values.items() if value is not None and value is not False]
    for flag in given:
        for other in given:
            if flag in GOES_WITH and other != flag and other not in GOES_WITH[flag]:
                allowed = " and ".join(sorted(GOES_WITH[flag])) or "none of the others"
                raise UsageError(f"{flag} and {other} do not go together; {flag} goes with {allowed}.")
