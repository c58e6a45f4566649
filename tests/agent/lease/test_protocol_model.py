"""Interleavings of boot, backup, crash, release and takeover, explored on the real commands in the embedded AWS."""

import contextlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lab.moto.server import EmbeddedAws
from openclaw_agent.catalog.completeness import Completeness, look_at
from tests.support.breaking import at_request
from tests.support.simulated_instance import (
    DIFFERENTIAL,
    LATEST_MANIFEST,
    FreshBucket,
    Run,
    SimulatedInstance,
    contents,
)

# The whole claim at full size: OPENCLAW_MODEL_EXAMPLES=200.
EXAMPLES = int(os.environ.get("OPENCLAW_MODEL_EXAMPLES", "2"))
STEPS = int(os.environ.get("OPENCLAW_MODEL_STEPS", "14"))
SLOTS = 3
NOTHING = "nothing"
# A file that no backup finds changed: a differential snapshot leaves it in the folder of its base.
STILL = "still"


class Killed(BaseException):
    """The process ended here."""


def at_call(number: int, *, after: bool, happens: Callable[[], None]) -> AbstractContextManager[None]:
    """Let something happen once, before or after the how-manieth request to S3 of what runs in the block."""
    return at_request("ANY", happens, nth=number, after=after, must_happen=False)


def kill() -> None:
    raise Killed


