import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from make.agent_wheels import locked
from openclaw_platform.refusals import WheelsUnavailable
from openclaw_platform.wheels import Pin, pinned_wheels, read_pins

REPOSITORY = Path(__file__).parents[3]


def test_the_agents_pins_cover_both_architectures() -> None:
    pins = {pin.name: pin for pin in read_pins((REPOSITORY / "requirements-agent.txt").read_text())}

    assert len(pins["obstore"].sums) == 2
    assert all(len(pin.sums) == 1 for name, pin in pins.items() if name != "obstore")
    assert {"boto3", "botocore", "s3transfer", "jmespath", "urllib3", "python-dateutil", "six"} < set(pins)


def test_the_pins_with_hashes_are_those_of_the_plain_list() -> None:
    pins = (REPOSITORY / "requirements-agent.in").read_text()
    with_hashes = (REPOSITORY / "requirements-agent.txt").read_text()

    sums = {pin.name.replace("_", "-"): pin.sums for pin in read_pins(with_hashes)}

    assert locked(pins, sums) == with_hashes


@pytest.mark.parametrize("line", ["one", "one>=1", "one==1 --hash=sha256:abc", "-r other.txt"])
def test_a_line_of_the_plain_list_that_is_no_pin_is_refused(line: str) -> None:
    with pytest.raises(WheelsUnavailable, match="each line must be name==version or a comment"):
        locked(line, {"one": ("a" * 64,)})


def test_a_pin_without_a_wheel_is_refused() -> None:
    with pytest.raises(WheelsUnavailable, match="no wheel of one==1"):
        locked("one==1\n", {})


def test_comments_and_continued_lines_are_understood() -> None:
    text = f"# why\none==1.0 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n\n"

    assert read_pins(text) == (Pin("one", "1.0", ("a" * 64, "b" * 64)),)


@pytest.mark.parametrize("line", ["one", "one>=1", "one==1", "one==1 --hash=sha256:abc", "-r other.txt"])
def test_a_requirement_that_is_not_pinned_is_refused(line: str) -> None:
    with pytest.raises(WheelsUnavailable, match="each line must be name==version with hashes"):
        read_pins(line)


def test_wheels_that_are_there_are_not_fetched_and_others_are_ignored(tmp_path: Path) -> None:
    requirements, wheel = _pinned(tmp_path)
    (tmp_path / "stray.whl").write_bytes(b"stray")

    assert pinned_wheels(requirements, tmp_path) == (wheel,)


def test_a_missing_wheel_is_fetched_once_for_each_architecture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements, wheel = _pinned(tmp_path)
    content = wheel.read_bytes()
    wheel.unlink()
    commands: list[Sequence[str]] = []

    def download(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        wheel.write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)

    assert pinned_wheels(requirements, tmp_path) == (wheel,)
    assert [command[-1] for command in commands] == ["manylinux2014_aarch64", "manylinux2014_x86_64"]
    assert all({"--require-hashes", "--only-binary=:all:", "--no-deps"} <= set(command) for command in commands)


@pytest.mark.parametrize(
    ("said_by_pip", "reason"),
    [
        (
            "WARNING: Retrying (Retry(total=1)) after connection broken\nERROR: No matching distribution found\n",
            "the package index cannot be reached",
        ),
        ("WARNING: old\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES.\n", "THESE PACKAGES DO NOT MATCH THE HASHES"),
        ("/usr/bin/python3: No module named pip\n", "pip gives no reason"),
    ],
    ids=["unreachable", "refused", "silent"],
)
def test_a_failed_download_is_one_sentence(
    said_by_pip: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements, wheel = _pinned(tmp_path)
    wheel.unlink()
    answer = subprocess.CompletedProcess([], 1, "", said_by_pip)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)

    with pytest.raises(WheelsUnavailable) as refused:
        pinned_wheels(requirements, tmp_path)

    assert str(refused.value) == f"The agent's wheels could not be fetched: {reason}."


def test_a_download_that_hangs_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements, wheel = _pinned(tmp_path)
    wheel.unlink()

    def hang(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 300)

    monkeypatch.setattr(subprocess, "run", hang)

    with pytest.raises(
        WheelsUnavailable, match=r"^The agent's wheels could not be fetched: pip was not done after 300 "
    ):
        pinned_wheels(requirements, tmp_path)


def test_a_wheel_with_another_sum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements, wheel = _pinned(tmp_path)
    wheel.write_bytes(b"tampered with")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, "", ""))

    with pytest.raises(WheelsUnavailable, match=r"lacks the pinned wheel of one 1\.0;"):
        pinned_wheels(requirements, tmp_path)


def test_missing_requirements_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WheelsUnavailable, match="The agent's requirements cannot be read: "):
        pinned_wheels(tmp_path / "none.txt", tmp_path)


def _pinned(folder: Path) -> tuple[Path, Path]:
    wheel = folder / "one-1.0-py3-none-any.whl"
    wheel.write_bytes(b"the wheel")
    requirements = folder / "requirements.txt"
    requirements.write_text(f"one==1.0 --hash=sha256:{hashlib.sha256(b'the wheel').hexdigest()}\n")
    return requirements, wheel
