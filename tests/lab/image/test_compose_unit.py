"""What docker-compose.yaml says of the container is what the lab's unit does, and a new key cannot be overlooked."""

import copy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.host.gateway_engine import GatewayEngine
from lab.image.compose_file import (
    COMPOSE_FILE,
    WITHOUT_COUNTERPART,
    ComposeFileRefused,
    container_of,
    read_compose_file,
)
from lab.image.compose_unit import unit_settings
from lab.machine.differences import LIST, REPOSITORY
from lab.machine.disk import ENGINE_FILES, Disk, put_root_files

GATEWAY_DROP_IN = "etc/systemd/system/openclaw.service.d/lab.conf"
APPROVE_DROP_IN = "etc/systemd/system/openclaw-auto-approve.service.d/lab.conf"
CONTAINER = "usr/share/openclaw-lab/container.sh"
UNITS = REPOSITORY / "cloud_init/units"
SYSTEM_UNITS = Path("/usr/lib/systemd/system")
PROGRAMS = (
    "bin/bash",
    "bin/sh",
    "usr/bin/docker",
    "usr/bin/python3.11",
    "usr/bin/systemctl",
    "usr/local/libexec/openclaw-as-gateway",
    "usr/local/libexec/openclaw-unit-limits",
)

Change = Callable[[dict[str, Any]], object]


def changed(change: Change, *, cli_too: bool = False) -> str:
    """Return the repository's compose file with a change in its gateway (and its CLI)."""
    document = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    # Through the anchor both services hold the same mappings.
    document["services"] = {name: copy.deepcopy(service) for name, service in document["services"].items()}
    change(document["services"]["openclaw-gateway"])
    if cli_too:
        change(document["services"]["openclaw-cli"])
    return yaml.safe_dump(document)


def moved_home(service: dict[str, Any]) -> None:
    service["environment"]["HOME"] = "/srv/node"
    service["tmpfs"][1] = "/srv/node:mode=0700"


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Render the unit's files for the text of a compose file, and return the folder of the root."""
    monkeypatch.setattr("os.chown", lambda *_, **__: None)

    def rendered(text: str) -> Path:
        disk = Disk(tmp_path / "disk", ())
        put_root_files(disk, unit_settings(container_of(text)), ENGINE_FILES[GatewayEngine.UNIT])
        return disk.written

    return rendered


def test_the_repositorys_file_renders_what_the_container_gets(render: Callable[[str], Path]) -> None:
    root = render(COMPOSE_FILE.read_text(encoding="utf-8"))
    drop_in = (root / GATEWAY_DROP_IN).read_text().splitlines()
    gateway = "/usr/local/libexec/openclaw-as-gateway openclaw gateway --bind loopback --port 18789"
    assert f"ExecStart=/bin/sh -c 'exec {gateway} 2>&1'" in drop_in
    assert "BindPaths=-/opt/openclaw/state/.openclaw:/home/node/.openclaw" in drop_in
    assert {"TimeoutStopSec=40", "TasksMax=2048", "CapabilityBoundingSet=CAP_SETPCAP"} <= set(drop_in)
    container = (root / CONTAINER).read_text().splitlines()
    assert {"env_files=(/run/openclaw/.env)", "quoted_env_files=(/run/openclaw/multiline.env)"} <= set(container)
    assert "privileges=(--bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs)" in container
    assert 'memory_limit="${OPENCLAW_MEMORY_LIMIT:-1600m}"' in container
    assert (root / "usr/local/libexec/openclaw-as-gateway").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("change", "file", "line"),
    [
        (lambda c: c["environment"].update(NEW="a 'quoted' word"), CONTAINER, "'NEW=a '\"'\"'quoted'\"'\"' word'"),
        (moved_home, GATEWAY_DROP_IN, "TemporaryFileSystem=/srv/node:mode"),
        (moved_home, APPROVE_DROP_IN, "TemporaryFileSystem=/srv/node:mode"),
        (lambda c: c["volumes"][0].update(source="/srv/state"), GATEWAY_DROP_IN, "BindPaths=-/srv/state:/home/node/"),
        (lambda c: c["volumes"][0].update(source="/srv/state"), APPROVE_DROP_IN, "BindPaths=-/srv/state:/home/node/"),
        (lambda c: c["volumes"][0].update(target="/data"), CONTAINER, "mount_targets=(/data /home/node/"),
        (lambda c: c["volumes"][0].update(read_only=True), GATEWAY_DROP_IN, "BindReadOnlyPaths=-/opt/openclaw"),
        (lambda c: c["env_file"][0].update(path="/run/other.env"), CONTAINER, "env_files=(/run/other.env)\n"),
        (lambda c: c["env_file"][1].update(path="/run/two.env"), CONTAINER, "quoted_env_files=(/run/two.env)\n"),
        (lambda c: c.pop("cap_drop"), CONTAINER, "privileges=(--no-new-privs)\n"),
        (lambda c: c.pop("cap_drop"), GATEWAY_DROP_IN, "TasksMax=2048\n\n"),
        (lambda c: c.pop("security_opt"), CONTAINER, "--ambient-caps=-all)\n"),
    ],
    ids=[
        "environment", "home", "home of the CLI", "mount", "mount of the CLI", "mount's target", "read-only mount",
        "secrets", "secrets of several lines", "privileges kept", "capabilities kept", "new privileges",
    ],
)  # fmt: skip
def test_a_change_for_both_services_reaches_the_unit(
    render: Callable[[str], Path], change: Change, file: str, line: str
) -> None:
    assert line not in (render(COMPOSE_FILE.read_text(encoding="utf-8")) / file).read_text()
    assert line in (render(changed(change, cli_too=True)) / file).read_text()


