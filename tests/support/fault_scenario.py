"""A machine, its bucket and a network between them, brought to where a test begins."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.faults.proxy import FaultProxy
from tests.support.agent_process import AgentLauncher, AgentProcess, Outcome, Run, command
from tests.support.bucket_image import BucketKeeper
from tests.support.state_trees import Image, copy_tree, image_of, write_state

FIRST = "2026-03-02T10:00:00+00:00"
SECOND = "2026-03-02T10:20:00+00:00"
KILLED = "2026-03-02T10:40:00+00:00"
LATER = "2026-03-02T12:00:00+00:00"

BACKUP = command("backup")
BOOT = command("restore", "--boot", "--owner-wait", "0")
BEFORE_START = command("restore", "--before-start")
NEXT_BACKUP = Run((BACKUP,), clock=LATER)
NEXT_BOOT = Run((BOOT, BEFORE_START, BACKUP), clock=LATER)


@dataclass(slots=True)
class FaultScenario:
    """States 1, 2 and 3 lie ready as trees, with their images."""

    launcher: AgentLauncher
    proxy: FaultProxy
    keeper: BucketKeeper
    machine: AgentProcess
    scratch: Path
    images: dict[int, Image] = field(default_factory=dict)

    def prepare(self) -> None:
        self.scratch.mkdir(parents=True)
        self.machine.state_dir.parent.mkdir(parents=True)
        for version in (1, 2, 3):
            write_state(self.scratch / f"state-{version}", version)
            self.images[version] = image_of(self.scratch / f"state-{version}")

    def put_state(self, version: int, machine: AgentProcess | None = None) -> None:
        copy_tree(self.scratch / f"state-{version}", (machine or self.machine).state_dir)

    def run(self, run: Run, machine: AgentProcess | None = None) -> Outcome:
        return self.launcher.run(machine or self.machine, self.proxy.endpoint_url, run)

    def must(self, run: Run, machine: AgentProcess | None = None) -> Outcome:
        outcome = self.run(run, machine)
        assert outcome.code == 0, outcome.text
        return outcome

    def back_up(self, version: int, clock: str, environment: Mapping[str, str] | None = None) -> None:
        self.put_state(version)
        self.must(Run((BACKUP,), clock=clock, environment=environment or {}))


def require_one_sentence(outcome: Outcome, expected: str) -> None:
    """The run failed (exit code 1), and told one sentence that `expected` is found in."""
    assert outcome.code == 1, outcome.text
    assert "Traceback" not in outcome.text
    assert "unexpected" not in outcome.text
    told = [line for line in outcome.text.splitlines() if line.startswith("openclaw-s3-")]
    assert len(told) == 1, outcome.text
    assert re.search(expected, told[0]), outcome.text
