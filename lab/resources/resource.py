"""One resource of a stack, as handlers see it and as an engine remembers it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lab.resources.values import Inputs


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as the last deployment left it.

    `inputs` are what the program asked for, `outputs` what the handler answered, both under the provider's camelCase
    names. A component and the stack itself have no id.
    """

    urn: str
    type: str
    name: str
    id: str = ""
    inputs: Inputs = field(default_factory=dict)
    outputs: Inputs = field(default_factory=dict)
    custom: bool = True
    external: bool = False
    parent: str = ""
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    secret_inputs: tuple[str, ...] = ()
    secret_outputs: tuple[str, ...] = ()
    replacement_trigger: Any = None
    region: str = ""