@pytest.mark.parametrize(
    ("change", "file", "line"),
    [
        (lambda c: c["command"].append("--verbose"), GATEWAY_DROP_IN, " --port 18789 --verbose 2>&1'"),
        (lambda c: c["command"].__setitem__(4, "tailnet"), GATEWAY_DROP_IN, " gateway --bind tailnet --port "),
        (lambda c: c.update(stop_grace_period="1m30s"), GATEWAY_DROP_IN, "TimeoutStopSec=90\n"),
        (lambda c: c.pop("stop_grace_period"), GATEWAY_DROP_IN, "TimeoutStopSec=infinity\n"),
        (lambda c: c.update(pids_limit=77), GATEWAY_DROP_IN, "TasksMax=77\n"),
        (lambda c: c.update(mem_limit="2g"), CONTAINER, 'memory_limit="2g"\n'),
        (lambda c: c.update(memswap_limit="${OTHER:-9g}"), CONTAINER, 'memory_and_swap_limit="${OTHER:-9g}"\n'),
        (lambda c: c.pop("mem_limit"), CONTAINER, 'memory_limit=""\n'),
    ],
    ids=["argument", "bind", "grace", "no grace", "pids", "memory", "swap", "no memory limit"],
)
def test_a_change_of_the_gateway_reaches_its_unit(
    render: Callable[[str], Path], change: Change, file: str, line: str
) -> None:
    assert line not in (render(COMPOSE_FILE.read_text(encoding="utf-8")) / file).read_text()
    assert line in (render(changed(change)) / file).read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(privileged=True), "openclaw-gateway has the key 'privileged'"),
        (lambda c: c.update(user="0:0"), "openclaw-gateway has the key 'user'"),
        (lambda c: c["environment"].update(NEW="x"), "environment of openclaw-cli is another"),
        (lambda c: c.update(command=["sh", "-c", "true"]), "begins with node, dist/index.js"),
        (lambda c: c["command"].append("$(id)"), r"other characters than letters"),
        (lambda c: c.update(ports=["18789:18789"]), "on 127.0.0.1 alone"),
        (lambda c: c["command"].__setitem__(6, "1"), "publish the gateway's --port 1 under"),
        (lambda c: c.update(mem_limit="$(reboot)"), "memory limit"),
        (lambda c: c.update(mem_limit="${X:-$(reboot)}"), "memory limit"),
        (lambda c: c.update(stop_grace_period="soon"), "no duration"),
        (lambda c: c.update(pids_limit=-1), "pids_limit -1"),
    ],
    ids=[
        "unknown key", "user", "one service alone", "another program", "shell in an argument", "open port",
        "port not published", "shell as a limit", "shell in a limit", "grace", "pids",
    ],
)  # fmt: skip
def test_what_the_unit_would_not_do_is_refused_in_a_sentence(change: Change, said: str) -> None:
    with pytest.raises(ComposeFileRefused, match=r"^docker-compose.yaml cannot be .*\.$") as refused:
        container_of(changed(change))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.update(cap_drop=["NET_RAW"]), "cap_drop must be [ALL]"),
        (lambda c: c.update(security_opt=["seccomp:unconfined"]), "security_opt must be"),
        (lambda c: c.update(read_only=False), "its root must be read_only, with tmpfs at /tmp and /home/node"),
        (lambda c: c["tmpfs"].append("/srv"), "and nowhere else"),
        (lambda c: c["ulimits"].update(core=-1), "ulimits must be core: 0"),
        (lambda c: c["env_file"][0].update(format="dotenv"), "must be required, and raw"),
        (lambda c: c["env_file"].append("/plain"), "each env_file must have"),
        (lambda c: c["environment"].update(A="${B}"), "a text without $"),
        (lambda c: c["volumes"].append("named:/data"), "each of volumes must have"),
        (lambda c: c["volumes"][0].update(type="volume"), "must be a bind mount"),
        (lambda c: c["volumes"][0].update(bind={"propagation": "shared"}), "create_host_path: false"),
    ],
    ids=[
        "capabilities", "seccomp", "writable root", "another folder in memory", "core dumps", "env format", "env text",
        "interpolation", "short volume", "volume", "propagation",
    ],
)  # fmt: skip
def test_what_neither_service_may_say_is_refused(change: Change, said: str) -> None:
    with pytest.raises(ComposeFileRefused) as refused:
        container_of(changed(change, cli_too=True))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: {}", "its services must be openclaw-gateway and openclaw-cli"),
        ("[]", "it has no services"),
        (COMPOSE_FILE.read_text(encoding="utf-8") + "\nnetworks: {}\n", "its key 'networks' is unknown"),
    ],
    ids=["no service", "no mapping", "unknown section"],
)
def test_a_file_of_another_form_is_refused(text: str, said: str) -> None:
    with pytest.raises(ComposeFileRefused, match=said):
        container_of(text)


