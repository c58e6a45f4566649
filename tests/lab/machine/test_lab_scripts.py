"""The lab's own shell scripts, checked by shellcheck."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.host.gateway_engine import GatewayEngine
from lab.image.compose_file import read_compose_file
from lab.image.compose_unit import unit_settings
from lab.machine.disk import ENGINE_FILES, ROOT_FILES, Disk, put_root_files

LAB = ROOT_FILES.parents[1]
SHELLS = ("#!/bin/sh\n", "#!/bin/bash\n")
SCRIPTS = sorted(
    str(path.relative_to(LAB))
    for path in LAB.rglob("*")
    if path.is_file() and path.read_bytes()[:20].decode(errors="replace").startswith(SHELLS)
)

pytestmark = [
    pytest.mark.subprocess,
    pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed"),
]


def complaints(path: Path) -> str:
    return subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False).stdout


def test_the_scripts_are_found() -> None:
    assert {"machine/machine_boot.sh", "image/docker_import.sh", "drills/small_disk.sh"} < set(SCRIPTS)
    assert len([name for name in SCRIPTS if name.endswith("openclaw-as-gateway")]) == len(GatewayEngine)


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing(name: str) -> None:
    assert complaints(LAB / name) == ""


def test_shellcheck_finds_nothing_in_what_is_rendered_from_the_compose_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.chown", lambda *_, **__: None)
    disk = Disk(tmp_path, ())
    put_root_files(disk, unit_settings(read_compose_file()), ENGINE_FILES[GatewayEngine.UNIT])
    assert complaints(disk.written / "usr/share/openclaw-lab/container.sh") == ""
