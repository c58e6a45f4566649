"""Reads cloud_init/docker-compose.yaml, the one place that says how the gateway's container is run."""

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import yaml

from lab.host.errors import InstanceError

COMPOSE_FILE = Path(__file__).resolve().parents[2] / "cloud_init" / "docker-compose.yaml"
GATEWAY = "openclaw-gateway"
CLI = "openclaw-cli"
PROGRAM = ("node", "dist/index.js")
# What a unit has no counterpart for, or has one that does not come from here; each is named in lab/differences.yaml.
WITHOUT_COUNTERPART = frozenset(
    {
        "depends_on",
        "healthcheck",
        "image",
        "init",
        "logging",
        "network_mode",
        "profiles",
        "restart",
        "stdin_open",
        "tty",
    }
)
# The CLI runs in what the gateway runs in, so one description serves both.
SHARED = ("environment", "env_file", "volumes", "read_only", "tmpfs", "cap_drop", "security_opt", "ulimits")
_PLAIN = re.compile(r"[\w./:=@-]+", re.ASCII)
_INTERPOLATED = re.compile(r"\$\{[A-Z_]+:-\d+[bkmg]?\}|\d+[bkmg]?")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class ComposeFileRefused(InstanceError):
    """The compose file says something that the lab's unit would not do."""


