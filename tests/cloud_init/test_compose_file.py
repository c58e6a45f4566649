from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.openclaw import AUTH_KEY_FOLDER

CLOUD_INIT = Path(__file__).parents[2] / "cloud_init"
SERVICES = ("openclaw-gateway", "openclaw-cli")


def compose() -> dict[str, Any]:
    parsed = yaml.safe_load((CLOUD_INIT / "docker-compose.yaml").read_text(encoding="utf-8"))
    assert isinstance(parsed, dict)
    return parsed


def service(name: str) -> dict[str, Any]:
    found = compose()["services"][name]
    assert isinstance(found, dict)
    return found


def test_the_project_is_the_one_that_the_freezer_pauses() -> None:
    assert compose()["name"] == "openclaw"
    assert set(compose()["services"]) == set(SERVICES)


def test_only_loopback_is_published() -> None:
    assert service("openclaw-gateway")["ports"] == ["127.0.0.1:18789:18789"]
    assert "ports" not in service("openclaw-cli")
    assert service("openclaw-cli")["network_mode"] == "service:openclaw-gateway"


@pytest.mark.parametrize("name", SERVICES)
def test_docker_never_restarts_it(name: str) -> None:
    assert service(name)["restart"] == "no"


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_come_from_tmpfs_as_they_are_and_none_is_written_here(name: str) -> None:
    raw, quoted = service(name)["env_file"]
    assert raw == {"path": "/run/openclaw/.env", "required": True, "format": "raw"}
    assert quoted == {"path": "/run/openclaw/multiline.env", "required": True}
    assert set(service(name)["environment"]) == {"HOME", "NODE_OPTIONS", "XDG_CONFIG_HOME"}


@pytest.mark.parametrize("name", SERVICES)
def test_the_state_is_one_folder_that_docker_may_not_make_up(name: str) -> None:
    state, again = service(name)["volumes"]
    assert (state["source"], state["target"]) == ("/opt/openclaw/state/.openclaw", "/home/node/.openclaw")
    assert again["source"] == state["source"]
    assert state["bind"] == again["bind"] == {"create_host_path": False}


@pytest.mark.parametrize("name", SERVICES)
def test_no_source_of_a_mount_lies_in_a_folder_that_the_container_writes(name: str) -> None:
    """It could be a link to anywhere by the time Docker resolves it."""
    sources = [volume["source"] for volume in service(name)["volumes"]]
    assert not [one for one in sources for other in sources if one.startswith(f"{other}/")]


@pytest.mark.parametrize("name", SERVICES)
def test_the_key_of_auth_profiles_is_backed_up_and_lies_where_openclaw_looks_for_it(name: str) -> None:
    state, again = service(name)["volumes"]
    # OpenClaw passes over a key inside its state folder, as it names it.
    configuration = service(name)["environment"]["XDG_CONFIG_HOME"]
    assert configuration == f"{again['target']}/{AUTH_KEY_FOLDER.rpartition('/')[0]}"
    assert not configuration.startswith(f"{state['target']}/")
    assert Exclusions().reason_for(f"{AUTH_KEY_FOLDER}/auth-profile-secret-key", is_folder=False) is None


@pytest.mark.parametrize("name", SERVICES)
def test_the_container_has_no_capabilities_and_gains_none(name: str) -> None:
    assert service(name)["cap_drop"] == ["ALL"]
    assert service(name)["security_opt"] == ["no-new-privileges:true"]
    assert service(name)["init"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_the_image_stays_as_it_is_and_what_is_written_beside_the_state_is_bounded(name: str) -> None:
    assert service(name)["read_only"] is True
    options = {folder.partition(":")[0]: folder.partition(":")[2].split(",") for folder in service(name)["tmpfs"]}
    assert set(options) == {"/tmp", service(name)["environment"]["HOME"]}
    assert all("size=512m" in words for words in options.values())


@pytest.mark.parametrize("name", SERVICES)
def test_both_services_are_bounded_and_leave_no_core(name: str) -> None:
    assert service(name)["ulimits"] == {"core": 0}
    assert service(name)["pids_limit"] <= 2048
    assert service(name)["mem_limit"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_socket_of_the_host_and_no_privilege_is_given_in(name: str) -> None:
    assert not any("docker.sock" in str(volume) or "/run" in volume["source"] for volume in service(name)["volumes"])
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode", "user"} & set(service(name))


def test_the_gateway_has_the_same_host_name_in_every_container() -> None:
    # Under another one OpenClaw waits for its own lease of 5 minutes to expire.
    assert service("openclaw-gateway")["hostname"] == "openclaw-gateway"
    assert "hostname" not in service("openclaw-cli")


def test_the_image_and_the_limits_come_from_the_instances_settings() -> None:
    gateway = service("openclaw-gateway")
    assert gateway["image"].startswith("${OPENCLAW_IMAGE:?")
    assert gateway["mem_limit"].startswith("${OPENCLAW_MEMORY_LIMIT:-")
    assert gateway["memswap_limit"].startswith("${OPENCLAW_MEMORY_AND_SWAP_LIMIT:-")
    assert gateway["environment"]["NODE_OPTIONS"] == "--max-old-space-size=1536"


def test_the_health_check_needs_nothing_but_node() -> None:
    check = service("openclaw-gateway")["healthcheck"]["test"]
    assert check[:3] == ["CMD", "node", "-e"]
    assert "http://127.0.0.1:18789/healthz" in check[3]
    assert "health.ok === true" in check[3]


def test_the_grace_period_is_shorter_than_the_units_patience() -> None:
    assert service("openclaw-gateway")["stop_grace_period"] == "40s"
    unit = (CLOUD_INIT / "units" / "openclaw.service").read_text(encoding="utf-8")
    assert "ExecStop=-/usr/bin/docker compose --project-name openclaw down --timeout 40\n" in unit
    assert "TimeoutStopSec=55\n" in unit


def test_container_logs_are_bounded() -> None:
    logging = service("openclaw-gateway")["logging"]
    assert logging == {"driver": "local", "options": {"max-size": "10m", "max-file": "3"}}
