"""Killing a run at one point after the other, and judging what each crash has left behind."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.faults.plan import Seen
from lab.faults.proxy import FaultProxy, Moment
from tests.support.agent_process import AgentLauncher, AgentProcess, Outcome, Run, command
from tests.support.bucket_image import BucketKeeper, Stored
from tests.support.gateways import GatewayProcess
from tests.support.state_trees import Image, copy_tree, differences, image_of

# Set to kill at every point, and to judge every crash, even where another crash left the very same things behind.
EVERY_POINT = "OPENCLAW_CRASH_EVERY_POINT" in os.environ
# Else the sample: what follows on an answer is what the next request finds, and after a step is before the next one.
SAMPLED_MOMENTS = (Moment.ARRIVED, Moment.ANSWERED)
SAMPLED_AFTER = 4
NO_STATE: Image = {}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run that is killed, what it starts from, and what may be there afterwards.

    `restorable` are the states that another instance may get, `committed` is the one that it must get once the killed
    run's snapshot is complete; `continues` are the runs by which the same instance goes
    on, each of them tried; `kept_local` are the states that the same instance may have then (none: whatever it has).
    """

    machine: AgentProcess
    bucket: dict[str, Stored]
    run: Run
    restorable: tuple[Image, ...]
    continues: tuple[Run, ...]
    kept_local: tuple[Image, ...] = ()
    committed: Image | None = None
    continued_boot: str = "boot-9"
    gateway: GatewayProcess | None = None


@dataclass(slots=True)
class Coverage:
    """What was tried."""

    requests: int = 0
    steps: int = 0
    distinct: set[object] = field(default_factory=set)

    def __str__(self) -> str:
        return (
            f"{self.requests} points around S3 requests + {self.steps} around local steps, "
            f"{len(self.distinct)} distinct states left behind"
        )


