"""`make lab` on a machine that has neither Go nor the Pulumi CLI, and cannot boot an instance."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.image.root_image import REPOSITORY
from lab.provider.cli import BUILT
from tests.support.repository_copy import copy_parts

PARTS = ("lab", "platform", "ec2_spot", "cloud_init", "scripts", "requirements-agent.txt", "pyproject.toml")
# An ordinary user may boot no machine.
RUN = (
    "import os, sys\nos.geteuid = lambda: 1000\nsys.argv = ['lab']\n"
    "from lab.demo.__main__ import main\nsys.exit(main())"
)


@pytest.mark.subprocess
def test_everything_is_done_in_process_and_it_is_said_what_was_not_shown(tmp_path: Path) -> None:
    copy = tmp_path / "repository"
    copy.mkdir()
    copy_parts(PARTS, copy)
    # Wheels that were fetched before are not fetched again; what was built is not there.
    (copy / ".cache").mkdir()
    (REPOSITORY / ".cache" / "wheels").mkdir(parents=True, exist_ok=True)
    (copy / ".cache" / "wheels").symlink_to(REPOSITORY / ".cache" / "wheels")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "uname"):
        (programs / name).symlink_to(str(shutil.which(name)))

    told = subprocess.run(
        [sys.executable, "-c", RUN],
        env={"PATH": str(programs), "HOME": str(tmp_path)},
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stdout
    assert not (copy / BUILT.relative_to(REPOSITORY)).exists()
    assert (
        "skipped Pulumi's own engine: the CLI is neither on the PATH nor built (make pulumi-cli, which " in told.stdout
    )
    assert "not shown are the CLI's previews" in told.stdout
    for shown in (
        "a scratch state of 5 paths is back bit for bit",
        "pulumi destroy in ec2_spot/ removes the group",
        "pulumi destroy in platform/ refuses, because the bucket with the backups is protected",
    ):
        assert f"  - {shown}\n" in told.stdout


@pytest.mark.subprocess
def test_a_cli_without_go_is_told_in_a_sentence(tmp_path: Path) -> None:
    told = subprocess.run(
        [REPOSITORY / "scripts" / "make" / "pulumi_cli.sh"],
        env={"PATH": "/usr/bin:/bin", "GO": str(tmp_path / "go")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == (
        "Go 1.26 or newer builds the Pulumi CLI, and is not here; without it the lab uses its own engine.\n"
    )
