"""Which engine runs the lab's gateway, and what its machines are made of."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.host.errors import RootImageFailed
from lab.host.gateway_engine import EngineRefused, GatewayEngine, chosen_engine
from lab.image import docker_layers, root_image
from lab.image.debian import OnStep
from lab.image.docker_layers import COMPOSE_INSTALLED, STORE, fill_compose, suite_sources
from lab.image.layers import Layer
from lab.image.root_image import BuiltLayer, Gateway, RootImage, obtain_root_image
from lab.machine import disk
from lab.machine.disk import DOCKER_STORE, create_disk


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


@pytest.mark.subprocess
def test_make_lab_with_an_unknown_engine_ends_with_a_sentence_and_1() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "lab.demo"],
        env={"OPENCLAW_LAB_ENGINE": "podman", "PATH": "/usr/bin:/bin"},
        cwd=root_image.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "make lab failed: 'podman' is no engine" in told.stdout
    assert "Traceback" not in told.stdout + told.stderr


@pytest.mark.subprocess
def test_where_no_machine_can_boot_docker_is_refused_and_not_replaced() -> None:
    # As an ordinary user, who may not boot machines.
    told = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import os, sys\nos.geteuid = lambda: 1000\nsys.argv = ['lab']\n"
            "from lab.demo.__main__ import main\nsys.exit(main())",
        ],
        env={"OPENCLAW_LAB_ENGINE": "docker", "PATH": "/usr/bin:/bin"},
        cwd=root_image.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    assert "make lab failed: The instance cannot be booted here: it needs " in told.stdout


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        (
            "deb http://mirror.test/debian bookworm-updates main\ndeb http://mirror.test/debian bookworm main\n",
            "deb http://mirror.test/debian sid main\n",
        ),
        ("", ""),
    ],
    ids=["a mirror", "none"],
)
def test_another_suite_comes_from_this_machines_own_mirror(sources: str, found: str) -> None:
    assert suite_sources(sources, "sid") == found


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("version", "taken"), [("2.40.3-3", True), ("v5.0.1", True), ("2.26.1-4", False)], ids=["sid", "newer", "older"]
)
def test_a_compose_plugin_without_raw_env_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, taken: bool
) -> None:
    def extract(root: Path, *_: object) -> None:
        plugin = root / docker_layers.COMPOSE_PACKAGED
        plugin.parent.mkdir(parents=True)
        plugin.write_text(f'#!/bin/sh\necho \'{{"Version": "{version}"}}\'\n')

    monkeypatch.setattr(docker_layers, "_mmdebstrap", extract)
    monkeypatch.setattr(docker_layers, "debian_sources", lambda on_step: "")
    if taken:
        fill_compose(tmp_path, lambda message: None)
        assert (tmp_path / COMPOSE_INSTALLED).stat().st_mode & 0o777 == 0o755
        assert [path.name for path in tmp_path.iterdir()] == ["usr"]
    else:
        with pytest.raises(RootImageFailed, match=r"older than 2\.30"):
            fill_compose(tmp_path, lambda message: None)


def test_the_root_with_an_engine_has_its_own_debian_and_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def layer(name: str) -> Layer:
        def fill(root: Path, on_step: OnStep) -> None:
            (root / name).write_text(name)

        return Layer(name, name, fill)

    for function in ("compose_layer", "awscli_layer", "docker_debian_layer", "openclaw_layer"):
        monkeypatch.setattr(root_image, function, lambda function=function: layer(function))
    asked: list[tuple[str, str]] = []

    def store(engine_root: Path, openclaw: Path, version: str) -> Layer:
        asked.append((engine_root.name.split("-")[0], openclaw.name.split("-")[0]))
        return layer("store")

    monkeypatch.setattr(root_image, "store_layer", store)
    image = obtain_root_image(tmp_path, lambda message: None, GatewayEngine.DOCKER)
    assert (image.engine, image.gateway) == (GatewayEngine.DOCKER, Gateway.OPENCLAW)
    assert asked == [("docker_debian_layer", "openclaw_layer")]
    # OpenClaw is in the image, and not in the instance's own root.
    assert [path.name.split("-")[0] for path in image.paths] == ["compose_layer", "awscli_layer", "docker_debian_layer"]
    assert image.store is not None
    assert image.store.parts[-3:] == STORE.parts


@pytest.mark.subprocess
def test_a_machines_store_shares_the_images_files_and_owns_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_overlay_works", lambda folder, image: True)
    store = tmp_path / "store"
    for file in ("overlay2/abc/diff/app", "image/overlay2/repositories.json"):
        (store / file).parent.mkdir(parents=True)
        (store / file).write_text("as imported")
    layer = BuiltLayer(tmp_path / "layer", 0, 0.0, was_cached=True)
    create_disk(tmp_path / "disk", RootImage((layer,), Gateway.OPENCLAW, GatewayEngine.DOCKER, store))
    mine = tmp_path / "disk" / DOCKER_STORE
    assert (mine / "overlay2/abc/diff/app").samefile(store / "overlay2/abc/diff/app")
    (mine / "image/overlay2/repositories.json").write_text("changed")
    assert (store / "image/overlay2/repositories.json").read_text() == "as imported"
