"""`openclaw-lab up`: deploy, then wait until the gateway is ready."""

import argparse
import time

from operator_tools.account.errors import AccountError, ExitCode
from operator_tools.deployment.stacks import run_stacks
from operator_tools.instance.there import ask_instance
from operator_tools.program.output import Output, seconds_words
from operator_tools.stack.stack import Stack

DEFAULT_MINUTES = 15.0
LOOK_EVERY_SECONDS = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own flags."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--no-wait", action="store_true", help="end with the deployment; the gateway comes by itself")
    parser.add_argument(
        "--timeout",
        metavar="MINUTES",
        type=float,
        default=DEFAULT_MINUTES,
        help=f"how long to wait for the gateway (default: {DEFAULT_MINUTES:g})",
    )


def run(options: argparse.Namespace, out: Output) -> int:
    """Deploy both halves, and wait."""
    code = run_stacks("up", options.stack, yes=options.yes)
    if code != ExitCode.DONE:
        return code
    stack = Stack.of(options)
    if options.no_wait:
        out.next(stack.words("status"))
        return ExitCode.DONE
    return wait_for_gateway(stack, options.timeout * 60, out)


def wait_for_gateway(stack: Stack, seconds: float, out: Output) -> int:
    """Wait until the instance is there and its gateway ready; a paused stack is not waited for.

    Raises:
        AccountError: it was not ready in time; the sentence says what it last waited for.
    """
    began = time.monotonic()
    if not stack.group().desired:
        out.say(f"{stack.name} is deployed and stays paused.")
        out.next(stack.words("resume"))
        return ExitCode.DONE
    with out.waiting("Waiting for the instance") as step:
        lacks = "no instance is in service yet"
        while time.monotonic() - began < seconds:
            instance = stack.group().in_service
            if instance is not None:
                lacks = _not_ready(stack, instance)
                if not lacks:
                    out.say(f"After {seconds_words(began)}: {instance} runs, and the gateway is ready.")
                    out.next(stack.words("tunnel"))
                    return ExitCode.DONE
            step(f"Waiting: {lacks}")
            time.sleep(min(LOOK_EVERY_SECONDS, max(0.0, began + seconds - time.monotonic())))
    raise AccountError(
        f"The gateway is not ready after {seconds_words(began)} ({lacks.rstrip('.')}); it goes on by itself. "
        f"Next: {stack.words('status')}, or {stack.words('logs bootstrap')}"
    )


def _not_ready(stack: Stack, instance: str) -> str:
    """What is still to come, "" where nothing is."""
    try:
        gateway = ask_instance(stack, instance, ["status"], seconds=60)["gateway"]
    except AccountError as problem:
        return str(problem).split(" Next:")[0]
    return "" if gateway["ready"] else "the gateway is not ready yet"
