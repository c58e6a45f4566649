import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.subprocess

SCRIPT = Path(__file__).parents[3] / "scripts" / "make" / "stacks.sh"
PULUMI = """#!/bin/sh
echo "$(basename "$PWD"): $* REFRESH_AMI=${REFRESH_AMI:-}"
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A tree with the script, both programs' folders, and a Pulumi CLI that says what it was asked."""
    for folder in ("scripts/make", "platform", "ec2_spot", "bin", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "scripts/make")
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    (tmp_path / "bin/pulumi").write_text(PULUMI)
    (tmp_path / "bin/pulumi").chmod(0o755)
    return tmp_path


def run(repository: Path, verb: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{repository / 'bin'}:{os.environ['PATH']}"
    credentials = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    site = os.pathsep.join(part for part in sys.path if part.endswith("site-packages"))
    return subprocess.run(
        [repository / "scripts/make/stacks.sh", verb, "dev"],
        env={"PATH": path, "PYTHONPATH": site, **credentials, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("verb", "asked"),
    [
        ("up", ["platform: up --yes --stack dev", "ec2_spot: up --yes --stack dev"]),
        ("destroy", ["ec2_spot: destroy --yes --stack dev", "platform: destroy --yes --stack dev"]),
        ("preview", ["platform: preview --stack dev", "ec2_spot: preview --stack dev"]),
    ],
)
def test_without_a_terminal_yes_is_said_for_the_person(repository: Path, verb: str, asked: list[str]) -> None:
    done = run(repository, verb, YES="1", REFRESH_AMI="1")

    assert (done.returncode, done.stderr) == (0, "")
    said = [line for line in done.stdout.splitlines() if not line.startswith("==")]
    assert said == [f"{line} REFRESH_AMI=1" for line in asked]


@pytest.mark.parametrize("verb", ["up", "destroy"])
def test_without_a_terminal_and_without_yes_nothing_is_begun(repository: Path, verb: str) -> None:
    done = run(repository, verb)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"There is no terminal to answer on: look at it with 'make preview', then run 'make {verb} YES=1'.\n"
    )


def test_another_answer_than_yes_is_refused(repository: Path) -> None:
    done = run(repository, "up", YES="true")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "YES is 'true', but must be 1 (do it without a question), 0 or nothing.\n"
