"""The real Pulumi engine for the lab: the CLI in a working copy, with the embedded AWS as its provider."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.moto.server import EmbeddedAws
from lab.provider.cli import REPOSITORY, cli_environment, run_cli
from lab.provider.server import ProviderServer
from lab.provider.working_copy import make_working_copy
from lab.resources.errors import DestroyRefused, EngineError

PROTECTED = re.compile(r'resource "(urn:[^"]+)" cannot be deleted')
"""What the CLI says of the first protected resource; the line after it says why."""


class CliEngine:
    """Deploys projects of the repository; each method is the CLI's command of that name."""

    def __init__(self, cli: Path, environment: Mapping[str, str], copy: Path) -> None:
        self._cli = cli
        self._environment = environment
        self._copy = copy

    @property
    def version(self) -> str:
        """What the CLI says of itself, as v3.274.1."""
        return self._run(self._copy, "version").strip()

    def up(self, program_dir: Path, stack: str, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Deploy a stack and return its outputs.

        Raises:
            EngineError: the program or AWS refused it; the message is the CLI's.
        """
        folder = self._folder(program_dir)
        self._run(folder, "stack", "select", "--create", stack)
        words = [word for key, value in (config or {}).items() for word in ("--config", f"{key}={value}")]
        self._run(folder, "up", "--yes", "--skip-preview", "--stack", stack, *words)
        outputs: dict[str, Any] = json.loads(self._run(folder, "stack", "output", "--json", "--stack", stack))
        return outputs

    def destroy(self, program_dir: Path, stack: str) -> None:
        """Delete all of a stack.

        Raises:
            DestroyRefused: something is protected; nothing was deleted.
            EngineError: AWS refused a deletion.
        """
        try:
            self._run(self._folder(program_dir), "destroy", "--yes", "--stack", stack)
        except EngineError as error:
            protected = PROTECTED.search(str(error))
            if protected is None:
                raise
            _, _, kind, name = protected[1].split("::")
            raise DestroyRefused(f"{kind.rpartition('$')[2]} '{name}' is protected.") from error

    def _folder(self, program_dir: Path) -> Path:
        return self._copy / program_dir.relative_to(REPOSITORY)

    def _run(self, folder: Path, *words: str) -> str:
        return run_cli(self._cli, self._environment, folder, *words)


@contextmanager
def cli_engine(cli: Path, aws: EmbeddedAws, folder: Path) -> Iterator[CliEngine]:
    """Serve the provider for as long as the block lasts; `folder` keeps the working copy and the stacks."""
    copy = folder / "repository"
    make_working_copy(REPOSITORY, copy)
    with ProviderServer(aws) as provider:
        yield CliEngine(cli, cli_environment(aws, provider.attached, folder, cli), copy)
