"""The disk of one machine: the root image below, what the machine writes above, and what the lab puts there first."""

import json
import os
import shutil
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.host.commands import require_success, run_command
from lab.host.gateway_engine import GatewayEngine
from lab.image.root_image import RootImage

ROOT_FILES = Path(__file__).with_name("root_files")
ENGINE_FILES = {engine: Path(__file__).with_name(f"root_files_{engine.value}") for engine in GatewayEngine}
# Beside the root, because an engine cannot lay its overlays over an overlay.
DOCKER_STORE = "docker"
TEMPLATE_SUFFIX = ".tmpl"
SEED = Path("var/lib/cloud/seed/nocloud")
_SECONDS_TO_COPY = 600


@dataclass(frozen=True, slots=True)
class Disk:
    """A machine's disk on the host; `lower` is empty where the whole root had to be copied."""

    folder: Path
    lower: tuple[Path, ...]

    @property
    def written(self) -> Path:
        """What the machine has written (an overlay's upper layer), or all of its root where it is a copy."""
        return self.folder / ("upper" if self.lower else "root")

    def remove(self) -> None:
        """Deletes the disk; one that is gone already is no error."""
        remove_disk(self.folder)


def remove_disk(folder: Path) -> None:
    """Deletes a disk's folder, whatever lies in it; one that is gone already is no error."""
    # Python 3.11's rmtree recurses, and what a hostile gateway has left is deeper than that.
    run_command(["rm", "--recursive", "--force", str(folder)])


def create_disk(folder: Path, image: RootImage) -> Disk:
    """Creates an empty disk over the image: an overlay, or a copy where overlays cannot be mounted here."""
    for name in ("upper", "work", "root"):
        _make_folder(folder / name)
    if image.store is not None:
        _make_store(folder / DOCKER_STORE, image.store)
    if _overlay_works(folder, image):
        return Disk(folder, image.paths)
    for layer in reversed(image.paths):
        require_success(
            ["cp", "--archive", "--reflink=auto", f"{layer}/.", str(folder / "root")], timeout_seconds=_SECONDS_TO_COPY
        )
    return Disk(folder, ())


def put_root_files(disk: Disk, settings: Mapping[str, str], source: Path = ROOT_FILES) -> None:
    """Puts the lab's own files on the disk, owned by root; a template's `${name}` is filled from the settings."""
    for path in sorted(source.rglob("*")):
        target = disk.written / path.relative_to(source)
        if path.is_dir() and not path.is_symlink():
            _make_folder(target)
            continue
        target.unlink(missing_ok=True)
        if path.is_symlink():
            target.symlink_to(path.readlink())
        elif path.suffix == TEMPLATE_SUFFIX:
            target = target.with_suffix("")
            target.write_text(string.Template(path.read_text()).substitute(settings))
        else:
            shutil.copyfile(path, target)
        if not target.is_symlink():
            target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        os.chown(target, 0, 0, follow_symlinks=False)


def put_seed(disk: Disk, instance_id: str, host_name: str, user_data: str) -> None:
    """Gives cloud-init its NoCloud seed: the user-data, and an instance id that makes a new one a first boot."""
    folder = disk.written
    for part in SEED.parts:
        folder = folder / part
        _make_folder(folder)
    (folder / "meta-data").write_text(json.dumps({"instance-id": instance_id, "local-hostname": host_name}))
    (folder / "user-data").write_text(user_data)
    (folder / "user-data").chmod(0o600)
    _make_folder(disk.written / "etc")
    (disk.written / "etc/hostname").write_text(f"{host_name}\n")
    # There is no DNS that would know it.
    (disk.written / "etc/hosts").write_text(f"127.0.0.1 localhost {host_name}\n")


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)


def _make_store(folder: Path, store: Path) -> None:
    folder.mkdir(mode=0o710)
    # An engine never writes to an image's layer, so all machines share those files; the records beside it are its own.
    require_success(
        ["cp", "--archive", "--link", str(store / "overlay2"), str(folder)], timeout_seconds=_SECONDS_TO_COPY
    )
    require_success(["cp", "--archive", str(store / "image"), str(folder)], timeout_seconds=_SECONDS_TO_COPY)


def _overlay_works(folder: Path, image: RootImage) -> bool:
    options = f"lowerdir={':'.join(map(str, image.paths))},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    mount = ["unshare", "--mount", "mount", "-t", "overlay", "probe", "-o", options, str(folder / "root")]
    return run_command(mount).exit_code == 0
