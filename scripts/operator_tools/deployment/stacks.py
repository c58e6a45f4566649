"""Both stacks through the Pulumi CLI, in the right order, as scripts/make/stacks.sh knows it."""

import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "make" / "stacks.sh"


def run_stacks(verb: str, stack: str, *, yes: bool) -> int:
    """Hand the terminal to the CLI, and return its exit status; what goes wrong it has said itself."""
    environment = os.environ | ({"YES": "1"} if yes else {})
    return subprocess.run([str(SCRIPT), verb, stack], env=environment, check=False).returncode  # noqa: S603 - our own
