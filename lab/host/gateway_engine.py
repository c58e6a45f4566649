"""What runs the gateway on a lab's instance: a unit of systemd, or a Docker engine as on the deployed one."""

import os
from collections.abc import Mapping
from enum import Enum

from lab.host.errors import InstanceError

ENGINE_VARIABLE = "OPENCLAW_LAB_ENGINE"


class GatewayEngine(Enum):
    """What runs the gateway; the value is what a person types (`make lab ENGINE=docker`)."""

    UNIT = "unit"
    DOCKER = "docker"


class EngineRefused(InstanceError):
    """There is no engine of this name."""


def chosen_engine(environment: Mapping[str, str] = os.environ) -> GatewayEngine:
    """Returns the engine that OPENCLAW_LAB_ENGINE names, the unit if it names none; raises EngineRefused."""
    name = environment.get(ENGINE_VARIABLE) or GatewayEngine.UNIT.value
    try:
        return GatewayEngine(name)
    except ValueError as unknown:
        allowed = " and ".join(engine.value for engine in GatewayEngine)
        raise EngineRefused(f"{name!r} is no engine for the lab's gateway; {allowed} are allowed.") from unknown
