"""Other commands of the agent, run as a person would type them."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclaw_agent.exit_codes import ExitCode


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, its JSON document ({} where it printed none), and its last sentence."""

    code: int
    document: dict[str, Any]
    sentence: str

    @property
    def done(self) -> bool:
        """Whether it ended well."""
        return self.code == ExitCode.DONE


def run_program(name: str, *words: str) -> Ended:
    """Run a command that lies beside the one that runs now, and let what it says through to the terminal."""
    program = Path(sys.argv[0]).resolve().parent / name
    # Its own session: Ctrl-C ends the whole after this step, and not in its middle.
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(program), *words, "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return Ended(done.returncode, _document(done.stdout), lines[-1].removeprefix(f"{name}: ") if lines else "")


def last_run(log_dir: Path, command: str) -> dict[str, Any]:
    """Return the last line of a command's log; {} where there is none."""
    try:
        with (log_dir / f"{command}.log").open("rb") as reading:
            reading.seek(0, 2)
            reading.seek(max(0, reading.tell() - 256 * 1024))
            lines = reading.read().decode(errors="replace").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        if found := _document(line):
            return found
    return {}


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
