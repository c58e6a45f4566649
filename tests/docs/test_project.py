"""What stands about the project outside its code, held against it."""

import importlib
import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def test_the_version_is_written_in_one_place() -> None:
    module, _, name = PYPROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")

    assert "version" not in PYPROJECT["project"]
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", getattr(importlib.import_module(module), name))


def test_the_changelog_begins_with_what_is_not_released_yet() -> None:
    headings = re.findall(r"^## (.+)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert headings[0] == "Unreleased"
    assert len(set(headings)) == len(headings)


def test_each_local_hook_runs_a_tool_of_ours() -> None:
    hooks = (REPOSITORY / ".pre-commit-config.yaml").read_text()
    targets = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))

    assert "repo: local" in hooks
    assert "http" not in hooks
    assert set(re.findall(r"entry: make ([a-z-]+)", hooks)) <= targets


@pytest.mark.subprocess
def test_ruff_reads_each_python_file_that_has_no_suffix() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    files = [REPOSITORY / name for name in listed.stdout.split("\0") if name and "." not in Path(name).name]
    python = [file.name for file in files if file.is_file() and re.match(rb"#!.*python", file.read_bytes()[:100])]

    patterns = PYPROJECT["tool"]["ruff"]["extend-include"]
    assert [name for name in python if not any(fnmatch(name, pattern) for pattern in patterns)] == []
    assert python


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "requirements-audit", "requirements-agent"])
def test_each_pin_is_locked_with_hashes(name: str) -> None:
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==(\S+)$", (REPOSITORY / f"{name}.in").read_text(), re.MULTILINE)
    locked = re.sub(r" *\\\n *", " ", (REPOSITORY / f"{name}.txt").read_text())
    rows = [line for line in locked.splitlines() if line and not line.startswith("#")]

    assert all("==" in row and "--hash=sha256:" in row for row in rows)
    versions = {re.split(r"[= ]", row)[0].lower(): row.split("==")[1].split()[0] for row in rows}
    assert {pin: versions.get(re.sub(r"[-_.]+", "-", pin).lower(), versions.get(pin)) for pin, _ in pins} == dict(pins)


def test_the_laptop_and_the_instance_run_the_same_versions() -> None:
    """A pin of the agent that the laptop's lock has too, has the same version there."""
    pins = dict(
        re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", (REPOSITORY / "requirements-agent.in").read_text(), re.MULTILINE)
    )
    laptop = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE))

    assert {"boto3", "botocore", "obstore"} <= pins.keys() & laptop.keys()
    for name in pins.keys() & laptop.keys():
        assert laptop[name] == pins[name], name
