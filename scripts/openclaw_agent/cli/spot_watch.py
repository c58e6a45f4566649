"""`openclaw-spot-watch.py`: wait for the end of the spot instance and save everything before it."""

import argparse
import logging

from openclaw_agent.cli.frame import Result, parser_for, run_command
from openclaw_agent.host.spot_watch import look, watch
from openclaw_agent.run_record import RunRecord
from openclaw_agent.settings import Settings

_log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = parser_for(
        "openclaw-spot-watch.py",
        "Ask the metadata service every 5 s whether the instance is about to end; then stop the gateway and back up.",
    )
    made.add_argument("--once", action="store_true", help="ask once, print what is announced, and do nothing about it")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(parser(), "watch", _action, arguments=arguments, needs_bucket=False)


def _action(options: argparse.Namespace, _settings: Settings, record: RunRecord) -> Result:
    if options.once:
        return _asked_once()
    return Result(watch(record).kind.value)


def _asked_once() -> Result:
    found = look()
    if found.unanswered and not found.events:
        # "Nothing is announced" would be more than is known.
        raise found.unanswered[0]
    for problem in found.unanswered:
        _log.warning(str(problem))
    text = "\n".join(f"{event.kind.value}: {event.text}" for event in found.events) or "Nothing is announced."
    return Result("asked", [{"event": event.kind.value, "announced": event.text} for event in found.events], text)
