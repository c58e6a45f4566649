"""Killing a run at one point after the other, and judging what each crash has left behind."""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.faults.plan import Seen
from lab.faults.proxy import FaultProxy, Moment
from lab.host.deadline import scaled
from tests.support.agent_process import AgentLauncher, AgentProcess, Outcome, Run, command
from tests.support.bucket_image import BucketKeeper, Stored
from tests.support.crash_sample import Point, Rehearsal, Turnstile, looking_at_each_step
from tests.support.crash_states import State, Yardstick
from tests.support.gateways import GatewayProcess
from tests.support.state_trees import Image, copy_tree, differences, image_of

# Set to kill at every point, and to judge every crash, even where another crash left the very same things behind.
EVERY_POINT = "OPENCLAW_CRASH_EVERY_POINT" in os.environ
NO_STATE: Image = {}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run that is killed, what it starts from, and what may be there afterwards.

    `restorable` are the states that another instance may get, `committed` is the one that it must get once the killed
    run's snapshot is complete; `continues` are the runs by which the same instance goes on, each of them tried (in a
    sample in turn); `kept_local` are the states that the same instance may have then (none: whatever it has).
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

    points: Counter[str] = field(default_factory=Counter)
    distinct: set[tuple[State, State]] = field(default_factory=set)
    buckets: set[State] = field(default_factory=set)
    judged: int = 0

    def __str__(self) -> str:
        return (
            f"{self.points['requests']} points around S3 requests + {self.points['steps']} around local steps, "
            f"{len(self.distinct)} distinct states left behind, {self.judged} crashes judged"
        )


@dataclass(slots=True)
class CrashMatrix:
    """All crashes of one scenario, or one for each distinct state that the run passes through."""

    scenario: Scenario
    launcher: AgentLauncher
    proxy: FaultProxy
    keeper: BucketKeeper
    scratch: Path
    coverage: Coverage = field(default_factory=Coverage)

    def cover(self) -> Coverage:
        """Kill and judge; at full size, show too that the sample would have met every state that was found."""
        etags = {key: stored.etag for key, stored in self.scenario.bucket.items()}
        yardstick = Yardstick(etags, self.scenario.machine.root)
        sample = self._sample(yardstick)
        met_by_sample = set()
        for point, outcome in self._every_crash() if EVERY_POINT else self._crashes(sample):
            assert self.proxy.wait_until_idle(scaled(10)), point
            gateway = self.scenario.gateway
            assert gateway is None or gateway.runs_again(), f"{point}: the gateway still stands still"
            self.coverage.points["requests" if isinstance(point.when, Moment) else "steps"] += 1
            left = (yardstick.bucket_state(self.keeper.etags()), yardstick.disk_state(self._machine.root))
            if point in sample:
                met_by_sample.add(left)
            if left not in self.coverage.distinct or EVERY_POINT:
                self.coverage.distinct.add(left)
                self.coverage.judged += 1
                self._judge(f"{point}\n{outcome.text}", left[0])
        missed = self.coverage.distinct - met_by_sample
        assert not missed, f"the sample of make test misses {len(missed)} states: {missed}"
        return self.coverage

    @property
    def _machine(self) -> AgentProcess:
        return replace(self.scenario.machine, root=self.scratch / "crashed")

    def _sample(self, yardstick: Yardstick) -> set[Point]:
        """Watch the run once to its end, and choose the last point of each distinct state: most lies about there."""
        gateway = self.scenario.gateway

        def look_at_machine() -> object:
            return yardstick.disk_state(self._machine.root), gateway is not None and gateway.stands_still

        rehearsal = Rehearsal(self.keeper.etags, look_at_machine)
        self._start_over()
        self.proxy.begin(observer=Turnstile(rehearsal.at_request))
        with looking_at_each_step(rehearsal.at_local_step) as lookout:
            outcome = self._run(self._machine, replace(self.scenario.run, lookout=lookout))
        assert outcome.code == 0, outcome.text
        assert self.proxy.wait_until_idle(scaled(10))
        yardstick.after = self.keeper.etags()
        chosen = {(yardstick.bucket_state(bucket), machine): point for point, bucket, machine in rehearsal.seen}
        return set(chosen.values())

    def _crashes(self, points: Iterable[Point]) -> Iterator[tuple[Point, Outcome]]:
        for point in sorted(points, key=str):
            outcome = self._killed(point)
            assert outcome.killed, f"{point}: the run has ended before\n{outcome.text}"
            yield point, outcome

    def _every_crash(self) -> Iterator[tuple[Point, Outcome]]:
        """A run that ends by itself ends its loop."""
        for when in (*Moment, "before", "after"):
            for number in range(1, 1000):
                point = Point(number, when)
                outcome = self._killed(point)
                if not outcome.killed:
                    assert outcome.code == 0, outcome.text
                    break
                yield point, outcome

    def _killed(self, point: Point) -> Outcome:
        self._start_over()
        if isinstance(point.when, str):
            return self._run(self._machine, replace(self.scenario.run, stop_at=point.number, side=point.when))
        victims: list[int] = []

        def goes_on(moment: Moment, number: int, _seen: Seen) -> bool:
            if point != Point(number, moment):
                return True
            os.kill(victims[0], signal.SIGKILL)
            return False

        self.proxy.begin(observer=Turnstile(goes_on))
        outcome = self._run(self._machine, self.scenario.run, victims.append)
        assert self.proxy.wait_until_idle(scaled(10)), point
        self.proxy.begin()
        return outcome

    def _start_over(self) -> None:
        self.keeper.put_back(self.scenario.bucket)
        copy_tree(self.scenario.machine.root, self._machine.root)
        self.proxy.begin()

    def _run(self, machine: AgentProcess, run: Run, started: Callable[[int], None] = lambda _pid: None) -> Outcome:
        return self.launcher.run(machine, self.proxy.endpoint_url, run, started)

    def _judge(self, where: str, bucket: State) -> None:
        after_crash = self.keeper.take()
        crashed = self._machine
        # In a sample each way to go on takes its turn.
        every = tuple(enumerate(self.scenario.continues))
        mine = every if EVERY_POINT else every[self.coverage.judged % len(every) :][:1]
        for turn, run in mine:
            same = replace(crashed, root=self.scratch / f"same-{turn}")
            copy_tree(crashed.root, same.root)
            if run.commands[0][0] == "restore":
                same = replace(same, boot_id=self.scenario.continued_boot)
            self._judge_same_instance(f"{where}\ncontinued by {run.commands}", same, run)
            self.keeper.put_back(after_crash)
        # A new instance has nothing but the bucket.
        if bucket not in self.coverage.buckets or EVERY_POINT:
            self.coverage.buckets.add(bucket)
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
