"""The agent's pinned wheels: read the pins, fetch what is missing with pip, and let nothing else in."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from openclaw_platform.refusals import WheelsUnavailable

INSTANCE_PYTHON = "3.11"
"""The Python on the instance that runs the agent."""

PIP_TIMEOUT_SECONDS = 300
"""How long one architecture's download may take."""

# glibc of Amazon Linux 2023 is 2.34; these are the tags under which the pinned wheels were built.
_PLATFORM_TAGS = {
    "arm64": ("manylinux_2_24_aarch64", "manylinux2014_aarch64"),
    "x86_64": ("manylinux_2_24_x86_64", "manylinux2014_x86_64"),
}
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?P<options>(?:\s+--hash=sha256:[0-9a-f]{64})+)"
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned distribution, and the SHA-256 of each of its wheels that the release holds."""

    name: str
    version: str
    sums: tuple[str, ...]


def read_pins(requirements: str) -> tuple[Pin, ...]:
    """Read a requirements file in which every line is `name==version` with its hashes.

    Raises:
        WheelsUnavailable: for a line of another form.
    """
    lines = re.sub(r"\\\n", " ", requirements).splitlines()
    return tuple(_pin(line.strip()) for line in lines if line.strip() and not line.lstrip().startswith("#"))


def pinned_wheels(requirements: Path, folder: Path) -> tuple[Path, ...]:
    """Return one wheel for each pinned sum, fetching those that the folder lacks; other files in it are ignored.

    Raises:
        WheelsUnavailable: when the requirements cannot be read, or a wheel is neither there nor to be fetched.
    """
    try:
        pins = read_pins(requirements.read_text(encoding="utf-8"))
    except OSError as error:
        raise WheelsUnavailable(f"The agent's requirements cannot be read: {error}.") from error
    if _missing(pins, folder):
        fetch_wheels(requirements, folder)
    missing = _missing(pins, folder)
    if missing:
        raise WheelsUnavailable(
            f"{folder} lacks the pinned wheel of {', '.join(missing)}; what the package index gave has another sum, "
            "or is for another machine."
        )
    by_sum = _wheels_by_sum(folder)
    return tuple(by_sum[wheel_sum] for pin in pins for wheel_sum in pin.sums)


def _pin(line: str) -> Pin:
    found = _REQUIREMENT.fullmatch(line)
    if not found:
        raise WheelsUnavailable(
            f"The agent's requirements hold {line!r}, but each line must be name==version with hashes."
        )
    return Pin(found["name"], found["version"], tuple(re.findall(r"[0-9a-f]{64}", found["options"])))


def _missing(pins: Iterable[Pin], folder: Path) -> list[str]:
    present = _wheels_by_sum(folder)
    return [f"{pin.name} {pin.version}" for pin in pins if not all(wheel_sum in present for wheel_sum in pin.sums)]


def _wheels_by_sum(folder: Path) -> dict[str, Path]:
    return {hashlib.sha256(wheel.read_bytes()).hexdigest(): wheel for wheel in sorted(folder.glob("*.whl"))}


def fetch_wheels(requirements: Path, folder: Path, *, require_hashes: bool = True) -> None:
    """Fetch the wheels of the requirements that the instance would take, for each architecture.

    Raises:
        WheelsUnavailable: when one cannot be had, or is not the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for tags in _PLATFORM_TAGS.values():
        _run_pip(
            *(("--require-hashes",) if require_hashes else ()),
            *("--dest", str(folder), "--requirement", str(requirements)),
            *("--python-version", INSTANCE_PYTHON, "--implementation", "cp", "--abi", "abi3", "--abi", "none"),
            *(option for tag in tags for option in ("--platform", tag)),
        )


def _run_pip(*options: str) -> None:
    command = (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--retries", "2", "--no-input"),
        *("--no-deps", "--only-binary=:all:", *options),
    )
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise WheelsUnavailable(
            f"The agent's wheels could not be fetched: pip was not done after {PIP_TIMEOUT_SECONDS} seconds."
        ) from error
    if finished.returncode:
        raise WheelsUnavailable(f"The agent's wheels could not be fetched: {_reason(finished.stderr)}.")


def _reason(said_by_pip: str) -> str:
    """What went wrong, in a few words; pip itself calls a package missing when it could not ask for it."""
    if "Retrying (" in said_by_pip:
        return "the package index cannot be reached"
    errors = [line.removeprefix("ERROR: ") for line in said_by_pip.splitlines() if line.startswith("ERROR: ")]
    return (errors or ["pip gives no reason"])[-1].rstrip(".")
