"""The layers of a root with a Docker engine, its compose plugin and its image's store."""

import os
from pathlib import Path

import pytest

from lab.host.errors import RootImageFailed
from lab.host.gateway_engine import GatewayEngine
from lab.image import docker_layers, root_image
from lab.image.debian import OnStep
from lab.image.docker_layers import COMPOSE_INSTALLED, STORE, fill_compose, suite_sources
from lab.image.layers import Layer
from lab.image.root_image import Gateway, obtain_root_image


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
    # In place of Debian's archive; the folder to fill is the last argument.
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "plugin").write_text(f'#!/bin/sh\necho \'{{"Version": "{version}"}}\'\n')
    (programs / "mmdebstrap").write_text(
        f'#!/bin/sh\nfor root; do :; done\ninstall -D "{programs}/plugin" "$root/{docker_layers.COMPOSE_PACKAGED}"\n'
    )
    (programs / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    root = tmp_path / "root"
    monkeypatch.setattr(docker_layers, "debian_sources", lambda on_step: "")
    if taken:
        fill_compose(root, lambda message: None)
        assert (root / COMPOSE_INSTALLED).stat().st_mode & 0o777 == 0o755
        assert [path.name for path in root.iterdir()] == ["usr"]
    else:
        with pytest.raises(RootImageFailed, match=r"older than 2\.30"):
            fill_compose(root, lambda message: None)


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