class Ownership(RuleBasedStateMachine):
    """Three slots for machines on one bucket.

    Each state is two files with one token, so that a mixture shows. `restorable` is what a restore may give: the token
    of the last backup that ended well, and those of backups that may or may not have been committed since.
    """

    new_world: Callable[[], FreshBucket]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).new_world()
        self.slots: list[SimulatedInstance | None] = [None] * SLOTS
        self.tokens = 0
        self.restorable = {NOTHING}
        self.claims: dict[int, str] = {}
        self.epoch = 0

    def machine(self, slot: int) -> SimulatedInstance:
        machine = self.slots[slot]
        if machine is None:
            machine = self.slots[slot] = self.world.machine()
        return machine

    @initialize(differential=st.booleans())
    def it_begins(self, differential: bool) -> None:
        self.world.environment.update(DIFFERENTIAL if differential else {})

    def write(self, machine: SimulatedInstance) -> None:
        self.tokens += 1
        if not (machine.state / STILL).exists():
            machine.write(STILL)
        machine.write("one", f"token {self.tokens}")
        machine.write("folder/two", f"token {self.tokens}")

    def token(self, machine: SimulatedInstance) -> str:
        found = contents(machine.state)
        still = found.pop(STILL, None)
        assert (still is None) == (not found), f"a part: {found}, {still}"
        texts = set(found.values())
        assert len(texts) <= 1, f"a mixture: {found}"
        assert set(found) in ({"one", "folder/two"}, set()), f"a part: {found}"
        return next(iter(texts), NOTHING)

    def note_owner(self) -> None:
        if "owner.json" not in self.world.keys("owner.json"):
            return
        owner = self.world.owner()
        assert owner["epoch"] >= self.epoch, "an epoch went backwards"
        self.epoch = owner["epoch"]
        assert self.claims.setdefault(self.epoch, owner["instance_id"]) == owner["instance_id"], "one epoch, two owners"

    def owns(self, machine: SimulatedInstance) -> bool:
        boot = machine.agent_dir.records.boot()
        owner = self.world.owner() if self.claims else {}
        return boot is not None and (boot.epoch, boot.instance_id) == (owner.get("epoch"), owner.get("instance_id"))

    def is_unused_but_by(self, machine: SimulatedInstance) -> bool:
        """Whether the bucket holds nothing, or nothing but this machine's claim: a first backup may then adopt it."""
        keys = self.world.keys()
        return not keys or (keys == ["owner.json"] and self.world.owner()["instance_id"] == machine.name)

    def boot_cleanly(self, machine: SimulatedInstance) -> None:
        run = machine.reboot()
        self.note_owner()
        assert self.owns(machine)
        if run.code == 1:
            self.assert_a_person_must_choose(run)
            assert machine.restore("--before-start").code == 3
            return
        assert run.code == 0, run.err
        if run.line["result"] == "restored":
            assert self.token(machine) in self.restorable
        assert machine.restore("--before-start").code == 0

    def assert_a_person_must_choose(self, run: Run) -> None:
        """The bucket holds nothing but quarantined snapshots: neither a state of the main line nor a first start."""
        assert "but nothing that can be restored by itself" in run.err, run.err
        assert NOTHING in self.restorable
        committed = [key for key in self.world.keys() if key.endswith("/manifest.json")]  # noqa: SIM118 - no dict
        assert committed
        assert all(self.world.manifest(key.split("/")[-2]).quarantined for key in committed)

    def back_up(self, machine: SimulatedInstance, *flags: str) -> Run:
        token, owned, unused = self.token(machine), self.owns(machine), self.is_unused_but_by(machine)
        run = machine.backup(*flags)
        if run.code == 0:
            assert owned or unused, "a machine that does not hold the lease backed up"
            self.restorable = {token}
        else:
            assert run.code in (3, 75), run.err
            assert owned or unused or run.code == 75 or "this boot has not completed a restore" in run.err, run.err
        return run

    @rule(slot=st.integers(0, SLOTS - 1))
    def a_new_instance_takes_the_slot(self, slot: int) -> None:
        self.slots[slot] = None
        self.boot_cleanly(self.machine(slot))

    @rule(slot=st.integers(0, SLOTS - 1))
    def it_reboots(self, slot: int) -> None:
        self.boot_cleanly(self.machine(slot))

    @rule(slot=st.integers(0, SLOTS - 1))
    def it_works_and_backs_up(self, slot: int) -> None:
        machine = self.machine(slot)
        self.write(machine)
        self.back_up(machine)
        self.note_owner()

    @rule(slot=st.integers(0, SLOTS - 1))
    def it_works(self, slot: int) -> None:
        self.write(self.machine(slot))

    @rule(slot=st.integers(0, SLOTS - 1))
    def it_ends_well(self, slot: int) -> None:
        machine = self.machine(slot)
        self.write(machine)
        owned = self.owns(machine)
        run = self.back_up(machine, "--final")
        if owned and run.code in (0, 3):
            assert self.world.owner()["released"]
        self.note_owner()

    @rule(hours=st.sampled_from([1, 9, 24, 60, 24 * 8, 24 * 40]))
    def time_passes(self, hours: int) -> None:
        self.world.clock.now += timedelta(hours=hours)

    @rule(slot=st.integers(0, SLOTS - 1))
    def it_prunes(self, slot: int) -> None:
        run = self.machine(slot).lifecycle("--now", self.world.clock.now.isoformat())
        assert run.code in (0, 75), run.err

    @rule(slot=st.integers(0, SLOTS - 1), number=st.integers(1, 14), after=st.booleans())
    def it_is_killed_during_a_backup(self, slot: int, number: int, after: bool) -> None:
        machine = self.machine(slot)
        self.write(machine)
        self.restorable |= {self.token(machine)} if self.owns(machine) or not self.claims else set()
        with contextlib.suppress(Killed), at_call(number, after=after, happens=kill):
            self.back_up(machine)
        self.note_owner()

    @rule(slot=st.integers(0, SLOTS - 1), number=st.integers(1, 14), after=st.booleans())
    def it_is_killed_during_a_boot(self, slot: int, number: int, after: bool) -> None:
        machine = self.machine(slot)
        with contextlib.suppress(Killed), at_call(number, after=after, happens=kill):
            machine.reboot()
        self.note_owner()

    @precondition(lambda self: self.claims)
    @rule(
        slot=st.integers(0, SLOTS - 1),
        number=st.integers(1, 14),
        after=st.booleans(),
        works=st.booleans(),
        saves=st.booleans(),
    )
    def another_takes_over_during_its_backup(
        self, slot: int, number: int, after: bool, works: bool, saves: bool
    ) -> None:
        machine, other = self.machine(slot), self.machine((slot + 1) % SLOTS)
        self.write(machine)
        mine = self.token(machine)
        self.restorable |= {mine}

        def take_over() -> None:
            self.boot_cleanly(other)
            if works:
                self.write(other)
            if saves:
                taken = self.token(other)
                if other.backup().code == 0:
                    self.restorable = {taken, mine}

        with at_call(number, after=after, happens=take_over):
            run = machine.backup()
        assert run.code in (0, 3, 75), run.err
        self.note_owner()

    @precondition(lambda self: self.claims)
    @rule(slot=st.integers(0, SLOTS - 1), number=st.integers(1, 10), after=st.booleans())
    def another_takes_over_during_its_boot(self, slot: int, number: int, after: bool) -> None:
        machine, other = self.machine(slot), self.machine((slot + 1) % SLOTS)

        def take_over() -> None:
            self.boot_cleanly(other)
            self.write(other)
            self.back_up(other)

        with at_call(number, after=after, happens=take_over):
            run = machine.reboot()
        assert run.code in (0, 1), run.err
        self.note_owner()
        if not self.owns(machine):
            self.write(machine)
            latest = self.world.picture("latest/")
            assert machine.backup().code in (3, 75)
            assert self.world.picture("latest/") == latest

    @invariant()
    def latest_was_written_by_the_owner_of_its_epoch(self) -> None:
        if self.world.keys(LATEST_MANIFEST):
            manifest = self.world.manifest("latest")
            assert self.claims.get(manifest.epoch) == manifest.instance_id

    @invariant()
    def what_a_snapshot_leans_on_is_there(self) -> None:
        for name in self.world.snapshots():
            if f"snapshots/{name}/manifest.json" in self.world.keys(f"snapshots/{name}/"):
                look = look_at(self.world.store(), f"snapshots/{name}/manifest.json")
                assert look.completeness in (Completeness.COMPLETE, Completeness.QUARANTINED), (name, look)

    @invariant()
    def a_restore_gives_the_last_backup_whole(self) -> None:
        looker = self.world.machine("looker")
        run = looker.restore("--to", str(looker.disk / "copy"))
        if run.code != 0:
            if "nothing to restore" not in run.err:
                self.assert_a_person_must_choose(run)
            assert NOTHING in self.restorable
            return
        looker.state.rmdir()
        (looker.disk / "copy").rename(looker.state)
        assert self.token(looker) in self.restorable


def test_no_interleaving_breaks_the_protocol(
    embedded_aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory
) -> None:
    class OnThisServer(Ownership):
        new_world = staticmethod(lambda: FreshBucket(embedded_aws, tmp_path_factory.mktemp("model")))

    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
