import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.subprocess

SCRIPT = Path(__file__).parents[3] / "scripts" / "make" / "stacks.sh"
PULUMI = """#!/bin/sh
folder=$(basename "$PWD")
case "$folder: $*" in
*"stack output --stack dev --json"*)
    case "${WITHOUT:-}" in
    *"$folder"*) echo "error: no stack named 'dev' found" >&2; exit 6 ;;
    *broken*) echo "error: the passphrase must be set" >&2; exit 255 ;;
    esac ;;
*"stack output backup_bucket"*) echo the-bucket ;;
*) echo "$folder: $* REFRESH_AMI=${REFRESH_AMI:-}" ;;
esac
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A tree with the script, both programs' folders, and a Pulumi CLI that says what it was asked."""
    top = tmp_path / "top"
    for folder in ("scripts/make", "platform", "ec2_spot", "bin", ".venv/bin"):
        (top / folder).mkdir(parents=True)
    shutil.copy(SCRIPT, top / "scripts/make")
    (top / ".venv/bin/python").symlink_to(sys.executable)
    (top / "bin/pulumi").write_text(PULUMI)
    (top / "bin/pulumi").chmod(0o755)
    return top


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
        (
            "destroy",
            ["ec2_spot: destroy --yes --stack dev", "platform: destroy --exclude-protected --yes --stack dev"],
        ),
        ("preview", ["platform: preview --stack dev", "ec2_spot: preview --stack dev"]),
    ],
)
def test_without_a_terminal_yes_is_said_for_the_person(repository: Path, verb: str, asked: list[str]) -> None:
    done = run(repository, verb, YES="1", REFRESH_AMI="1", WITHOUT="top")

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


@pytest.mark.parametrize(
    ("without", "asked"),
    [
        ("top", ["ec2_spot: destroy --yes --stack dev", "platform: destroy --exclude-protected --yes --stack dev"]),
        ("ec2_spot top", ["platform: destroy --exclude-protected --yes --stack dev"]),
        ("ec2_spot platform", ["top: destroy --exclude-protected --yes --stack dev"]),
    ],
)
def test_a_destroy_is_of_the_projects_that_have_the_stack_and_says_why_the_bucket_stays(
    repository: Path, without: str, asked: list[str]
) -> None:
    done = run(repository, "destroy", YES="1", WITHOUT=without)

    assert (done.returncode, done.stderr) == (0, "")
    *lines, last = done.stdout.splitlines()
    assert [line for line in lines if not line.startswith("==")] == [f"{line} REFRESH_AMI=" for line in asked]
    assert last.startswith("== The backup bucket the-bucket stays, with its settings and the image repository: they ")


@pytest.mark.parametrize("verb", ["destroy", "outputs"])
def test_a_stack_that_is_nowhere_is_an_error(repository: Path, verb: str) -> None:
    done = run(repository, verb, YES="1", WITHOUT="ec2_spot platform top")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "There is no stack 'dev' to look at: neither ec2_spot, platform nor the root project has one.\n"
    )


def test_a_cli_that_cannot_say_which_stacks_there_are_ends_it_before_anything_is_begun(repository: Path) -> None:
    done = run(repository, "destroy", YES="1", WITHOUT="broken")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the passphrase must be set\n"