def test_each_key_without_a_counterpart_is_a_listed_difference() -> None:
    sentence = next(
        row["what"]
        for row in yaml.safe_load(LIST.read_text())
        if row["what"].startswith("Without ENGINE=docker, of docker-compose")
    )
    assert [key for key in sorted(WITHOUT_COUNTERPART) if f" {key}" not in sentence] == []


def test_no_file_of_the_unit_repeats_a_value_of_the_compose_file() -> None:
    container = read_compose_file()
    source = "".join(path.read_text() for path in (REPOSITORY / "lab/machine/root_files").rglob("*") if path.is_file())
    values = {*container.environment.values(), *container.env_files, *(mount.target for mount in container.mounts)}
    assert [value for value in sorted(values) if value in source] == []


@pytest.mark.subprocess
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("spoil", ["", "Unknown=1\n"], ids=["as rendered", "with an unknown key"])
def test_systemd_has_nothing_to_say_about_the_units_with_the_rendered_drop_ins(
    render: Callable[[str], Path], spoil: str
) -> None:
    root = render(COMPOSE_FILE.read_text(encoding="utf-8"))
    shutil.copytree(SYSTEM_UNITS, root / "usr/lib/systemd/system", symlinks=True, dirs_exist_ok=True)
    shutil.copytree(UNITS, root / "etc/systemd/system", dirs_exist_ok=True)
    for program in PROGRAMS:
        (root / program).parent.mkdir(parents=True, exist_ok=True)
        (root / program).write_text("#!/bin/sh\n")
        (root / program).chmod(0o755)
    with (root / GATEWAY_DROP_IN).open("a") as drop_in:
        drop_in.write(spoil)
    command = ["systemd-analyze", f"--root={root}", "verify", "--man=no"]
    checked = subprocess.run(
        [*command, "openclaw.service", "openclaw-auto-approve.service"], capture_output=True, text=True
    )
    assert ("Unknown" in checked.stdout + checked.stderr) is bool(spoil)
    assert bool(checked.stdout + checked.stderr) is bool(spoil)


def test_the_gateways_host_name_is_the_files() -> None:
    container = container_of(COMPOSE_FILE.read_text(encoding="utf-8"))
    assert container.host_name == "openclaw-gateway"


@pytest.mark.parametrize("name", ["two words", "Upper", "", "a" * 64])
def test_a_host_name_that_a_machine_could_not_have_is_refused(name: str) -> None:
    document = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    document["services"]["openclaw-gateway"]["hostname"] = name
    with pytest.raises(ComposeFileRefused, match="hostname"):
        container_of(yaml.safe_dump(document))