@dataclass(frozen=True, slots=True)
class BindMount:
    """A folder of the instance as the container sees it."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Container:
    """How the gateway's container is run; limits are None where the file sets none.

    Memory limits are the file's own expressions, `1600m` or `${NAME:-1600m}`, which a shell reads as compose does.
    """

    arguments: tuple[str, ...]
    host_name: str | None
    environment: Mapping[str, str]
    env_files: tuple[str, ...]
    quoted_env_files: tuple[str, ...]
    mounts: tuple[BindMount, ...]
    stop_grace_seconds: int | None
    memory_limit: str | None
    memory_and_swap_limit: str | None
    pids_limit: int | None
    drops_all_capabilities: bool
    no_new_privileges: bool


def read_compose_file(path: Path = COMPOSE_FILE) -> Container:
    """Returns the container that the file describes; raises ComposeFileRefused naming what is not understood."""
    return container_of(path.read_text(encoding="utf-8"))


def container_of(text: str) -> Container:
    """Returns the container that the text of a compose file describes; every key in it must be a known one."""
    document = yaml.safe_load(text)
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict):
        _refuse("it has no services")
    for key in document:
        if key not in ("name", "services") and not key.startswith("x-"):
            _refuse(f"its key {key!r} is unknown to the lab")
    services: Mapping[str, dict[str, Any]] = document["services"]
    if set(services) != {GATEWAY, CLI}:
        _refuse(f"its services must be {GATEWAY} and {CLI}, and are {', '.join(sorted(services))}")
    for name, service in services.items():
        for key in service:
            if key not in WITHOUT_COUNTERPART and key not in _READERS and key not in _ONLY_CHECKED:
                _refuse(f"{name} has the key {key!r}, which the lab's unit would ignore")
    gateway, cli = services[GATEWAY], services[CLI]
    for key in SHARED:
        if gateway.get(key) != cli.get(key):
            _refuse(f"{key} of {CLI} is another than that of {GATEWAY}")
    if tuple(cli.get("entrypoint", ())) != PROGRAM or "command" in cli:
        _refuse(f"the entrypoint of {CLI} must be {' '.join(PROGRAM)}, without a command")
    container = Container(
        **{_READERS[key][0]: _READERS[key][1](gateway.get(key)) for key in _READERS},
        quoted_env_files=_env_files(gateway.get("env_file"), raw=False),
    )
    _check_ports(gateway.get("ports", []), container.arguments)
    _check_what_the_unit_has_itself(gateway, container.environment.get("HOME", ""))
    return container


def _arguments(command: Any) -> tuple[str, ...]:
    words = tuple(command) if isinstance(command, list) else ()
    if words[: len(PROGRAM)] != PROGRAM or not all(isinstance(word, str) for word in words):
        _refuse(f"the command of {GATEWAY} must be a list of texts that begins with {', '.join(PROGRAM)}")
    for word in words:
        _plain(word, "the command")
    return words[len(PROGRAM) :]


def _environment(variables: Any) -> dict[str, str]:
    if not isinstance(variables, dict):
        _refuse("environment must be a mapping of names to values")
    for name, value in variables.items():
        if not isinstance(value, str) or "$" in value:
            _refuse(f"the value of {name} in environment must be a text without $")
    return dict(variables)


def _env_files(files: Any, *, raw: bool) -> tuple[str, ...]:
    for file in files or ():
        if not isinstance(file, dict) or not {"path", "required"} <= set(file) <= {"path", "required", "format"}:
            _refuse("each env_file must have path and required, and may have format")
        if file["required"] is not True or file.get("format", "raw") != "raw":
            _refuse(f"{file['path']} in env_file must be required, and raw or of no format")
    return tuple(_plain(file["path"], "env_file") for file in files or () if ("format" in file) is raw)


def _mounts(volumes: Any) -> tuple[BindMount, ...]:
    mounts = []
    for volume in volumes or ():
        if not isinstance(volume, dict) or not {"type", "source", "target", "bind"} <= set(volume):
            _refuse("each of volumes must have type, source, target and bind")
        if set(volume) - {"type", "source", "target", "bind", "read_only"} or volume["type"] != "bind":
            _refuse(f"the volume at {volume['target']} must be a bind mount with nothing but read_only besides")
        if volume["bind"] != {"create_host_path": False}:
            _refuse(f"bind of the volume at {volume['target']} must be create_host_path: false")
        source, target = (_plain(volume[end], "volumes") for end in ("source", "target"))
        mounts.append(BindMount(source, target, bool(volume.get("read_only", False))))
    return tuple(mounts)


def _plain(word: str, where: str) -> str:
    # Neither systemd nor a shell sees more in such a word than it says.
    if _PLAIN.fullmatch(word) is None:
        _refuse(f"{word!r} in {where} has other characters than letters, digits and _ . / : = @ -")
    return word


def _seconds(duration: Any) -> int | None:
    if duration is None:
        return None
    matched = _DURATION.fullmatch(str(duration))
    if matched is None or not any(matched.groups()):
        _refuse(f"stop_grace_period {duration!r} is no duration such as 40s or 1m30s")
    hours, minutes, seconds = (int(part or 0) for part in matched.groups())
    return hours * 3600 + minutes * 60 + seconds


def _memory(limit: Any) -> str | None:
    if limit is not None and _INTERPOLATED.fullmatch(str(limit)) is None:
        _refuse(f"the memory limit {limit!r} is neither of the form 1600m nor ${{NAME:-1600m}}")
    return None if limit is None else str(limit)


def _pids(limit: Any) -> int | None:
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        _refuse(f"pids_limit {limit!r} is no number from 1")
    return limit


def _host_name(name: Any) -> str | None:
    if name is None:
        return None
    if not re.fullmatch(r"[a-z0-9-]{1,63}", str(name)):
        _refuse(f"hostname {name!r} is not of a-z, 0-9 and hyphens alone")
    return str(name)


def _drops_all(capabilities: Any) -> bool:
    if capabilities not in (None, ["ALL"]):
        _refuse(f"cap_drop must be [ALL], and is {capabilities}")
    return capabilities is not None


def _no_new_privileges(options: Any) -> bool:
    if options not in (None, ["no-new-privileges:true"]):
        _refuse(f"security_opt must be [no-new-privileges:true], and is {options}")
    return options is not None


def _check_ports(ports: Any, arguments: tuple[str, ...]) -> None:
    following = dict(itertools.pairwise(arguments))
    port = following.get("--port")
    if ports != [f"127.0.0.1:{port}:{port}"]:
        _refuse(f"ports must publish the gateway's --port {port} under the same number on 127.0.0.1 alone, not {ports}")


def _check_what_the_unit_has_itself(gateway: Mapping[str, Any], home: str) -> None:
    """The unit sees its root read-only, a /tmp and a home of its own, and dumps no core; so must the container."""
    folders = {str(folder).partition(":")[0] for folder in gateway.get("tmpfs", ())}
    if gateway.get("read_only") is not True or folders != {"/tmp", home}:  # noqa: S108 - the container's own
        _refuse(f"its root must be read_only, with tmpfs at /tmp and {home} and nowhere else")
    if gateway.get("ulimits") != {"core": 0}:
        _refuse(f"ulimits must be core: 0, and is {gateway.get('ulimits')}")


def _refuse(what: str) -> NoReturn:
    raise ComposeFileRefused(f"docker-compose.yaml cannot be turned into the lab's unit: {what}.")


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "command": ("arguments", _arguments),
    "hostname": ("host_name", _host_name),
    "environment": ("environment", _environment),
    "env_file": ("env_files", partial(_env_files, raw=True)),
    "volumes": ("mounts", _mounts),
    "stop_grace_period": ("stop_grace_seconds", _seconds),
    "mem_limit": ("memory_limit", _memory),
    "memswap_limit": ("memory_and_swap_limit", _memory),
    "pids_limit": ("pids_limit", _pids),
    "cap_drop": ("drops_all_capabilities", _drops_all),
    "security_opt": ("no_new_privileges", _no_new_privileges),
}
_ONLY_CHECKED = frozenset({"entrypoint", "ports", "read_only", "tmpfs", "ulimits"})
