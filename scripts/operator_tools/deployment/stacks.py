"""Both stacks through the Pulumi CLI, in the right order, as scripts/make/stacks.sh knows it."""

import os
import subprocess
from pathlib import Path

# Not resolved: make cloud has the scripts by a link, beside its own copy of what Pulumi writes to.
SCRIPT = Path(__file__).absolute().parents[2] / "make" / "stacks.sh"


def run_stacks(verb: str, stack: str, *, yes: bool) -> int:
    """Hand the terminal to the CLI, and return its exit status; what goes wrong it has said itself."""
    environment = os.environ | ({"YES": "1"} if yes else {})
    return subprocess.run([str(SCRIPT), verb, stack], env=environment, check=False).returncode  # noqa: S603 - our own
