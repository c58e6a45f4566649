"""What `make lab` refuses with one sentence."""

import subprocess
import sys

import pytest

from lab.image import root_image


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
