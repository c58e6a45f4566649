"""The command line of ec2-spot-power: parse, switch, print."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial

from operator_tools import edge
from operator_tools.account.errors import AccountError, ExitCode
from operator_tools.power.group_state import Power
from operator_tools.power.power_report import closing_sentence, power_document, too_slow_sentence

DEFAULT_TIMEOUT_MINUTES = 15.0
LOOK_EVERY_SECONDS = 5.0

_EPILOG = (
    "exit status: 0 done (or nothing to do), 1 it failed or did not end in time (the group goes on by itself), "
    f"2 the command line is wrong, {edge.INTERRUPTED} Ctrl-C. "
    "The region is that of the stack's outputs where the Pulumi CLI knows them, "
    "else --region, AWS_REGION or the profile's. AWS_ENDPOINT_URL and the other variables of the AWS SDKs are honoured."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; errors are one sentence on standard error."""
    return edge.run(
        switch, parsed(arguments), when_interrupted="Not waited for any longer; the group goes on by itself."
    )


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for; flags may stand before, between and after the words."""
    return parser().parse_intermixed_args(arguments)


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = argparse.ArgumentParser(
        prog="ec2-spot-power.py",
        description="Pause a stack (no instance, no cost for one; its backups stay) or resume it from the last backup.",
        epilog=_EPILOG,
    )
    made.add_argument("verb", choices=[power.value for power in Power], help="what to do")
    made.add_argument("stack", nargs="?", default="dev", help="the stack's name (default: dev)")
    made.add_argument("--region", help="AWS region (default: the stack's, by the Pulumi CLI; else AWS_REGION)")
    add_flags(made)
    made.add_argument("--json", action="store_true", help="print a JSON document instead of sentences")
    made.add_argument("--verbose", action="store_true", help="say what is asked; show the traceback of an error")
    return made


def add_flags(made: argparse.ArgumentParser) -> None:
    """Add how long to wait."""
    made.add_argument("--no-wait", action="store_true", help="return as soon as AWS has accepted it")
    made.add_argument(
        "--timeout",
        metavar="MINUTES",
        type=partial(_positive, noun="number of minutes"),
        default=DEFAULT_TIMEOUT_MINUTES,
        help=f"how long to wait at most (default: {DEFAULT_TIMEOUT_MINUTES:g})",
    )
    made.add_argument(
        "--every",
        metavar="SECONDS",
        type=partial(_positive, noun="number of seconds"),
        default=LOOK_EVERY_SECONDS,
        help=f"how often to look (default: {LOOK_EVERY_SECONDS:g})",
    )


def _positive(text: str, noun: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no {noun}")
    return number


def switch(options: argparse.Namespace) -> int:
    """Pause or resume, as the options say, and print how it went.

    Raises:
        AccountError: there is no such stack, AWS refused, or it took too long.
    """
    try:
        from operator_tools.account.account import Account
        from operator_tools.power.power_calls import PowerCalls
    except ImportError as error:
        raise AccountError(
            f"The Python at {sys.executable} has no {error.name}; install it with: pip install boto3"
        ) from error
    from openclaw_ec2_spot.alarm_rules import ALARMS_OF_ABSENCE, alarm_name
    from operator_tools.power.stack_place import find_place
    from operator_tools.power.switching import Switch, Timeout

    power = Power(options.verb)
    place = find_place(options.stack, options.region)
    account = Account(place.region)
    alarms = tuple(alarm_name(place.stack_name, rule) for rule in ALARMS_OF_ABSENCE)
    calls = PowerCalls(account, place.group, alarms)
    say: Callable[[str], None] = (lambda _line: None) if options.json else partial(print, flush=True)
    button = Switch(place, account.region, alarms, calls, say)
    outcome = button.to(power, Timeout(0.0 if options.no_wait else options.timeout * 60, options.every))

    if options.json:
        print(json.dumps(power_document(button, power, outcome), indent=2), flush=True)
    if outcome.settled or options.no_wait:
        say(closing_sentence(power, place.stack, outcome))
        return ExitCode.DONE
    raise AccountError(too_slow_sentence(power, place.stack, outcome, calls.newest_complaint()))
