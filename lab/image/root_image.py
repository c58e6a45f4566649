"""The root that instances boot from: built once in layers, cached by their recipes."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from lab.host.errors import InstanceError, RootImageFailed
from lab.host.gateway_engine import GatewayEngine
from lab.image.debian import OnStep
from lab.image.docker_layers import STORE, compose_layer, docker_debian_layer, store_layer
from lab.image.layers import (
    Layer,
    awscli_layer,
    debian_layer,
    openclaw_layer,
    stand_in_layer,
)
from openclaw_ec2_spot.config_keys import OPENCLAW_VERSION

CACHE_VARIABLE = "OPENCLAW_LAB_CACHE"
REPOSITORY = Path(__file__).resolve().parents[2]
_CHARACTERS_OF_A_KEY = 12


class Gateway(Enum):
    """Which program answers as the gateway; the value names it for a person."""

    OPENCLAW = "OpenClaw from npm"
    STAND_IN = "the stand-in for the gateway"


@dataclass(frozen=True, slots=True)
class BuiltLayer:
    """A layer in the cache: where it is, its size in bytes and how many seconds its making took."""

    path: Path
    size_bytes: int
    build_seconds: float
    was_cached: bool


@dataclass(frozen=True, slots=True)
class RootImage:
    """The layers of a root, uppermost first, the gateway in it, and what runs that.

    `store` is the Docker engine's store with the gateway's image in it, from which each machine gets its own.
    """

    layers: tuple[BuiltLayer, ...]
    gateway: Gateway
    engine: GatewayEngine = GatewayEngine.UNIT
    store: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders to be laid over one another, uppermost first."""
        return tuple(layer.path for layer in self.layers)

    @property
    def size_bytes(self) -> int:
        """The room that the root takes in the cache."""
        return sum(layer.size_bytes for layer in self.layers)


def cache_folder() -> Path:
    """Returns where roots and machines' disks are kept: `.cache/lab` of the repository, or OPENCLAW_LAB_CACHE."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).absolute() if chosen else REPOSITORY / ".cache" / "lab"


def obtain_root_image(cache: Path, on_step: OnStep, engine: GatewayEngine = GatewayEngine.UNIT) -> RootImage:
    """Returns the root for instances, building what the cache lacks.

    Where npm or PyPI's Node cannot be had, the gateway's stand-in takes the gateway's place, and `on_step` hears why;
    no image is made of a stand-in. Raises RootImageFailed when Debian, the AWS CLI or what the engine needs is not to
    be had.
    """
    with _one_builder_at_a_time(cache, on_step):
        if engine is GatewayEngine.DOCKER:
            return _obtain_with_docker(cache, on_step)
        base = (_obtain(awscli_layer(), cache, on_step), _obtain(debian_layer(), cache, on_step))
        try:
            return RootImage((_obtain(openclaw_layer(), cache, on_step), *base), Gateway.OPENCLAW)
        except RootImageFailed as failure:
            on_step(f"The real OpenClaw cannot be installed here, a stand-in takes its place. {failure}")
            return RootImage((_obtain(stand_in_layer(), cache, on_step), *base), Gateway.STAND_IN)


def _obtain_with_docker(cache: Path, on_step: OnStep) -> RootImage:
    compose, awscli = _obtain(compose_layer(), cache, on_step), _obtain(awscli_layer(), cache, on_step)
    debian = _obtain(docker_debian_layer(), cache, on_step)
    openclaw = _obtain(openclaw_layer(), cache, on_step)
    store = _obtain(store_layer(debian.path, openclaw.path, OPENCLAW_VERSION), cache, on_step)
    return RootImage((compose, awscli, debian), Gateway.OPENCLAW, GatewayEngine.DOCKER, store.path / STORE)


def layer_key(layer: Layer) -> str:
    """Returns the layer's name in the cache; it changes with the recipe alone."""
    digest = hashlib.sha256(layer.recipe.encode()).hexdigest()
    return f"{layer.name}-{digest[:_CHARACTERS_OF_A_KEY]}"


def _obtain(layer: Layer, cache: Path, on_step: OnStep) -> BuiltLayer:
    folder = cache / "layers" / layer_key(layer)
    notes = folder.with_suffix(".json")
    if folder.is_dir() and notes.exists():
        noted = json.loads(notes.read_text())
        return BuiltLayer(folder, noted["size_bytes"], noted["build_seconds"], was_cached=True)
    started = time.monotonic()
    unfinished = folder.with_suffix(".unfinished")
    for leftover in (unfinished, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o755)
    unfinished.chmod(0o755)
    try:
        layer.fill(unfinished, on_step)
    except (InstanceError, OSError, subprocess.SubprocessError) as failure:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise RootImageFailed(f"The {layer.name} layer of the root could not be built: {failure}") from failure
    built = BuiltLayer(folder, _size_of(unfinished), round(time.monotonic() - started, 1), was_cached=False)
    unfinished.rename(folder)
    notes.write_text(json.dumps({"size_bytes": built.size_bytes, "build_seconds": built.build_seconds}))
    return built


def _size_of(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        total += sum(os.lstat(os.path.join(parent, name)).st_blocks * 512 for name in names)  # noqa: PTH118 - speed
    return total


@contextmanager
def _one_builder_at_a_time(cache: Path, on_step: OnStep) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_step("Waiting for another lab that is building the root")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