@dataclass(slots=True)
class CrashMatrix:
    """All crashes of one scenario."""

    scenario: Scenario
    launcher: AgentLauncher
    proxy: FaultProxy
    keeper: BucketKeeper
    scratch: Path
    coverage: Coverage = field(default_factory=Coverage)

    def cover(self) -> Coverage:
        """Kill at every point, and judge; a run that ends by itself ends its loop."""
        for where, outcome in self._crashes():
            assert self.proxy.wait_until_idle(), where
            gateway = self.scenario.gateway
            assert gateway is None or gateway.runs_again(), f"{where}: the gateway still stands still"
            left = self._left_behind()
            if left not in self.coverage.distinct or EVERY_POINT:
                self.coverage.distinct.add(left)
                self._judge(f"{where}\n{outcome.text}")
        return self.coverage

    @property
    def _machine(self) -> AgentProcess:
        return replace(self.scenario.machine, root=self.scratch / "crashed")

    def _crashes(self) -> Iterator[tuple[str, Outcome]]:
        for moment in Moment if EVERY_POINT else SAMPLED_MOMENTS:
            for number in range(1, 1000):
                outcome = self._killed_at_request(moment, number)
                if not outcome.killed:
                    assert outcome.code == 0, outcome.text
                    break
                self.coverage.requests += 1
                yield f"killed at request {number}, {moment.value}", outcome
        for side, stride in (("before", 1), ("after", 1 if EVERY_POINT else SAMPLED_AFTER)):
            for number in range(1, 1000, stride):
                self._start_over()
                outcome = self._run(self._machine, replace(self.scenario.run, stop_at=number, side=side))
                if not outcome.killed:
                    assert outcome.code == 0, outcome.text
                    break
                self.coverage.steps += 1
                yield f"killed {side} local step {number}", outcome

    def _start_over(self) -> None:
        self.keeper.put_back(self.scenario.bucket)
        copy_tree(self.scenario.machine.root, self._machine.root)
        self.proxy.begin()

    def _killed_at_request(self, moment: Moment, number: int) -> Outcome:
        self._start_over()
        victims: list[int] = []

        def observe(now: Moment, seen: Seen) -> bool:
            if now is moment and seen.number == number:
                os.kill(victims[0], signal.SIGKILL)
                return False
            return True

        self.proxy.begin(observer=observe)
        outcome = self._run(self._machine, self.scenario.run, victims.append)
        self.proxy.begin()
        return outcome

    def _run(self, machine: AgentProcess, run: Run, started: Callable[[int], None] = lambda _pid: None) -> Outcome:
        return self.launcher.run(machine, self.proxy.endpoint_url, run, started)

    def _judge(self, where: str) -> None:
        after_crash = self.keeper.take()
        crashed = self._machine
        for turn, run in enumerate(self.scenario.continues):
            same = replace(crashed, root=self.scratch / f"same-{turn}")
            copy_tree(crashed.root, same.root)
            if run.commands[0][0] == "restore":
                same = replace(same, boot_id=self.scenario.continued_boot)
            self._judge_same_instance(f"{where}\ncontinued by {run.commands}", same, run)
            self.keeper.put_back(after_crash)
        self._judge_new_instance(where, after_crash)

    def _judge_same_instance(self, where: str, same: AgentProcess, run: Run) -> None:
        checked = same.root / "checked"
        copied_out = command("restore", "--to", str(checked))
        outcome = self._run(same, replace(run, commands=(*run.commands, copied_out)))
        assert outcome.code == 0, f"{where}\nthe same instance cannot go on:\n{outcome.text}"
        state = image_of(same.state_dir)
        differing = differences(image_of(checked), state)
        assert not differing, f"{where}\na restore after the next backup is not the state: {differing}\n{outcome.text}"
        if self.scenario.kept_local:
            assert state in self.scenario.kept_local, f"{where}\nthe state of the same instance: {state}"

    def _judge_new_instance(self, where: str, after_crash: dict[str, Stored]) -> None:
        new = AgentProcess(self.scratch / "new", "lab-new", "boot-new")
        copy_tree(self.scratch / "nothing", new.root)
        boot = command("restore", "--boot", "--owner-wait", "0")
        outcome = self._run(new, Run((boot, command("restore", "--before-start"))))
        assert outcome.code == 0, f"{where}\na new instance cannot boot:\n{outcome.text}"
        found = image_of(new.state_dir)
        if found.keys() == {"."}:
            found = NO_STATE
        assert found in self._restorable(after_crash), f"{where}\n{outcome.text}\nthe restore gave a mix: {found}"
        if found:
            again = self._run(new, Run((command("backup"),), clock="2026-03-02T20:00:00+00:00"))
            assert again.code == 0, f"{where}\nthe new instance cannot back up:\n{again.text}"

    def _restorable(self, after_crash: dict[str, Stored]) -> tuple[Image, ...]:
        came = after_crash.keys() - self.scenario.bucket.keys()
        is_complete = any(re.fullmatch(r"snapshots/[^/]+/manifest\.json", key) for key in came)
        if is_complete and self.scenario.committed is not None:
            return (self.scenario.committed,)
        return self.scenario.restorable

    def _left_behind(self) -> object:
        """The crash's remains without times and ids: the same remains are judged once."""
        base = self.scenario.bucket
        present = self.keeper.etags()
        whole = {key.removesuffix("manifest.json") for key in present if key.endswith("/manifest.json")}
        bucket = {
            (_folded(key, whole), "as before" if key in base and base[key].etag == etag else "new")
            for key, etag in present.items()
        }
        root = self._machine.root
        disk = {
            (_without_times(name), self._content(path))
            for path in root.rglob("*")
            # What lies in these folders is only ever removed as a whole.
            if not re.search(r"^agent/clone/|\.restoring/", name := str(path.relative_to(root)))
        }
        return frozenset(bucket), frozenset(base.keys() - present.keys()), frozenset(disk)

    def _content(self, path: Path) -> str:
        if path.is_symlink() or not path.is_file() or path.suffix == ".log":
            return ""
        before = self.scenario.machine.root / path.relative_to(self._machine.root)
        body = path.read_bytes()
        if path.name == "boot.json":
            return body.decode()
        if before.is_file() and before.read_bytes() == body:
            return "as before"
        return "empty" if not body else f"new, {len(body) // 256}"


def _folded(key: str, whole: set[str]) -> str:
    """Of a snapshot without a manifest only the reservation is ever looked at."""
    folder = "/".join(key.split("/")[:2]) + "/"
    if key.startswith("snapshots/") and folder not in whole and not key.endswith("/reserved"):
        return folder + "some objects"
    return key


def _without_times(name: str) -> str:
    return re.sub(r"\d{8}T\d+Z", "<time>", name)
