"""Which engine runs the lab's gateway."""

import pytest

from lab.host.gateway_engine import EngineRefused, GatewayEngine, chosen_engine


@pytest.mark.parametrize(
    ("environment", "engine"),
    [
        ({}, GatewayEngine.UNIT),
        ({"OPENCLAW_LAB_ENGINE": ""}, GatewayEngine.UNIT),
        ({"OPENCLAW_LAB_ENGINE": "docker"}, GatewayEngine.DOCKER),
    ],
    ids=["nothing said", "empty", "docker"],
)
def test_the_engine_is_the_one_named_and_a_unit_otherwise(environment: dict[str, str], engine: GatewayEngine) -> None:
    assert chosen_engine(environment) is engine


def test_another_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(EngineRefused, match=r"^'podman' is no engine for the lab's gateway; unit and docker are allo"):
        chosen_engine({"OPENCLAW_LAB_ENGINE": "podman"})
