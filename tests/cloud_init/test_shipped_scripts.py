"""The shell scripts and small files of the release: linted by their own tools, and run with stand-ins on PATH."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.host.deadline import scaled

CLOUD_INIT = Path(__file__).parents[2] / "cloud_init"
SCRIPTS = sorted(path.name for path in CLOUD_INIT.glob("*.sh"))

needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")


@pytest.mark.subprocess
@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing(name: str) -> None:
    finished = subprocess.run(["shellcheck", CLOUD_INIT / name], capture_output=True, text=True)
    assert (finished.returncode, finished.stdout) == (0, "")


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_stops_at_its_first_error(name: str) -> None:
    assert "\nset -euo pipefail\n" in (CLOUD_INIT / name).read_text(encoding="utf-8")


@pytest.mark.subprocess
@pytest.mark.skipif(shutil.which("visudo") is None, reason="sudo is not installed")
def test_visudo_accepts_the_search_path() -> None:
    finished = subprocess.run(["visudo", "-cf", CLOUD_INIT / "sudoers.conf"], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.subprocess
@pytest.mark.skipif(shutil.which("logrotate") is None, reason="logrotate is not installed")
def test_logrotate_accepts_its_configuration(tmp_path: Path) -> None:
    command = ["logrotate", "--debug", "--state", str(tmp_path / "state"), str(CLOUD_INIT / "logrotate.conf")]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "error" not in finished.stderr


def test_the_compose_plugin_is_pinned_for_both_architectures() -> None:
    plugin = json.loads((CLOUD_INIT / "compose-plugin.json").read_text(encoding="utf-8"))
    assert set(plugin["architectures"]) == {"aarch64", "x86_64"}
    for machine, download in plugin["architectures"].items():
        assert re.fullmatch(r"[0-9a-f]{64}", download["sha256"])
        assert download["url"].startswith("https://")
        assert download["url"].endswith(f"/{plugin['version']}/docker-compose-linux-{machine}")


def test_the_minimal_configuration_is_what_a_first_start_needs() -> None:
    minimal = json.loads((CLOUD_INIT / "openclaw.minimal.json").read_text(encoding="utf-8"))
    origins = ["http://localhost:18789", "http://127.0.0.1:18789"]
    assert minimal == {"gateway": {"mode": "local", "bind": "lan", "controlUi": {"allowedOrigins": origins}}}


@pytest.mark.subprocess
def test_the_installer_refuses_an_unknown_engine_in_one_sentence() -> None:
    finished = subprocess.run(
        ["bash", CLOUD_INIT / "install.sh"],
        env={"PATH": os.environ["PATH"], "OPENCLAW_GATEWAY_ENGINE": "podman"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 1
    (sentence,) = finished.stderr.splitlines()
    assert "checking the machine failed; run it as root; OPENCLAW_GATEWAY_ENGINE may be docker or native" in sentence


def stand_in(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    command = folder / name
    command.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
    command.chmod(0o755)


def run_script(name: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    command = ["bash", str(CLOUD_INIT / name)]
    return subprocess.run(
        command, env={"PATH": path, **environment}, capture_output=True, text=True, timeout=scaled(60)
    )


DOCKER = """
echo "$*" >>{folder}/docker.calls
case "$1 $3" in
  "image --format") cat {folder}/digests 2>/dev/null ;;
  image*) [ -e {folder}/image ] ;;
  pull*) [ -e {folder}/registry ] && touch {folder}/image ;;
  login*) cat >{folder}/password ;;
