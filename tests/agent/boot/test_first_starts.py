"""The first start of all: an empty bucket, and a state folder that the boot prepares."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_agent.boot import boot
from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from tests.support.privileges import root_only
from tests.support.simulated_instance import FreshBucket, contents, picture


@pytest.fixture(autouse=True)
def minimal_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    place = tmp_path / "openclaw.minimal.json"
    place.write_text("{}")
    monkeypatch.setattr(boot, "MINIMAL_CONFIG", place)


def test_the_minimal_configuration_is_written_on_a_first_start(world: FreshBucket) -> None:
    first = world.machine()
    shutil.rmtree(first.state)
    assert first.boot().code == 0
    assert contents(first.state) == {"openclaw.json": "{}"}
    assert (first.state / "openclaw.json").stat().st_mode & 0o7777 == 0o600
    assert first.state.stat().st_mode & 0o7777 == 0o700


@root_only("only root gives files away")
@pytest.mark.parametrize(("on_instance", "owner"), [(True, GATEWAY_UID), (False, 0)])
def test_on_the_instance_what_a_first_start_makes_is_the_gateways(
    world: FreshBucket, on_instance: bool, owner: int
) -> None:
    first = world.machine()
    shutil.rmtree(first.state)
    if on_instance:
        (first.disk / "instance.json").write_text('{"stack": "dev"}')
    run = first.boot()
    assert run.code == 0, run.err
    assert "The bucket holds no state: this is a first boot." in run.err
    for place in (first.state, first.state / "openclaw.json"):
        assert (place.stat().st_uid, place.stat().st_gid) == (owner, owner)


def dangling(place: Path, host: Path) -> None:
    place.symlink_to(host / "docker-compose.override.yaml")


def to_a_file(place: Path, host: Path) -> None:
    place.symlink_to(host / "passwd")


def another_name(place: Path, host: Path) -> None:
    place.hardlink_to(host / "passwd")


def a_folder(place: Path, _host: Path) -> None:
    place.mkdir()


def a_pipe(place: Path, _host: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize("plant", [dangling, to_a_file, another_name, a_folder, a_pipe])
def test_whatever_has_the_configurations_name_is_neither_followed_nor_given_away(
    world: FreshBucket, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    (host / "passwd").write_text("root:x:0:0")
    first = world.machine()
    (first.disk / "instance.json").write_text('{"stack": "dev"}')
    plant(first.state / "openclaw.json", host)
    (outside, planted), kind = map(picture, (host, first.state)), (first.state / "openclaw.json").lstat().st_mode
    first.boot()
    assert picture(host) == outside
    assert (first.state / "openclaw.json").lstat().st_mode == kind
    assert picture(first.state).get("openclaw.json") == planted.get("openclaw.json")


def test_a_file_in_place_of_the_state_folder_is_told_and_the_gateway_does_not_start(world: FreshBucket) -> None:
    first = world.machine()
    first.state.rmdir()
    first.state.write_text("mine")
    run = first.boot()
    assert run.code == 1
    assert f"The state folder {first.state} cannot be prepared (File exists)." in run.err
    assert first.state.read_text() == "mine"
    assert first.restore("--before-start").code == 3
    first.state.unlink()
    assert first.boot().code == 0
    assert contents(first.state) == {"openclaw.json": "{}"}


def test_a_bucket_of_stray_objects_is_a_first_start_that_names_them_and_leaves_them(world: FreshBucket) -> None:
    strays = {"AWSLogs/123456789012/a-line": "a log", "README.txt": "what this is for", ".DS_Store": "Mac"}
    for key, text in strays.items():
        world.put(key, text)
    first = world.machine()
    run = first.boot()
    assert (run.code, run.line["result"]) == (0, "first-boot")
    assert "holds 3 objects that are no state ('.DS_Store', 'AWSLogs/" in run.err
    assert contents(first.state) == {"openclaw.json": "{}"}
    assert first.backup("--final").code == 0
    assert contents(world.booted("second").state) == {"openclaw.json": "{}"}
    assert {key: world.get(key).decode() for key in strays} == strays
