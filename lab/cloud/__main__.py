"""Open a shell (or run a command) in which `pulumi` and the runbook's lines work on the embedded AWS.

`make cloud` starts it. What is deployed lives as long as the shell; the stacks' settings stay in .cache/cloud.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lab.moto.errors import ServerFailed
from lab.moto.server import EmbeddedAws
from lab.provider.cli import REPOSITORY, cli_environment, find_cli, run_cli
from lab.provider.server import ProviderServer
from lab.provider.working_copy import make_working_copy
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
    cli = find_cli()
    if cli is None:
        print("The Pulumi CLI is neither on the PATH nor built: run make pulumi-cli (it needs Go).", file=sys.stderr)
        return 1
    folder: Path = options.folder.absolute()
    # Of an embedded AWS that has ended: what its stacks name is gone.
    shutil.rmtree(folder / "stacks", ignore_errors=True)
    copy = folder / "repository"
    make_working_copy(REPOSITORY, copy)
    try:
        with EmbeddedAws(region=options.region) as aws, ProviderServer(aws) as provider:
            environment = os.environ | cli_environment(aws, provider.attached, folder, cli)
            for project in ("platform", "ec2_spot"):
                run_cli(cli, environment, copy / project, "stack", "select", "--create", options.stack)
            if not options.command:
                print(GREETING.format(endpoint=aws.endpoint_url), flush=True)
            words = options.command or [os.environ.get("SHELL", "/bin/bash")]
            return subprocess.run(words, cwd=copy, env=environment, check=False).returncode  # noqa: S603 - theirs
    except (EngineError, ServerFailed) as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
