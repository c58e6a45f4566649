"""`openclaw-fetch-secrets.py`: write the gateway's environment file from SSM."""

import argparse
import logging
from pathlib import Path

from openclaw_agent.cli.frame import Result, parser_for, run_command
from openclaw_agent.host.gateway_secrets import fetch_secrets, write_secrets
from openclaw_agent.run_record import RunRecord
from openclaw_agent.settings import SECRETS_FILE, Settings

_log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = parser_for("openclaw-fetch-secrets.py", "Fetch the gateway's secrets from SSM into a file on tmpfs.")
    made.add_argument("--to", default=str(SECRETS_FILE), metavar="FILE", help="the file (default: %(default)s)")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run_command(parser(), "secrets", _action, arguments=arguments, needs_bucket=False)


def _action(options: argparse.Namespace, settings: Settings, record: RunRecord) -> Result:
    found = fetch_secrets(settings)
    write_secrets(found, Path(options.to))
    names = [secret.name for secret in found]
    _log.info("Wrote %d secrets to %s: %s.", len(names), options.to, ", ".join(names))
    record.add(names=names)
    return Result()
