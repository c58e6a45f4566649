"""`openclaw-lab logs`: what CloudWatch has of the gateway, the agent and the boot."""

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import botocore.exceptions as aws_errors

from openclaw_agent.history.moments import parse_moment
from operator_tools.account.errors import ExitCode
from operator_tools.program.output import Output
from operator_tools.stack.stack import NotThere, Stack

GROUPS = ("gateway", "agent", "bootstrap")
LOOK_EVERY_SECONDS = 3.0
LINES = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own words."""
    parser.add_argument("group", nargs="?", choices=GROUPS, default="gateway", help="whose lines (default: gateway)")
    parser.add_argument(
        "--since", metavar="WHEN", default="1 hour ago", help="'2 hours ago', '09:30' (default: an hour)"
    )
    parser.add_argument("--lines", type=_lines, default=LINES, help=f"the last so many (default: {LINES})")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")


def run(options: argparse.Namespace, out: Output) -> int:
    """Print the lines from old to new."""
    stack = Stack.of(options)
    group = str(getattr(stack.scope, f"{options.group}_log_group"))
    since = parse_moment(options.since, datetime.now(UTC))
    seen = list(_events(stack, group, since))[-options.lines :]
    out.document({"group": group, "lines": [_document(row) for row in seen]})
    for row in seen:
        out.say(_line(row))
    if not seen:
        out.say(f"{group} has no line since {since:%Y-%m-%d %H:%M} UTC.")
    if options.follow and not options.json:
        _follow(stack, group, since, {row["eventId"] for row in seen}, out)
    out.next(stack.words("status"))
    return ExitCode.DONE


def _follow(stack: Stack, group: str, since: datetime, told: set[str], out: Output) -> None:
    while True:
        time.sleep(LOOK_EVERY_SECONDS)
        for row in _events(stack, group, since):
            if row["eventId"] not in told:
                told.add(row["eventId"])
                out.say(_line(row))


def _events(stack: Stack, group: str, since: datetime) -> Iterator[dict[str, Any]]:
    pages = (
        stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=group, startTime=int(since.timestamp() * 1000))
    )
    with stack.account.told_in_a_sentence("logs", "FilterLogEvents"):
        try:
            for page in pages:
                yield from page["events"]
        except aws_errors.ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            raise NotThere(f"There is no log group {group}: nothing is deployed. Next: {stack.words('up')}") from error


def _line(row: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(row["timestamp"] / 1000, UTC).astimezone()
    # The gateway's lines are anybody's text.
    text = "".join(letter if letter.isprintable() or letter == "\t" else "?" for letter in row["message"])
    return f"{at:%m-%d %H:%M:%S}  {text}"


def _document(row: dict[str, Any]) -> dict[str, object]:
    at = datetime.fromtimestamp(row["timestamp"] / 1000, UTC)
    return {"time": at.isoformat(), "stream": row["logStreamName"], "message": row["message"]}


def _lines(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of lines; allowed is 1 to 10000")
    return int(text)
