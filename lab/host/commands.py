"""Runs the few programs of the host that the lab needs."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.host.deadline import scaled
from lab.host.errors import CommandFailed

LINES_SHOWN_OF_A_FAILURE = 12
# The load may rise after a program has begun.
LOAD_ALLOWANCE = 3.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: its exit code and what it printed."""

    exit_code: int
    stdout: str
    stderr: str


def run_command(
    arguments: Sequence[str],
    *,
    timeout_seconds: float = 60,
    environment: Mapping[str, str] | None = None,
    input_text: str | None = None,
) -> Outcome:
    """Runs a program to its end, whatever its exit code.

    `environment` is added to the lab's own; `timeout_seconds` is for a quiet machine. Raises CommandFailed where the
    program is missing or exceeds its time.
    """
    try:
        finished = subprocess.run(  # noqa: S603 - never a shell; every caller passes a list
            list(arguments),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LOAD_ALLOWANCE * scaled(timeout_seconds),
            env={**os.environ, **environment} if environment else None,
            input=input_text,
            stdin=None if input_text is not None else subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError as missing:
        raise CommandFailed(f"The program {arguments[0]} is not installed.") from missing
    except subprocess.TimeoutExpired as expired:
        raise CommandFailed(f"{shlex.join(arguments)} did not end within {timeout_seconds:g} s.") from expired
    return Outcome(finished.returncode, finished.stdout, finished.stderr)


def require_success(
    arguments: Sequence[str],
    *,
    timeout_seconds: float = 60,
    environment: Mapping[str, str] | None = None,
    input_text: str | None = None,
) -> str:
    """Runs a program that must exit 0 and returns what it printed; raises CommandFailed otherwise."""
    outcome = run_command(arguments, timeout_seconds=timeout_seconds, environment=environment, input_text=input_text)
    if outcome.exit_code != 0:
        said = "\n".join((outcome.stderr.strip() or outcome.stdout.strip()).splitlines()[-LINES_SHOWN_OF_A_FAILURE:])
        raise CommandFailed(f"{shlex.join(arguments)} ended with exit code {outcome.exit_code}: {said or 'no output'}")
    return outcome.stdout
