"""The embedded AWS with the provider before it, and a folder in which the CLI's commands are typed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.moto.server import EmbeddedAws
from lab.provider.cli import REPOSITORY, cli_environment, find_cli, run_cli
from lab.provider.server import ProviderServer
from lab.provider.working_copy import make_working_copy
from lab.resources.errors import EngineError

HALVES = ("platform", "ec2_spot")


@dataclass(frozen=True, slots=True)
class Session:
    """Where to type, and with which environment."""

    folder: Path
    environment: dict[str, str]
    endpoint: str


@contextmanager
def cloud_session(folder: Path, region: str, stack: str) -> Iterator[Session]:
    """Serve both for as long as the block lasts, with the stack there and selected in either half.

    Raises:
        EngineError: there is no CLI, or it failed.
        ServerFailed: the embedded AWS did not start.
    """
    cli = find_cli()
    if cli is None:
        raise EngineError("The Pulumi CLI is neither on the PATH nor built: run make pulumi-cli (it needs Go).")
    # Of an embedded AWS that has ended: what its stacks name is gone.
    shutil.rmtree(folder / "stacks", ignore_errors=True)
    copy = folder / "repository"
    make_working_copy(REPOSITORY, copy)
    with EmbeddedAws(region=region) as aws, ProviderServer(aws) as provider:
        # No machine boots here, so that make up has nothing to wait for.
        environment = os.environ | cli_environment(aws, provider.attached, folder, cli) | {"NO_WAIT": "1"}
        for project in HALVES:
            run_cli(cli, environment, copy / project, "stack", "select", "--create", stack)
        yield Session(copy, environment, aws.endpoint_url)
