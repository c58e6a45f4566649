"""What the lab asks of Pulumi, and the one place that says who answers: the stand-in for its engine.

A machine with the Pulumi CLI could answer by the Automation API instead; only `pulumi_engine` would change.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from lab.engine.engine import Engine
from lab.engine.errors import DestroyRefused
from lab.moto.server import EmbeddedAws
from lab.resources.errors import EngineError

__all__ = ["DestroyRefused", "EngineError", "PulumiEngine", "pulumi_engine"]


class PulumiEngine(Protocol):
    """Deploys Pulumi projects; each method is the CLI's command of that name."""

    def up(self, program_dir: Path, stack: str, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Deploy a stack and return its outputs; raises EngineError with the sentence for the user."""
        ...

    def preview(
        self, program_dir: Path, stack: str, config: Mapping[str, Any] | None = None
    ) -> Sequence[tuple[Any, str]]:
        """Return what `up` would do, as (action, urn); changes nothing."""
        ...

    def destroy(self, program_dir: Path, stack: str) -> Sequence[tuple[Any, str]]:
        """Delete all of a stack; raises DestroyRefused before anything is deleted where something holds data."""
        ...


def pulumi_engine(aws: EmbeddedAws, state_dir: Path) -> PulumiEngine:
    """Return the engine that deploys into this embedded AWS and keeps its state in a folder."""
    return Engine(aws, state_dir)
