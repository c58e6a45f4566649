"""An in-process Pulumi engine: runs a project's program and really creates in the embedded AWS what it registers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.engine.deployment import Deployment
from lab.engine.diff import Action
from lab.engine.errors import MissingStack
from lab.engine.monitor import Monitor, find_stack_by_name
from lab.engine.program_run import ProgramSettings, run_program
from lab.engine.project import Project, full_config, load_project
from lab.engine.state import StackState, StateStore
from lab.moto.server import EmbeddedAws
from lab.resources.errors import DestroyRefused
from lab.resources.region import Region, default_tags
from lab.resources.resource import Resource

__all__ = ["Action", "Engine", "Resource"]

REGION_KEY = "aws:region"
DEFAULT_TAGS_KEY = "aws:defaultTags"


class Engine:
    """Deploys Pulumi projects into one embedded AWS and remembers their stacks in `state_dir`."""

    def __init__(self, aws: EmbeddedAws, state_dir: Path, organization: str = "organization") -> None:
        self._aws = aws
        self._store = StateStore(state_dir)
        self._organization = organization

    def up(
        self,
        program_dir: Path,
        stack: str,
        config: Mapping[str, Any] | None = None,
        *,
        secrets: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Deploy a stack and return its outputs as plain values, secret ones included.

        Like the CLI it previews first, so that what a preview can refuse is refused before anything is created.
        Config keys without a namespace get the project's; `secrets` are config values that Pulumi must hide.

        Raises:
            ProgramFailed: the program or one of its resources was refused; the message is the sentence for the user.
        """
        project = load_project(Path(program_dir))
        self._deploy(project, stack, config or {}, secrets or {}, preview=True)
        return dict(self._deploy(project, stack, config or {}, secrets or {}, preview=False).state.outputs)

    def preview(
        self,
        program_dir: Path,
        stack: str,
        config: Mapping[str, Any] | None = None,
        *,
        secrets: Mapping[str, Any] | None = None,
    ) -> list[tuple[Action, str]]:
        """Return what `up` would do, as (action, urn) in order and without what stays the same; changes nothing.

        Raises:
            ProgramFailed: as `up`.
        """
        project = load_project(Path(program_dir))
        deployment = self._deploy(project, stack, config or {}, secrets or {}, preview=True)
        return [(step.action, step.urn) for step in deployment.steps]

    def destroy(self, program_dir: Path, stack: str, *, unprotect: bool = False) -> list[tuple[Action, str]]:
        """Delete all of a stack, newest first, and return what was done; resources marked so are kept and forgotten.

        Raises:
            MissingStack: the stack was never deployed.
            DestroyRefused: something is protected (unless `unprotect`) or holds data; nothing was deleted.
            RefusedByAws: AWS refused a deletion halfway; the state still names all that is left.
        """
        project = load_project(Path(program_dir))
        state = self._existing(project.name, stack)
        deployment = self._deployment(project, state, preview=False)
        doomed = list(state.resources.values())
        refusals = deployment.refusals(doomed, unprotect=unprotect)
        if refusals:
            raise DestroyRefused(f"{project.name}/{stack} was not destroyed: {' '.join(refusals)}")
        deployment.delete(doomed)
        self._store.remove(project.name, stack)
        return [(step.action, step.urn) for step in deployment.steps]

    def outputs(self, project: str, stack: str) -> dict[str, Any]:
        """Return a deployed stack's outputs.

        Raises:
            MissingStack: it was never deployed.
        """
        return dict(self._existing(project, stack).outputs)

    def resources(self, project: str, stack: str) -> list[Resource]:
        """Return a deployed stack's resources in the order of their creation.

        Raises:
            MissingStack: it was never deployed.
        """
        return list(self._existing(project, stack).resources.values())

    def stacks(self) -> list[tuple[str, str]]:
        """Return every (project, stack) that the state folder knows."""
        return self._store.known()

    def _deploy(
        self, project: Project, stack: str, config: Mapping[str, Any], secrets: Mapping[str, Any], *, preview: bool
    ) -> Deployment:
        state = self._store.load(project.name, stack) or StackState(project.name, stack)
        plain, hidden = full_config(project.name, config), full_config(project.name, secrets)
        given = {REGION_KEY: self._aws.region, **project.defaults, **plain, **hidden}
        state.config = {key: value for key, value in given.items() if key not in hidden}
        deployment = self._deployment(project, state, preview=preview)
        monitor = Monitor(project.name, stack, deployment, lambda name: self._find(name, project.name))
        run_program(
            ProgramSettings(project.program, project.name, stack, self._organization, given, list(hidden), preview),
            monitor,
        )
        deployment.finish(monitor.outputs, monitor.secret_outputs)
        return deployment

    def _deployment(self, project: Project, state: StackState, *, preview: bool) -> Deployment:
        region = state.config.get(REGION_KEY, self._aws.region)
        tags = default_tags(state.config.get(DEFAULT_TAGS_KEY))
        return Deployment(self._aws, self._store, state, Region(self._aws, region, tags), preview=preview)

    def _find(self, name: str, project: str) -> StackState:
        return find_stack_by_name(name, self._organization, project, self._store.load)

    def _existing(self, project: str, stack: str) -> StackState:
        state = self._store.load(project, stack)
        if state is None:
            raise MissingStack(f"The stack {project}/{stack} has never been deployed.")
        return state
