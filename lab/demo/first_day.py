"""The first day of an operator, typed by a program: `python -m lab.demo.first_day`, behind `make first-day`.

Every line is `scripts/openclaw-lab` as a person types it, on the embedded AWS and the booted instance; what it printed
becomes docs/first-day.md. What needs the Pulumi CLI (up, destroy) is done by the lab's own engine, and said so.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lab.machine.machine import Machine
from lab.world.deployment import REPOSITORY
from lab.world.terminal import CheckFailed, Terminal
from lab.world.world import World, deployed_world, write_note

PROGRAM = REPOSITORY / "scripts" / "openclaw-lab"
PLUGIN = REPOSITORY / "lab" / "machine" / "session_manager_plugin.py"
PAGE = REPOSITORY / "docs" / "first-day.md"
SECONDS = 900
LOOK_EVERY_SECONDS = 0.5

HEAD = """# A first day

Typed by `make first-day` on {day}, on the embedded AWS and an instance booted on this machine: you see what the
program printed; prices and account are the embedded AWS's. `up` and `destroy` are not in it: without the Pulumi CLI the
lab's own engine deployed both stacks before the first line.
"""


class Day:
    """The transcript so far, and the shell of the person who types it."""

    def __init__(self, environment: dict[str, str], terminal: Terminal) -> None:
        self._environment = environment
        self._terminal = terminal
        self.parts: list[str] = []

    def chapter(self, title: str, text: str) -> None:
        """Begin a part of the day."""
        self.parts.append(f"## {title}\n\n{text}\n")

    def type(self, *words: str, answers: str = "", fails: bool = False) -> str:
        """Type one line; it must end well unless it `fails`; returns what it printed."""
        self._terminal.step(" ".join(("openclaw-lab", *words)))
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, str(PROGRAM), *words],
            env=self._environment,
            input=answers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if bool(done.returncode) is not fails:
            raise CheckFailed(f"openclaw-lab {' '.join(words)} ended with {done.returncode}: {done.stdout}")
        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        self.parts.append(f"```text\n$ openclaw-lab {shown}\n{done.stdout.rstrip()}\n```\n")
        return done.stdout


def main() -> int:
    """Run the day, and write the page."""
    parser = argparse.ArgumentParser(prog="make first-day", description=__doc__)
    parser.add_argument("--to", type=Path, default=PAGE, help="the page (default: docs/first-day.md)")
    options = parser.parse_args()
    terminal = Terminal()
    scratch = Path(tempfile.mkdtemp(prefix="openclaw-first-day-"))
    try:
        with deployed_world(terminal, scratch) as world:
            machine = world.ready_machine()
            day = Day(_laptop(world, machine, scratch), terminal)
            live(day, world, machine)
    except CheckFailed as problem:
        print(f"The first day ended early: {problem}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    text = "\n".join([HEAD.format(day=f"{datetime.now(UTC):%Y-%m-%d}"), *day.parts])
    options.to.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")
    print(f"Wrote {options.to}.")
    return 0


def live(day: Day, world: World, machine: Machine) -> None:
    """The day, from the first look to the evening."""
    day.chapter("Is everything there?", "The lab's account has no Pulumi CLI and no model key, and doctor says so.")
    day.type("doctor", fails=True)
    day.type("secrets", "put", "ANTHROPIC_API_KEY", answers="sk-not-a-real-key\n")
    day.type("secrets", "check")
    day.chapter("What will it cost?", "Before anything is backed up.")
    day.type("cost")
    day.chapter("It runs", "The instance has booted by now; its first backup comes within 20 minutes, or at once.")
    write_note(machine, "workspace/notes.md", "The first idea.\n")
    day.type("backup-now")
    day.type("status")
    day.type("devices")
    day.chapter("Work, and a mistake", "A note grows, a plan comes; then somebody spoils the note.")
    write_note(machine, "workspace/notes.md", "The first idea.\nAnd a better one.\n")
    write_note(machine, "workspace/plan.md", "Monday: everything.\n")
    day.type("backup-now")
    write_note(machine, "workspace/notes.md", "oops\n")
    day.type("backup-now")
    day.type("snapshots")
    found = json.loads(_quiet(day, "find", "notes.md", "--json"))["versions"]
    day.type("find", "notes.md")
    good = str(found[1]["snapshot"])
    day.type("diff", good, "latest")
    day.chapter("Back to before the mistake", "A look first; then the whole restore in one line, and its undo.")
    day.type("restore", "--at", good, "--dry-run")
    day.type("restore", "--at", good, "--yes")
    day.chapter("Can the backups be trusted?", "A drill restores the newest one and opens its databases.")
    day.type("drill")
    day.type("status")
    day.chapter("Mistakes", "Each is one sentence.")
    day.type("restor", fails=True)
    day.type("restore", "--at", "last year", fails=True)
    day.type("find", "never-written.md", fails=True)
    day.chapter("Good night", "Paused, it costs its storage alone; resumed, it is back with everything.")
    with _auto_scaling(world):
        day.type("pause")
        day.type("status")
        day.type("resume")
    world.ready_machine()
    day.type("status", "--quick")


def _quiet(day: Day, *words: str) -> str:
    """Type a line that is no part of the page."""
    said = day.type(*words)
    day.parts.pop()
    return said


def _laptop(world: World, machine: Machine, scratch: Path) -> dict[str, str]:
    tools = scratch / "bin"
    tools.mkdir()
    (tools / "session-manager-plugin").symlink_to(PLUGIN)
    (scratch / "machines.json").write_text(json.dumps({machine.instance_id: machine.init_pid}))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STACK", "REGION"))}
    return {
        **kept,
        **world.aws.environment,
        "PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LAB_MACHINES": str(scratch / "machines.json"),
        "HOME": str(scratch),
        "TZ": "UTC",
        "COLUMNS": "120",
    }


@contextmanager
def _auto_scaling(world: World) -> Iterator[None]:
    """Let machines come and go with the group's instances, as they do at AWS."""
    leaving = threading.Event()

    def follow() -> None:
        while not leaving.wait(LOOK_EVERY_SECONDS):
            world.hypervisor.reconcile()

    thread = threading.Thread(target=follow, name="auto-scaling", daemon=True)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
