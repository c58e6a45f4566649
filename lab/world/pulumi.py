"""What the lab asks of Pulumi, and the one place that says who answers: its own engine, or the stand-in for it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from lab.engine.engine import Engine
from lab.moto.server import EmbeddedAws
from lab.provider.cli import find_cli
from lab.provider.cli_engine import cli_engine
from lab.resources.errors import DestroyRefused, EngineError
from lab.world.terminal import Terminal

__all__ = ["DestroyRefused", "EngineError", "PulumiEngine", "real_engine_or_stand_in", "stand_in"]

NO_CLI = (
    "the CLI is neither on the PATH nor built (make pulumi-cli, which needs Go 1.26). Both stacks are deployed by the "
    "lab's stand-in for it; not shown are the CLI's previews, its own check of the configuration, its state and its "
    "order of parallel work"
)


class PulumiEngine(Protocol):
    """Deploys Pulumi projects; each method is the CLI's command of that name."""

    def up(self, program_dir: Path, stack: str, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Deploy a stack and return its outputs; raises EngineError with the sentence for the user."""
        ...

    def destroy(self, program_dir: Path, stack: str) -> object:
        """Delete all of a stack; raises DestroyRefused before anything is deleted where something is protected."""
        ...


def stand_in(aws: EmbeddedAws, state_dir: Path) -> PulumiEngine:
    """Return the engine that deploys into this embedded AWS in this process, and keeps its state in a folder."""
    return Engine(aws, state_dir)


@contextmanager
def real_engine_or_stand_in(aws: EmbeddedAws, state_dir: Path, terminal: Terminal) -> Iterator[PulumiEngine]:
    """Give Pulumi's engine where its CLI is, else the stand-in, and say which it is and what is not shown then."""
    cli = find_cli()
    if cli is None:
        terminal.skip("Pulumi's own engine", NO_CLI)
        yield stand_in(aws, state_dir)
        return
    with cli_engine(cli, aws, state_dir) as engine:
        terminal.step(f"the Pulumi CLI {engine.version} ({cli}) deploys, with the embedded AWS as its provider")
        yield engine
