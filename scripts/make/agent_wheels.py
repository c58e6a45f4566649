"""Write requirements-agent.txt: the pins of requirements-agent.in, each with the SHA-256 of its wheels.

`make generate-hashes` runs it. pip fetches each pin as the instance would take it, for arm64 and for x86_64. A pin or
its reason is changed in the .in file, which is copied line by line.
"""

import hashlib
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from openclaw_platform.refusals import WheelsUnavailable
from openclaw_platform.wheels import fetch_wheels

REPOSITORY = Path(__file__).resolve().parents[2]
PINS = REPOSITORY / "requirements-agent.in"
LOCKED = REPOSITORY / "requirements-agent.txt"
HEAD = "# Written by `make generate-hashes` out of requirements-agent.in: change that one.\n"
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)")


def locked(pins: str, sums: Mapping[str, tuple[str, ...]]) -> str:
    """The pins' text with the sums behind each pin; `sums` go by normalised names.

    Raises:
        WheelsUnavailable: when a line is no pin, or there is no wheel of one.
    """
    lines = [HEAD.rstrip("\n")]
    for line in pins.splitlines():
        pin = _PIN.fullmatch(line)
        if pin is None and line and not line.startswith("#"):
            raise WheelsUnavailable(f"{PINS.name} holds {line!r}, but each line must be name==version or a comment.")
        if pin is None:
            lines.append(line)
            continue
        found = sums.get(_normalised(pin["name"]), ())
        if not found:
            raise WheelsUnavailable(f"There is no wheel of {line} for the instance.")
        lines += [
            f"{line} \\",
            *(f"    --hash=sha256:{one} \\" for one in found[:-1]),
            f"    --hash=sha256:{found[-1]}",
        ]
    return "\n".join(lines) + "\n"


def fetched_sums(pins: Path) -> dict[str, tuple[str, ...]]:
    """Fetch every wheel and sum it, by the name of its distribution.

    Raises:
        WheelsUnavailable: when pip cannot have one.
    """
    with tempfile.TemporaryDirectory(prefix="agent-wheels-") as folder:
        fetch_wheels(pins, Path(folder), require_hashes=False)
        sums: dict[str, tuple[str, ...]] = {}
        for wheel in sorted(Path(folder).glob("*.whl")):
            name = _normalised(wheel.name.split("-", 1)[0])
            sums[name] = (*sums.get(name, ()), hashlib.sha256(wheel.read_bytes()).hexdigest())
        return sums


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Write the file; 1 with one sentence where a wheel cannot be had."""
    try:
        LOCKED.write_text(locked(PINS.read_text(), fetched_sums(PINS)))
    except WheelsUnavailable as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print(f"{LOCKED.name} has the sums of the wheels.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
