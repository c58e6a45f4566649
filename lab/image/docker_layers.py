"""The layers that ENGINE=docker needs besides: Debian with its Docker engine, the compose plugin, and the image.

The image is imported once, by the engine that later runs it, and kept as that engine's own store.
"""

import platform
import re
import shutil
from pathlib import Path

from lab.host.commands import require_success
from lab.host.errors import RootImageFailed
from lab.image.debian import SUITE, OnStep, apt_settings, debian_sources
from lab.image.layers import DEBIAN_PACKAGES, GATEWAY_UID, Layer, fill_debian, left_out_options

# What the stacks configure by default; `docker pull` fails for want of a network, and the copy here is taken.
IMAGE = "ghcr.io/openclaw/openclaw"
IMPORT_SCRIPT = Path(__file__).with_name("docker_import.sh")
STORE = Path("var/lib/docker")
# iptables is what the engine makes its network with, tini what `init: true` runs.
DOCKER_PACKAGES = ("docker.io", "iptables", "tini")
# env_file's format: raw came with 2.30.0 (its release notes); Debian 12 and 13 have older ones.
COMPOSE_SUITE = "sid"
OLDEST_COMPOSE = (2, 30)
COMPOSE_PACKAGED = "usr/libexec/docker/cli-plugins/docker-compose"
COMPOSE_INSTALLED = "usr/local/lib/docker/cli-plugins/docker-compose"
# Node's libraries, and what an agent's workspace is kept with.
IMAGE_PACKAGES = ("ca-certificates", "git", "libstdc++6")
_SECONDS_FOR_A_LAYER = 900


def docker_debian_layer() -> Layer:
    """Returns the layer with Debian and its Docker engine, in place of the one with Debian alone."""
    packages = (*DEBIAN_PACKAGES, *DOCKER_PACKAGES)
    recipe = "\n".join(("1", SUITE, platform.machine(), *packages))
    return Layer("debian-docker", recipe, lambda root, on_step: fill_debian(root, on_step, packages))


def compose_layer() -> Layer:
    """Returns the layer with the compose plugin, where the installer would put it."""
    return Layer("compose", "\n".join(("1", COMPOSE_SUITE, platform.machine())), fill_compose)


def store_layer(engine_root: Path, openclaw: Path, version: str) -> Layer:
    """Returns the engine's store with the image made of a small Debian and the layer with OpenClaw.

    `engine_root` is the folder of the layer whose engine imports it.
    """
    recipe = "\n".join(("1", engine_root.name, openclaw.name, version, IMPORT_SCRIPT.read_text(), *IMAGE_PACKAGES))
    return Layer(
        "image-store", recipe, lambda store, on_step: fill_store(store, engine_root, openclaw, version, on_step)
    )


def fill_compose(root: Path, on_step: OnStep) -> None:
    """Takes the plugin out of Debian's newest package; the archive's signature vouches for it."""
    on_step(f"Adding the compose plugin from Debian {COMPOSE_SUITE}")
    scratch = root / "scratch"
    sources = suite_sources(debian_sources(on_step), COMPOSE_SUITE)
    _mmdebstrap(scratch, COMPOSE_SUITE, "extract", ("docker-compose",), sources)
    plugin = root / COMPOSE_INSTALLED
    plugin.parent.mkdir(parents=True)
    shutil.copyfile(scratch / COMPOSE_PACKAGED, plugin)
    plugin.chmod(0o755)
    shutil.rmtree(scratch)
    version = require_success([str(plugin), "docker-cli-plugin-metadata"])
    found = re.search(r'"Version":\s*"v?(\d+)\.(\d+)', version)
    if found is None or (int(found[1]), int(found[2])) < OLDEST_COMPOSE:
        wanted = ".".join(map(str, OLDEST_COMPOSE))
        raise RootImageFailed(f"the compose plugin of Debian {COMPOSE_SUITE} is older than {wanted}: {version.strip()}")


def fill_store(store: Path, engine_root: Path, openclaw: Path, version: str, on_step: OnStep) -> None:
    """Makes the image's root and lets the engine import it under the name that docker-compose.yaml is given."""
    on_step(f"Importing the image {IMAGE}:{version} made of Debian {SUITE} and OpenClaw from npm")
    scratch = store / "scratch"
    base = scratch / "base"
    scratch.mkdir()
    _mmdebstrap(base, SUITE, "minbase", IMAGE_PACKAGES, debian_sources(on_step))
    for file, line in (
        ("passwd", f"node:x:{GATEWAY_UID}:{GATEWAY_UID}::/home/node:/bin/bash\n"),
        ("group", f"node:x:{GATEWAY_UID}:\n"),
    ):
        with (base / "etc" / file).open("a") as users:
            users.write(line)
    (base / "app").symlink_to("opt/openclaw-npm/lib/node_modules/openclaw")
    require_success(
        [
            *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", str(IMPORT_SCRIPT)),
            *(str(engine_root), f"{openclaw}:{base}", str(scratch), f"{IMAGE}:{version}"),
        ],
        timeout_seconds=_SECONDS_FOR_A_LAYER,
    )
    (store / STORE).mkdir(parents=True)
    # The rest of the store is about the engine that ran, not about the image.
    for part in ("image", "overlay2"):
        (scratch / "store" / part).rename(store / STORE / part)
    shutil.rmtree(scratch)


def suite_sources(sources: str, suite: str) -> str:
    """Returns the main source among `deb` lines for Debian 12, turned to another suite; empty where there is none."""
    for line in sources.splitlines():
        kind, uri, named, component = line.split()
        if named == SUITE:
            return f"{kind} {uri} {suite} {component}\n"
    return ""


def _mmdebstrap(root: Path, suite: str, variant: str, packages: tuple[str, ...], sources: str) -> None:
    options = [f"--aptopt={setting}" for setting in ('Acquire::Languages "none"', *apt_settings())]
    require_success(
        [
            *("mmdebstrap", "--mode=root", f"--variant={variant}", "--format=directory", *options),
            *left_out_options(),
            *(f"--include={','.join(packages)}", suite, str(root), *(["-"] if sources else [])),
        ],
        timeout_seconds=_SECONDS_FOR_A_LAYER,
        input_text=sources or None,
    )
