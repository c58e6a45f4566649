"""The bootstrap of the rendered user-data, run for real with an `aws` that copies from a folder."""

from __future__ import annotations

import hashlib
import io
import os
import string
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lab.host.deadline import scaled

TEMPLATE = Path(__file__).parents[2] / "cloud_init" / "user-data.yaml.tmpl"
INSTALLER = '#!/bin/bash\npwd >>"$(dirname "$0")/ran"\n'

pytestmark = pytest.mark.subprocess

FAKE_AWS = """#!/bin/bash
echo "$*" >>{folder}/aws.calls
failures=$(cat {folder}/aws.failures)
if [ "$failures" -gt 0 ]; then
  echo $((failures - 1)) >{folder}/aws.failures
  echo "fatal error: Could not connect to the endpoint URL" >&2
  exit 1
fi
cp {folder}/bucket/release.tar "${{@: -1}}"
"""
FAKE_SLEEP = '#!/bin/bash\necho "$1" >>{folder}/slept\n'


@dataclass(frozen=True, slots=True)
class Machine:
    folder: Path
    sum_of_release: str

    @property
    def agent(self) -> Path:
        return self.folder / "opt"

    @property
    def console(self) -> str:
        return (self.folder / "console").read_text(encoding="utf-8")

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def fail_downloads(self, times: int) -> None:
        (self.folder / "aws.failures").write_text(f"{times}\n", encoding="utf-8")

    def bootstrap(self, expected: str | None = None, patience: int = 1800) -> subprocess.CompletedProcess[str]:
        """Run the script with its three fixed paths and its patience moved; all else is as shipped."""
        text = string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
            instance_json_b64="e30=",
            region="us-east-1",
            scripts_bucket="scripts",
            release_key="releases/sum/openclaw-release.tar",
            release_sha256=expected or self.sum_of_release,
            stack="dev",
        )
        script = yaml.safe_load(text)["write_files"][1]["content"]
        script = script.replace("/opt/openclaw-agent", str(self.agent)).replace("> 1800", f"> {patience}")
        script = script.replace("/dev/console", str(self.folder / "console"))
        environment = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        return subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=scaled(60)
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("bin", "bucket"):
        (tmp_path / name).mkdir()
    for name, content in (("aws", FAKE_AWS), ("sleep", FAKE_SLEEP)):
        command = tmp_path / "bin" / name
        command.write_text(content.format(folder=tmp_path), encoding="utf-8")
        command.chmod(0o755)
    (tmp_path / "console").touch()
    archive = tmp_path / "bucket" / "release.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("install.sh")
        entry.size = len(INSTALLER)
        tar.addfile(entry, io.BytesIO(INSTALLER.encode()))
    built = Machine(tmp_path, hashlib.sha256(archive.read_bytes()).hexdigest())
    built.fail_downloads(0)
    return built


def test_the_release_is_unpacked_made_current_and_its_installer_run_in_it(machine: Machine) -> None:
    finished = machine.bootstrap()
    assert finished.returncode == 0, finished.stderr
    release = machine.agent / "releases" / machine.sum_of_release
    assert (machine.agent / "current").resolve() == release
    assert (release / "ran").read_text(encoding="utf-8") == f"{release}\n"
    assert sorted(path.name for path in (machine.agent / "releases").iterdir()) == [machine.sum_of_release]


def test_the_download_names_region_bucket_and_key(machine: Machine) -> None:
    machine.bootstrap()
    (call,) = machine.lines("aws.calls")
    assert call.startswith("s3 cp --only-show-errors --region us-east-1 s3://scripts/releases/sum/")


def test_another_sum_is_refused_in_one_sentence_and_nothing_is_unpacked(machine: Machine) -> None:
    finished = machine.bootstrap(expected="f" * 64)
    assert finished.returncode == 1
    (sentence,) = finished.stderr.splitlines()
    assert "refused s3://scripts/releases/sum/openclaw-release.tar" in sentence
    assert machine.sum_of_release in sentence
    assert "f" * 64 in sentence
    assert machine.console == finished.stderr
    assert list((machine.agent / "releases").iterdir()) == []
    assert not (machine.agent / "current").exists()
    assert len(machine.lines("aws.calls")) == 1


def test_a_download_that_fails_twice_is_tried_again_with_growing_waits(machine: Machine) -> None:
    machine.fail_downloads(2)
    finished = machine.bootstrap()
    assert finished.returncode == 0, finished.stderr
    assert machine.lines("slept") == ["5", "10"]
    assert len(machine.lines("aws.calls")) == 3


def test_waits_stop_growing_at_four_minutes(machine: Machine) -> None:
    machine.fail_downloads(9)
    machine.bootstrap()
    assert machine.lines("slept") == ["5", "10", "20", "40", "80", "160", "240", "240", "240"]


def test_it_gives_up_after_its_patience_and_says_what_to_check(machine: Machine) -> None:
    machine.fail_downloads(99)
    finished = machine.bootstrap(patience=0)
    assert finished.returncode == 1
    assert "gave up on s3://scripts/" in finished.stderr.splitlines()[-1]
    assert "gave up" in machine.console


def test_running_it_again_is_harmless(machine: Machine) -> None:
    machine.bootstrap()
    finished = machine.bootstrap()
    assert finished.returncode == 0, finished.stderr
    release = machine.agent / "releases" / machine.sum_of_release
    assert (release / "ran").read_text(encoding="utf-8") == f"{release}\n"


def test_a_failing_installer_fails_the_bootstrap(machine: Machine) -> None:
    archive = machine.folder / "bucket" / "release.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("install.sh")
        entry.size = len(b"exit 7\n")
        tar.addfile(entry, io.BytesIO(b"exit 7\n"))
    finished = machine.bootstrap(expected=hashlib.sha256(archive.read_bytes()).hexdigest())
    assert finished.returncode == 7
