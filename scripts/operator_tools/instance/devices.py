"""`openclaw-lab devices`: what asks to be paired with the gateway, and letting it in."""

import argparse
import re

from operator_tools.account.errors import AccountError, ExitCode
from operator_tools.instance.run_command import run_on_instance
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack

CLI = "/usr/local/bin/openclaw"
SECONDS = 120
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class NoDevice(AccountError):
    """What was given is no id of a request."""

    exit_code = ExitCode.USAGE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own words."""
    parser.add_argument("verb", nargs="?", choices=("list", "approve", "reject"), default="list", help="what to do")
    parser.add_argument("request", nargs="?", metavar="ID", help="the request's id, as list shows it")


def run(options: argparse.Namespace, out: Output) -> int:
    """Ask the gateway's own CLI."""
    stack = Stack.of(options)
    words = [CLI, "devices", options.verb]
    if options.verb != "list":
        if not _ID.fullmatch(options.request or ""):
            raise NoDevice(f"{options.request or ''!r} is no id of a request. Next: {stack.words('devices')}")
        words.append(options.request)
    if options.json:
        words.append("--json")
    instance = stack.instance()
    with out.waiting(f"Asking the gateway on {instance}"):
        ended = run_on_instance(stack, instance, words, seconds=SECONDS)
    if ended.code:
        raise AccountError((ended.err.strip() or ended.out.strip() or "The gateway's CLI failed.").splitlines()[-1])
    print(ended.out.rstrip(), flush=True)
    if options.verb == "list":
        out.next(stack.words("devices approve ID"))
    return ExitCode.DONE
