import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.subprocess,
    pytest.mark.skipif(shutil.which("mkswap") is None, reason="mkswap is not installed"),
]

SCRIPT = Path(__file__).parents[2] / "cloud_init" / "make-swap.sh"
SWAPON = """#!/bin/sh
case $1 in
--show=NAME) cat "{folder}/in-use" ;;
*)
    echo "$1" >>"{folder}/asked"
    [ ! -e "{folder}/refusal" ] || {{ echo "swapon: $1: swapon failed: $(cat "{folder}/refusal")" >&2; exit 255; }}
    ;;
esac
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in the place of /var/lib, with a swapon that says and does what its files there say."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/swapon").write_text(SWAPON.format(folder=tmp_path))
    (tmp_path / "bin/swapon").chmod(0o755)
    (tmp_path / "in-use").touch()
    return tmp_path


def make_swap(folder: Path) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.read_text().replace("/var/lib", str(folder))
    environment = {"PATH": f"{folder}/bin:/usr/sbin:/sbin:/usr/bin:/bin", "OPENCLAW_SWAP_MIB": "1"}
    return subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)


def asked(folder: Path) -> list[str]:
    return (folder / "asked").read_text().splitlines() if (folder / "asked").exists() else []


def test_a_file_is_made_once_and_put_to_use(folder: Path) -> None:
    assert make_swap(folder).returncode == 0
    file = folder / "openclaw-swapfile"
    assert (file.stat().st_size, file.stat().st_mode & 0o777) == (1 << 20, 0o600)
    assert asked(folder) == [str(file)]


@pytest.mark.parametrize("shown", ["openclaw-swapfile", "./openclaw-swapfile", "link"])
def test_a_file_in_use_is_known_by_its_inode_whatever_its_path_looks_like(folder: Path, shown: str) -> None:
    (folder / "openclaw-swapfile").touch()
    (folder / "link").symlink_to("openclaw-swapfile")
    (folder / "in-use").write_text(f"/dev/zram0\n{folder}/{shown}\n")
    assert make_swap(folder).returncode == 0
    assert asked(folder) == []


def test_a_restart_of_the_unit_finds_the_swap_in_use_although_no_path_tells(folder: Path) -> None:
    (folder / "in-use").write_text("/somewhere/else/swapfile\\040(deleted)\n")
    (folder / "refusal").write_text("Device or resource busy")
    assert (make_swap(folder).returncode, make_swap(folder).stderr) == (0, "")


def test_any_other_refusal_is_told(folder: Path) -> None:
    (folder / "refusal").write_text("Invalid argument")
    done = make_swap(folder)
    assert done.returncode == 1
    assert done.stderr.startswith("no swap: swapon: ")
    assert "Invalid argument" in done.stderr
