"""One drill under way: the deployed world, the work that is done on it, and everything that is noted."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab.drills.gateway_probe import GatewayProbe
from lab.drills.seed_data import SeedData
from lab.drills.timeline import Timeline
from lab.drills.workload import begin_work, last_work
from lab.machine.machine import Machine
from lab.report.record import DrillRecord, Severity, Track
from lab.world.terminal import CheckFailed, Terminal
from lab.world.waiting import until
from lab.world.world import World, back_up

SECONDS_TO_BE_READY = 150


@dataclass(slots=True)
class Scenario:
    """What the steps of a drill share."""

    world: World
    terminal: Terminal
    record: DrillRecord
    seed_data: SeedData
    timeline: Timeline
    _probes: dict[str, GatewayProbe] = field(default_factory=dict)
    _disaster_at: float | None = None
    _last_work: float | None = None

    def ready_machine(self) -> Machine:
        """The group's instance with a ready gateway, all of the seed data on it, and somebody at work."""
        machine = self.world.ready_machine()
        made = self.seed_data.create(machine)
        if made:
            self.terminal.step(f"through the gateway's own CLI: {', '.join(made)}")
        begin_work(machine)
        self.watch(machine)
        return machine

    def watch(self, machine: Machine) -> None:
        """Note from now on whether the machine's gateway is ready."""
        if machine.instance_id not in self._probes:
            instance_id = machine.instance_id
            self._probes[instance_id] = GatewayProbe(
                machine.port.namespace_path,
                lambda moment, ready: self.timeline.gateway_changed(instance_id, moment, ready),
            )

    def back_up(self, machine: Machine) -> str:
        """Back up as the timer does; returns the snapshot's name ("" when nothing had changed)."""
        line = back_up(machine)
        self.note(Track.BACKUP, f"a backup ended: {line['result']}", Severity.GOOD)
        return str(line.get("snapshot", ""))

    def note(self, track: Track, text: str, severity: Severity = Severity.NEUTRAL) -> None:
        """Note an event, and say it."""
        self.timeline.note(track, text, severity)
        self.terminal.step(text)

    def check(self, sentence: str, holds: bool, otherwise: str = "") -> None:
        """Note a check that holds, or end the drill.

        Raises:
            CheckFailed: when it does not hold.
        """
        self.terminal.check(sentence, holds, otherwise)
        self.record.checks.append(sentence)

    def disaster(self, text: str) -> None:
        """What the drill is about begins now."""
        self._disaster_at = self.timeline.now()
        self.note(Track.DRILL, text, Severity.BAD)

    def note_last_work(self, disk: Path) -> None:
        """Remember the last line of work on the disk that is about to be lost, or is lost."""
        self._last_work = last_work(disk)

    def measure_loss(self, machine: Machine) -> float:
        """Compare what came back with the last line of work there was; begins the work anew."""
        assert self._last_work is not None  # noqa: S101 - a drill that has forgotten note_last_work
        self.record.lost_seconds = round(max(0.0, self._last_work - last_work(machine.path("/"))), 1)
        begin_work(machine)
        return self.record.lost_seconds

    def wait_until_ready(self, machine: Machine, seconds: float = SECONDS_TO_BE_READY) -> None:
        """Wait for the machine's gateway, and note how long there was none since the disaster."""
        self.watch(machine)
        machine.wait_for_gateway(seconds)
        until("the probe's word", lambda: not self._is_down(), 10)
        began = self._disaster_at or 0.0
        outages = [
            (max(since, began), end) for since, end in self.timeline.outages() if end is not None and end > began
        ]
        self.record.ready_seconds = round(max((end - since for since, end in outages), default=0.0), 1)
        self.note(Track.GATEWAY, f"the gateway of {machine.instance_id} is ready", Severity.GOOD)

    def check_nothing_is_missing(self, machine: Machine) -> None:
        """All of the seed data is there, by the gateway's own CLI."""
        missing = self.seed_data.missing(machine)
        self.check("the gateway's own CLI finds all of the seed data", not missing, ", ".join(missing))

    def lose(self, machine: Machine) -> None:
        """End an instance without a word, once its logs are read; its machine and its disk are gone."""
        self.note_last_work(machine.disk.written)
        machine.power_cut()
        self.forget(machine)
        self.world.hypervisor.power_cut(machine.instance_id)

    def forget(self, machine: Machine) -> None:
        """Read the logs of a machine that is off, and watch it no more."""
        if self._read_and_stop_watching(machine):
            self.timeline.gateway_changed(machine.instance_id, time.monotonic(), False)

    def boot_replacement(self) -> Machine:
        """Boot what the group has put in the place of an instance that is gone."""
        machine = self.world.boot_replacement()
        self.note(Track.REPLACEMENT, f"{machine.instance_id} is powered on in its place")
        self.watch(machine)
        return machine

    def close(self) -> None:
        """Read the logs of what runs, and end the record."""
        for machine in self.world.host.machines.values():
            self._read_and_stop_watching(machine)
        self.timeline.close()

    def _read_and_stop_watching(self, machine: Machine) -> bool:
        """Whether it was watched."""
        self.timeline.read_agent_logs(machine.disk.written)
        probe = self._probes.pop(machine.instance_id, None)
        if probe is not None:
            probe.stop()
        return probe is not None

    def _is_down(self) -> bool:
        outages = self.timeline.outages()
        return bool(outages) and outages[-1][1] is None


@contextmanager
def running_scenario(world: World, terminal: Terminal, record: DrillRecord, seed_data: SeedData) -> Iterator[Scenario]:
    """Set the scenario for one drill; what fails on it becomes the record's failure, and is raised."""
    scenario = Scenario(world, terminal, record, seed_data, Timeline(record))
    try:
        yield scenario
    except CheckFailed as failure:
        record.failure = str(failure)
        raise
    except Exception as failure:
        record.failure = f"{type(failure).__name__}: {failure}"
        raise
    finally:
        scenario.close()
