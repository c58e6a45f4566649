"""What the engine remembers of each stack: its resources and outputs, one JSON file for each (project, stack)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lab.resources.resource import Resource
from lab.resources.values import UNKNOWN, Asset, AssetKind

FORMAT_VERSION = 1
ASSET_MARK = "asset_sha256"


@dataclass(slots=True)
class StackState:
    """All of one stack. `resources` is in the order of creation; `condemned` were replaced and wait for deletion."""

    project: str
    stack: str
    resources: dict[str, Resource] = field(default_factory=dict)
    condemned: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: tuple[str, ...] = ()
    config: dict[str, str] = field(default_factory=dict)

    def reorder(self, urns: Iterable[str]) -> None:
        """Put the resources into the order of these URNs; others keep their place behind them."""
        first = {urn: self.resources[urn] for urn in urns if urn in self.resources}
        self.resources = first | {urn: kept for urn, kept in self.resources.items() if urn not in first}


class StateStore:
    """The folder of state files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, project: str, stack: str) -> Path:
        """Return where a stack's state is kept."""
        return self._folder / project / f"{stack}.json"

    def load(self, project: str, stack: str) -> StackState | None:
        """Return a stack's state, or None if it was never deployed."""
        path = self.path(project, stack)
        if not path.exists():
            return None
        saved = json.loads(path.read_text())
        state = StackState(
            project,
            stack,
            outputs=saved["outputs"],
            secret_outputs=tuple(saved["secret_outputs"]),
            config=saved["config"],
            condemned=[_resource(row) for row in saved["condemned"]],
        )
        state.resources = {row["urn"]: _resource(row) for row in saved["resources"]}
        return state

    def save(self, state: StackState) -> None:
        """Write a stack's state; readable by its owner alone, since outputs may be secret."""
        path = self.path(state.project, state.stack)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(
            {
                "format": FORMAT_VERSION,
                "resources": [_row(resource) for resource in state.resources.values()],
                "condemned": [_row(resource) for resource in state.condemned],
                "outputs": state.outputs,
                "secret_outputs": sorted(state.secret_outputs),
                "config": state.config,
            },
            indent=1,
        )
        fresh = path.with_suffix(".json.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(text)
        fresh.replace(path)

    def known(self) -> list[tuple[str, str]]:
        """Return every (project, stack) that has a state."""
        return [(path.parent.name, path.stem) for path in sorted(self._folder.glob("*/*.json"))]

    def remove(self, project: str, stack: str) -> None:
        """Forget a stack."""
        self.path(project, stack).unlink(missing_ok=True)


def without_assets(value: Any) -> Any:
    """Return a value in which an asset is known by its sum alone, as the state keeps it."""
    if isinstance(value, Asset):
        return {ASSET_MARK: value.sha256, "kind": value.kind.value}
    if isinstance(value, dict):
        return {key: without_assets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_assets(item) for item in value]
    if value is UNKNOWN:
        raise ValueError("an unknown value never belongs in the state")
    return value


def _with_assets(value: Any) -> Any:
    if isinstance(value, dict):
        if ASSET_MARK in value:
            return Asset(value[ASSET_MARK], AssetKind(value["kind"]))
        return {key: _with_assets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_assets(item) for item in value]
    return value


def _row(resource: Resource) -> dict[str, Any]:
    # asdict would copy an asset's bytes into a dict of its own.
    plain = replace(resource, inputs=without_assets(resource.inputs), outputs=without_assets(resource.outputs))
    return asdict(plain)


def _resource(row: dict[str, Any]) -> Resource:
    known = {each.name for each in fields(Resource)}
    row = {key: value for key, value in row.items() if key in known}
    for name in ("dependencies", "secret_inputs", "secret_outputs"):
        row[name] = tuple(row[name])
    return Resource(**row | {"inputs": _with_assets(row["inputs"]), "outputs": _with_assets(row["outputs"])})