esac
"""


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("registry", "image", "code", "said"),
    [
        pytest.param(True, False, 0, "", id="pulled"),
        pytest.param(False, True, 0, "starting the copy that is already on this", id="registry down, copy here"),
        pytest.param(False, False, 1, "no copy is here: check the image name", id="registry down, no copy"),
    ],
)
def test_the_image_is_pulled_or_a_copy_serves(
    tmp_path: Path, registry: bool, image: bool, code: int, said: str
) -> None:
    stand_in(tmp_path / "bin", "docker", DOCKER.format(folder=tmp_path))
    for name, there in (("registry", registry), ("image", image)):
        if there:
            (tmp_path / name).touch()
    finished = run_script(
        "pull-image.sh", tmp_path, OPENCLAW_IMAGE="openclaw/openclaw:1", OPENCLAW_IMAGE_FILE=str(tmp_path / "image.env")
    )
    assert finished.returncode == code
    assert said in finished.stderr


def pull(folder: Path, image: str) -> tuple[str, str]:
    """Run the script once; what it tells openclaw.service, and what it says."""
    chosen, kept = folder / "image.env", folder / "image.kept"
    where = {"OPENCLAW_IMAGE_FILE": str(chosen), "OPENCLAW_IMAGE_RECORD": str(kept)}
    finished = run_script("pull-image.sh", folder, OPENCLAW_IMAGE=image, **where)
    assert finished.returncode == 0, finished.stderr
    return chosen.read_text(encoding="utf-8"), finished.stderr


@pytest.mark.subprocess
def test_a_tag_stays_the_content_that_it_was_at_its_first_pull(tmp_path: Path) -> None:
    stand_in(tmp_path / "bin", "docker", DOCKER.format(folder=tmp_path))
    (tmp_path / "registry").touch()
    first, moved = ("sha256:" + letter * 64 for letter in "ab")
    others = f"elsewhere/openclaw@{moved}"
    (tmp_path / "digests").write_text(f"{others}\nghcr.io/openclaw/openclaw@{first}\n", encoding="utf-8")
    chosen, said = pull(tmp_path, "ghcr.io/openclaw/openclaw:1")
    assert chosen == f"OPENCLAW_IMAGE=ghcr.io/openclaw/openclaw:1@{first}\n"
    assert f"`pulumi config set image ghcr.io/openclaw/openclaw:1@{first}`" in said

    # Whoever can move the tag: what is pulled and started is still the first.
    (tmp_path / "docker.calls").unlink()
    assert pull(tmp_path, "ghcr.io/openclaw/openclaw:1") == (chosen, "")
    assert f"pull --quiet ghcr.io/openclaw/openclaw:1@{first}" in (tmp_path / "docker.calls").read_text()

    # Another image in the settings is another question.
    (tmp_path / "digests").write_text(f"ghcr.io/openclaw/openclaw@{moved}\n", encoding="utf-8")
    assert pull(tmp_path, "ghcr.io/openclaw/openclaw:2")[0] == f"OPENCLAW_IMAGE=ghcr.io/openclaw/openclaw:2@{moved}\n"


@pytest.mark.subprocess
@pytest.mark.parametrize("image", ["openclaw:1@sha256:" + "c" * 64, "made-here:1"])
def test_a_digest_in_the_settings_and_an_image_of_no_registry_are_taken_as_they_are(tmp_path: Path, image: str) -> None:
    stand_in(tmp_path / "bin", "docker", DOCKER.format(folder=tmp_path))
    (tmp_path / "registry").touch()
    assert pull(tmp_path, image) == (f"OPENCLAW_IMAGE={image}\n", "")
    assert not (tmp_path / "image.kept").exists()


@pytest.mark.subprocess
def test_an_ecr_image_is_pulled_with_a_login_to_its_own_region(tmp_path: Path) -> None:
    (tmp_path / "registry").touch()
    stand_in(tmp_path / "bin", "docker", DOCKER.format(folder=tmp_path))
    stand_in(tmp_path / "bin", "aws", f'echo "$*" >{tmp_path}/aws.calls; echo secret')
    host = "123456789012.dkr.ecr.me-central-1.amazonaws.com"
    finished = run_script(
        "pull-image.sh",
        tmp_path,
        OPENCLAW_IMAGE=f"{host}/openclaw-lab-dev:1",
        OPENCLAW_IMAGE_FILE=str(tmp_path / "image.env"),
    )
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "aws.calls").read_text(encoding="utf-8") == "ecr get-login-password --region me-central-1\n"
    assert (tmp_path / "password").read_text(encoding="utf-8") == "secret\n"
    assert f"login --username AWS --password-stdin {host}" in (tmp_path / "docker.calls").read_text(encoding="utf-8")


@pytest.mark.subprocess
def test_without_docker_there_is_nothing_to_pull(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    finished = run_script("pull-image.sh", tmp_path, OPENCLAW_IMAGE="x", OPENCLAW_GATEWAY_ENGINE="native")
    assert (finished.returncode, finished.stderr) == (0, "")


CLI = """
echo "$*" >>{folder}/cli.calls
if [ "$2" = list ]; then cat {folder}/devices.json; else [ "$3" != refused ]; fi
"""


@pytest.mark.subprocess
@needs_jq
@pytest.mark.parametrize(
    ("listed", "calls", "code"),
    [
        pytest.param('{"pending":[],"paired":[]}', [], 0, id="none waits"),
        pytest.param('{"paired":[]}', [], 0, id="no list of waiting ones"),
        pytest.param(
            '{"pending":[{"requestId":"a-1"},{"requestId":"b-2"}]}',
            ["devices approve a-1", "devices approve b-2"],
            0,
            id="two wait",
        ),
        pytest.param(
            '{"pending":[{"requestId":"refused"},{"requestId":"b-2"}]}',
            ["devices approve refused", "devices approve b-2"],
            1,
            id="one is refused, the next is still approved",
        ),
        pytest.param("gateway says hello", [], 1, id="no JSON"),
    ],
)
def test_waiting_devices_are_approved(tmp_path: Path, listed: str, calls: list[str], code: int) -> None:
    stand_in(tmp_path / "bin", "gateway-cli", CLI.format(folder=tmp_path))
    (tmp_path / "devices.json").write_text(listed, encoding="utf-8")
    finished = run_script("auto-approve-devices.sh", tmp_path, OPENCLAW_CLI="gateway-cli")
    assert finished.returncode == code, finished.stderr
    made = (tmp_path / "cli.calls").read_text(encoding="utf-8").splitlines()
    assert made == ["devices list --json", *calls]


@pytest.mark.subprocess
@needs_jq
def test_devices_that_cannot_be_listed_are_one_sentence(tmp_path: Path) -> None:
    stand_in(tmp_path / "bin", "gateway-cli", "exit 1")
    finished = run_script("auto-approve-devices.sh", tmp_path, OPENCLAW_CLI="gateway-cli")
    assert finished.returncode == 1
    assert finished.stderr.splitlines() == [
        "cannot list the devices: is the gateway running and ready? (systemctl status openclaw.service)"
    ]


GATEWAY_CLI = (
    "compose --env-file /etc/openclaw/gateway.env --file /opt/openclaw-agent/current/docker-compose.yaml "
    "exec{terminal} openclaw-gateway node dist/index.js"
)
GATEWAY_IS = {"up": "exit 0", "down": "exit 3"}
DOCKER_CLI = """printf '%s\\n' "$*" >>{folder}/docker.calls
cat
exit 7"""


def shell_of(folder: Path, *, user: int = 0, gateway: str = "up") -> None:
    """A root prompt on an instance, as far as the command sees it."""
    stand_in(folder / "bin", "id", f"echo {user}")
    stand_in(folder / "bin", "systemctl", GATEWAY_IS[gateway])
    stand_in(folder / "bin", "docker", DOCKER_CLI.format(folder=folder))


def openclaw(folder: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **options.pop("environment", {})}
    command = ["bash", str(CLOUD_INIT / "openclaw.sh"), *arguments]
    return subprocess.run(command, env=environment, text=True, timeout=scaled(60), **options)


@pytest.mark.subprocess
def test_the_gateways_cli_gets_its_words_and_input_and_keeps_its_exit_code(tmp_path: Path) -> None:
    shell_of(tmp_path)
    done = openclaw(tmp_path, "devices", "approve", "a b", input="yes\n", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (7, "yes\n")
    assert (tmp_path / "docker.calls").read_text() == GATEWAY_CLI.format(terminal=" -T") + " devices approve a b\n"


@pytest.mark.subprocess
def test_the_gateways_cli_has_the_terminal_of_who_types_it(tmp_path: Path) -> None:
    shell_of(tmp_path)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"\x04")
        openclaw(tmp_path, "onboard", stdin=theirs, stdout=theirs, stderr=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (tmp_path / "docker.calls").read_text() == GATEWAY_CLI.format(terminal="") + " onboard\n"


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("shell", "said"),
    [
        ({"user": 1000}, "openclaw: only root reaches the gateway's container: sudo openclaw devices list"),
        ({"gateway": "down"}, "openclaw: the gateway is not running, so its CLI cannot be reached: systemctl status"),
    ],
    ids=["an ordinary user", "no gateway"],
)
def test_where_the_gateways_cli_cannot_be_reached_one_sentence_says_why(
    tmp_path: Path, shell: dict[str, Any], said: str
) -> None:
    shell_of(tmp_path, **shell)
    done = openclaw(tmp_path, "devices", "list", capture_output=True)
    assert (done.returncode, done.stdout) == (1, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(said)
    assert not (tmp_path / "docker.calls").exists()


@pytest.mark.subprocess
def test_where_there_is_no_container_another_command_reaches_the_gateways_cli(tmp_path: Path) -> None:
    shell_of(tmp_path)
    stand_in(tmp_path / "bin", "reach", 'printf "%s\\n" "$@"')
    done = openclaw(tmp_path, "cron", "list", environment={"OPENCLAW_CLI": "reach the-cli"}, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "the-cli\ncron\nlist\n")
