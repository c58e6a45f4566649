from pathlib import Path

import pytest

from lab.host.gateway_engine import GatewayEngine
from lab.image.root_image import BuiltLayer, Gateway, RootImage
from lab.machine.disk import DOCKER_STORE, Disk, create_disk, put_root_files, put_seed


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    given: list[tuple[str, int, int]] = []

    def note(path: Path, uid: int, gid: int, *, follow_symlinks: bool) -> None:
        given.append((path.name, uid, gid))

    monkeypatch.setattr("os.chown", note)
    return given


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "usr/bin/tool").write_text("#!/bin/sh\n")
    (folder / "usr/bin/tool").chmod(0o775)
    (folder / "etc").mkdir()
    (folder / "etc/where.conf.tmpl").write_text("at=${endpoint_url}\n")
    (folder / "etc/masked.timer").symlink_to("/dev/null")
    return folder


def test_files_are_put_with_owner_root_and_plain_modes(
    tmp_path: Path, source: Path, owners: list[tuple[str, int, int]]
) -> None:
    target = Disk(tmp_path / "disk", (tmp_path / "lower",))
    put_root_files(target, {"endpoint_url": "http://10.77.0.1:5000"}, source)
    assert (target.written / "usr/bin/tool").stat().st_mode & 0o777 == 0o755
    assert (target.written / "etc/where.conf").read_text() == "at=http://10.77.0.1:5000\n"
    assert (target.written / "etc/where.conf").stat().st_mode & 0o777 == 0o644
    assert (target.written / "etc/masked.timer").readlink() == Path("/dev/null")
    assert sorted(owners) == [("masked.timer", 0, 0), ("tool", 0, 0), ("where.conf", 0, 0)]


def test_a_template_that_asks_for_an_unknown_setting_is_an_error(
    tmp_path: Path, source: Path, owners: list[tuple[str, int, int]]
) -> None:
    with pytest.raises(KeyError, match="endpoint_url"):
        put_root_files(Disk(tmp_path / "disk", ()), {}, source)


def test_the_seed_holds_the_user_data_as_it_was_and_readable_by_root_alone(tmp_path: Path) -> None:
    target = Disk(tmp_path / "disk", ())
    put_seed(target, "i-0123", "ip-10-77-0-10", "#cloud-config\n{}\n")
    seed = target.folder / "root/var/lib/cloud/seed/nocloud"
    assert (seed / "user-data").read_text() == "#cloud-config\n{}\n"
    assert (seed / "user-data").stat().st_mode & 0o777 == 0o600
    assert '"instance-id": "i-0123"' in (seed / "meta-data").read_text()


@pytest.mark.subprocess
def test_a_machines_store_shares_the_images_files_and_owns_its_records(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for file in ("overlay2/abc/diff/app", "image/overlay2/repositories.json"):
        (store / file).parent.mkdir(parents=True)
        (store / file).write_text("as imported")
    (tmp_path / "layer").mkdir()
    layer = BuiltLayer(tmp_path / "layer", 0, 0.0, was_cached=True)
    create_disk(tmp_path / "disk", RootImage((layer,), Gateway.OPENCLAW, GatewayEngine.DOCKER, store))
    mine = tmp_path / "disk" / DOCKER_STORE
    assert (mine / "overlay2/abc/diff/app").samefile(store / "overlay2/abc/diff/app")
    (mine / "image/overlay2/repositories.json").write_text("changed")
    assert (store / "image/overlay2/repositories.json").read_text() == "as imported"
