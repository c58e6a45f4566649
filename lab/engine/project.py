"""A Pulumi project's own file: its name, its program and the defaults of its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.resources.errors import EngineError


@dataclass(frozen=True, slots=True)
class Project:
    """What `Pulumi.yaml` says; `program` is the folder (or file) that Python runs."""

    name: str
    program: Path
    defaults: Mapping[str, str]


def load_project(folder: Path) -> Project:
    """Read a project folder.

    Raises:
        EngineError: there is no `Pulumi.yaml`, or it names no project.
    """
    path = folder / "Pulumi.yaml"
    if not path.is_file():
        raise EngineError(f"{folder} is no Pulumi project: it has no Pulumi.yaml.")
    content = yaml.safe_load(path.read_text()) or {}
    if not isinstance(content, dict) or not content.get("name"):
        raise EngineError(f"{path} does not name its project.")
    name = str(content["name"])
    program = (folder / content["main"]) if content.get("main") else folder
    defaults = {}
    for key, declared in (content.get("config") or {}).items():
        value = declared.get("value", declared.get("default")) if isinstance(declared, dict) else declared
        if value is not None:
            defaults[key] = value
    return Project(name, program.resolve(), full_config(name, defaults))


def full_config(project: str, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the configuration as Pulumi hands it to a program: every key with a namespace, every value a string."""
    return {key if ":" in key else f"{project}:{key}": config_text(value) for key, value in values.items()}


def config_text(value: object) -> str:
    """Return one value as Pulumi writes it: true and false in lower case, lists and maps as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
