from collections.abc import Callable
from pathlib import Path

import pytest

from lab.host.errors import CommandFailed, RootImageFailed
from lab.image import layers, root_image
from lab.image.debian import OnStep
from lab.image.layers import Layer
from lab.image.root_image import Gateway, cache_folder, layer_key, obtain_root_image
from openclaw_ec2_spot.config_keys import OPENCLAW_VERSION

Filler = Callable[[Path, OnStep], None]


def writes(name: str, filled: list[str]) -> Filler:
    def fill(root: Path, on_step: OnStep) -> None:
        filled.append(name)
        on_step(f"filling {name}")
        (root / name).write_text(name)

    return fill


def fails(root: Path, on_step: OnStep) -> None:
    (root / "half").write_text("half")
    raise CommandFailed("npm cannot be reached.")


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    for function, name in (
        ("debian_layer", "debian"),
        ("awscli_layer", "awscli"),
        ("openclaw_layer", "openclaw"),
        ("stand_in_layer", "stand-in"),
    ):
        layer = Layer(name, f"recipe of {name}", writes(name, names))
        monkeypatch.setattr(root_image, function, lambda layer=layer: layer)
    return names


def test_the_root_is_built_once_and_then_found(tmp_path: Path, filled: list[str]) -> None:
    said: list[str] = []
    first = obtain_root_image(tmp_path, said.append)
    second = obtain_root_image(tmp_path, said.append)
    assert filled == ["awscli", "debian", "openclaw"]
    assert said == ["filling awscli", "filling debian", "filling openclaw"]
    assert first.gateway is second.gateway is Gateway.OPENCLAW
    assert first.paths == second.paths
    assert [layer.was_cached for layer in second.layers] == [True, True, True]
    assert [path.name.split("-")[0] for path in first.paths] == ["openclaw", "awscli", "debian"]


def test_without_npm_the_stand_in_takes_the_gateways_place_and_the_reason_is_said(
    tmp_path: Path, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_image, "openclaw_layer", lambda: Layer("openclaw", "recipe", fails))
    said: list[str] = []
    image = obtain_root_image(tmp_path, said.append)
    assert image.gateway is Gateway.STAND_IN
    assert any("a stand-in takes its place" in line and "npm cannot be reached." in line for line in said)


def test_once_npm_is_back_the_real_gateway_is_installed(
    tmp_path: Path, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as offline:
        offline.setattr(root_image, "openclaw_layer", lambda: Layer("openclaw", "recipe", fails))
        obtain_root_image(tmp_path, lambda message: None)
    assert obtain_root_image(tmp_path, lambda message: None).gateway is Gateway.OPENCLAW
    assert filled.count("debian") == 1


def test_without_debian_there_is_one_clear_sentence_and_nothing_half_built(
    tmp_path: Path, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_image, "debian_layer", lambda: Layer("debian", "recipe", fails))
    with pytest.raises(RootImageFailed, match=r"^The debian layer of the root could not be built: npm cannot"):
        obtain_root_image(tmp_path, lambda message: None)
    assert not [path.name for path in (tmp_path / "layers").iterdir() if path.name.startswith("debian")]


def test_a_layers_key_follows_its_recipe_alone() -> None:
    key = layer_key(Layer("debian", "one", fails))
    assert key == layer_key(Layer("debian", "one", writes("debian", [])))
    assert key != layer_key(Layer("debian", "two", fails))
    assert key.startswith("debian-")


def test_the_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENCLAW_LAB_CACHE", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere"
    monkeypatch.delenv("OPENCLAW_LAB_CACHE")
    assert cache_folder().parts[-2:] == (".cache", "lab")


def test_the_stand_in_layer_needs_no_network_and_holds_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.chown", lambda *arguments, **options: None)
    layers.fill_stand_in(tmp_path, lambda message: None)
    assert (tmp_path / "opt/openclaw-npm/bin/openclaw").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "home/node/.openclaw").readlink() == Path("/opt/openclaw/.openclaw")


def test_real_layers_have_recipes_that_name_what_is_pinned() -> None:
    assert OPENCLAW_VERSION in layers.openclaw_layer().recipe
    assert layers.NODE_WHEEL in layers.openclaw_layer().recipe
    assert "awscli==" in layers.awscli_layer().recipe
    assert "cloud-init" in layers.debian_layer().recipe
