"""Open a shell (or run a command) in which `pulumi` and the runbook's lines work on the embedded AWS.

`make cloud` starts it. What is deployed lives as long as the shell; the stacks' settings stay in .cache/cloud.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from lab.cloud.session import cloud_session
from lab.moto.errors import ServerFailed
from lab.provider.cli import REPOSITORY
from lab.resources.errors import EngineError

GREETING = """The embedded AWS is at {endpoint}; nothing here reaches a real account, and it ends with this shell.
  cd ec2-spot                      the runbook's lines work as typed: pulumi config set …, pulumi up, pulumi destroy
  make ec2-spot-prices INSTANCE_TYPES="t4g.small t4g.medium" REGION=me-central-1   (invented prices)
  make up YES=1 / make outputs / make destroy YES=1      both stacks, STACK=dev
  exit"""


def main() -> int:
    """Return the exit status of the shell or the command."""
    parser = argparse.ArgumentParser(prog="make cloud", description=__doc__)
    parser.add_argument(
        "--region", default="me-central-1", help="the region that is worked in (default: the runbook's)"
    )
    parser.add_argument("--stack", default="dev", help="the stack that is there and selected (default: dev)")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".cache" / "cloud", help="where the settings stay")
    parser.add_argument("command", nargs="*", help="what to run in place of a shell")
    options = parser.parse_args()
    try:
        with cloud_session(options.folder.absolute(), options.region, options.stack) as session:
            if not options.command:
                print(GREETING.format(endpoint=session.endpoint), flush=True)
            words = options.command or [os.environ.get("SHELL", "/bin/bash")]
            return subprocess.run(words, cwd=session.folder, env=session.environment, check=False).returncode  # noqa: S603 - theirs
    except (EngineError, ServerFailed) as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
