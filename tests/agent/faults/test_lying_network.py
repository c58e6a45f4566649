"""S3 and the network misbehave in every phase: what can be retried is, what cannot ends in one clear sentence."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab.faults.plan import Fault, Operation, Rule
from lab.faults.proxy import FaultProxy
from lab.host.deadline import scaled
from lab.moto.server import EmbeddedAws
from tests.support.agent_process import BUCKET, AgentLauncher, AgentProcess, Run, command
from tests.support.bucket_image import BucketKeeper, Stored
from tests.support.fault_scenario import BACKUP, BOOT, FIRST, KILLED, LATER, FaultScenario, require_one_sentence
from tests.support.state_trees import copy_tree, image_of

# Set to let every fault last in every phase, not only where its sentence could differ.
EVERY_PHASE = "OPENCLAW_NETWORK_EVERY_PHASE" in os.environ
ATTEMPTS = 3
QUICK = {"OPENCLAW_S3_STALL_SECONDS": "0.5", "OPENCLAW_S3_ATTEMPTS": str(ATTEMPTS)}
STALL_SECONDS = 0.9


@dataclass(frozen=True, slots=True)
class Phase:
    """The requests of one step of a run; `bulk` ones go through the transfer engine."""

    name: str
    operation: Operation
    key: str
    bulk: bool = False

    def suffers(self, fault: Fault, times: int | None) -> Rule:
        operations = {self.operation}
        key = self.key
        if self.operation is Operation.HEAD and times is None:
            # What refuses an object's headers for good refuses a listing too, and that has a body to tell why.
            operations, key = {Operation.HEAD, Operation.LIST}, ""
        return Rule(fault, frozenset(operations), key, times=times, seconds=STALL_SECONDS)


BACKUP_PHASES = (
    Phase("owner", Operation.GET, r"^owner\.json$"),
    Phase("reservation", Operation.PUT, r"/reserved$"),
    Phase("copy-to-snapshot", Operation.COPY, r"^snapshots/", bulk=True),
    Phase("upload", Operation.PUT, r"^snapshots/.*/\.openclaw/", bulk=True),
    Phase("seen-by-others", Operation.HEAD, r"^latest/manifest"),
    Phase("commit", Operation.PUT, r"^snapshots/.*/manifest", bulk=True),
    Phase("copy-to-latest", Operation.COPY, r"^latest/", bulk=True),
    Phase("clean-latest", Operation.DELETE, ""),
    Phase("latest-manifest", Operation.PUT, r"^latest/manifest", bulk=True),
)
RESTORE_PHASES = (
    Phase("bucket", Operation.LIST, r"^$"),
    Phase("owner", Operation.GET, r"^owner\.json$"),
    Phase("claim", Operation.PUT, r"^owner\.json$"),
    Phase("snapshots", Operation.LIST, r"^snapshots/"),
    Phase("manifest", Operation.GET, r"^latest/manifest"),
    Phase("download", Operation.GET, r"^latest/\.openclaw/", bulk=True),
)
IN_THE_ANSWER = (Fault.RESET_MID_BODY, Fault.TRUNCATED_ANSWER, Fault.CORRUPTED_ANSWER, Fault.STALL_MID_BODY)
PASSING = (
    Fault.INTERNAL_ERROR,
    Fault.CORRUPTED_REQUEST,
    Fault.SLOW_DOWN,
    Fault.ERROR_IN_OK,
    Fault.RESET_BEFORE,
    Fault.RESET_AFTER,
    Fault.RESET_MID_BODY,
    Fault.TRUNCATED_ANSWER,
    Fault.STALL,
    Fault.STALL_AFTER,
    Fault.STALL_MID_BODY,
)
LASTING: dict[Fault, str] = {
    Fault.INTERNAL_ERROR: r"S3 kept answering with errors for s3://",
    Fault.SLOW_DOWN: r"S3 kept answering with errors for s3://",
    Fault.RESET_BEFORE: r"S3 cannot be reached for s3://",
    Fault.STALL: r"S3 cannot be reached for s3://",
    Fault.EXPIRED_TOKEN: r"The AWS credentials have expired",
    Fault.CLOCK_SKEW: r"this machine's clock is wrong",
    Fault.ACCESS_DENIED: r"Access to s3://\S+ was denied",
    Fault.NO_SUCH_BUCKET: r"The bucket 'faulty-bucket' does not exist",
}


@dataclass(frozen=True, slots=True)
class Ready:
    """A bucket with two restore points, a machine with unsaved changes, and a way back to that."""

    stage: FaultScenario
    bucket: dict[str, Stored]

    def start_over(self, folder: Path) -> FaultScenario:
        machine = replace(self.stage.machine, root=folder / "machine")
        copy_tree(self.stage.machine.root, machine.root)
        self.stage.proxy.begin()
        self.stage.keeper.put_back(self.bucket)
        return replace(self.stage, machine=machine)


@pytest.fixture(scope="module")
def prepared(
    embedded_aws: EmbeddedAws,
    session_proxy: FaultProxy,
    launcher: AgentLauncher,
    tmp_path_factory: pytest.TempPathFactory,
) -> Ready:
    scratch = tmp_path_factory.mktemp("network")
    keeper = BucketKeeper(embedded_aws.endpoint_url, BUCKET)
    session_proxy.begin()
    keeper.start_empty()
    stage = FaultScenario(
        launcher, session_proxy, keeper, AgentProcess(scratch / "machine", "lab-a"), scratch / "scratch"
    )
    stage.prepare()
    stage.back_up(1, FIRST)
    stage.put_state(2)
    return Ready(stage, keeper.take())


@pytest.fixture
def ready(prepared: Ready, tmp_path: Path) -> Iterator[FaultScenario]:
    yield prepared.start_over(tmp_path)
    prepared.stage.proxy.begin()


def require_whole_bucket_and_next_run(stage: FaultScenario) -> None:
    """With a healthy network: what is restored is whole, and the next backup and its restore are right."""
    stage.proxy.begin()
    before, after = stage.machine.root / "before", stage.machine.root / "after"
    copies = (command("restore", "--to", str(before)), BACKUP, command("restore", "--to", str(after)))
    outcome = stage.run(Run(copies, clock=LATER))
    assert outcome.code == 0, outcome.text
    assert image_of(before) in (stage.images[1], stage.images[2])
    assert image_of(after) == stage.images[2]


def require_bounded_attempts(proxy: FaultProxy, fault: Fault) -> None:
    """No request is tried more often than was asked, however many layers retry."""
    assert proxy.wait_until_idle(scaled(10))
    tries = Counter((row.seen.operation, row.seen.key) for row in proxy.log if row.fault is fault)
    assert max(tries.values()) <= ATTEMPTS, tries


def require_struck(proxy: FaultProxy, phases: list[Phase]) -> None:
    assert proxy.wait_until_idle(scaled(10))
    assert sum(1 for row in proxy.log if row.fault) == len(phases)


def bites(fault: Fault, phase: Phase) -> bool:
    """Whether the fault can show in the phase: an answer without a body breaks nowhere in its middle."""
    if fault is Fault.ERROR_IN_OK:
        return phase.operation is Operation.COPY
    if fault is Fault.CORRUPTED_REQUEST:
        return phase.operation is Operation.PUT
    return not (fault in IN_THE_ANSWER and phase.operation in (Operation.HEAD, Operation.PUT))


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name.lower())
def test_a_backup_outlives_one_fault_in_every_phase(ready: FaultScenario, fault: Fault) -> None:
    struck = [phase for phase in BACKUP_PHASES if bites(fault, phase)]
    ready.proxy.begin(*(phase.suffers(fault, 1) for phase in struck))
    outcome = ready.run(Run((BACKUP,), clock=KILLED, environment=QUICK))
    assert outcome.code == 0, outcome.text
    require_struck(ready.proxy, struck)
    require_whole_bucket_and_next_run(ready)


IN_A_BOOT = [fault for fault in PASSING if fault is not Fault.ERROR_IN_OK] + [Fault.CORRUPTED_ANSWER]


@pytest.mark.parametrize("fault", IN_A_BOOT, ids=lambda fault: fault.name.lower())
def test_a_boot_outlives_one_fault_in_every_phase(ready: FaultScenario, fault: Fault) -> None:
    bulk_only = fault is Fault.CORRUPTED_ANSWER
    struck = [phase for phase in RESTORE_PHASES if bites(fault, phase) and (phase.bulk or not bulk_only)]
    new = AgentProcess(ready.machine.root.with_name("new"), "lab-new")
    ready.proxy.begin(*(phase.suffers(fault, 1) for phase in struck))
    outcome = ready.run(Run((BOOT,), environment=QUICK), new)
    assert outcome.code == 0, outcome.text
    require_struck(ready.proxy, struck)
    assert image_of(new.state_dir) == ready.images[1]


def lasting_cases(phases: tuple[Phase, ...]) -> list[object]:
    """Every fault against one phase of each client, and a telling one everywhere."""
    first_of_each_client = {phase.bulk: phase for phase in reversed(phases)}.values()
    return [
        pytest.param(phase, fault, id=f"{phase.name}-{fault.name.lower()}")
        for phase in phases
        for fault in LASTING
        if EVERY_PHASE
        or phase in first_of_each_client
        or phase.operation is Operation.HEAD
        or fault is Fault.ACCESS_DENIED
        if not (fault is Fault.STALL and phase.operation is Operation.HEAD and not EVERY_PHASE)
        # Objects that are forbidden stop nothing: a file is sent instead of copied, or comes from its snapshot.
        if not (fault is Fault.ACCESS_DENIED and phase.name in ("copy-to-snapshot", "download"))
    ]


@pytest.mark.parametrize(("phase", "fault"), lasting_cases(BACKUP_PHASES))
def test_a_backup_that_cannot_go_on_says_why_and_loses_nothing(
    ready: FaultScenario, phase: Phase, fault: Fault
) -> None:
    ready.proxy.begin(phase.suffers(fault, None))
    outcome = ready.run(Run((BACKUP,), clock=KILLED, environment=QUICK))
    require_one_sentence(outcome, LASTING[fault])
    require_bounded_attempts(ready.proxy, fault)
    require_whole_bucket_and_next_run(ready)


@pytest.mark.parametrize(("phase", "fault"), lasting_cases(RESTORE_PHASES))
def test_a_boot_that_cannot_go_on_says_why_and_the_next_one_restores(
    ready: FaultScenario, phase: Phase, fault: Fault
) -> None:
    new = AgentProcess(ready.machine.root.with_name("new"), "lab-new")
    ready.proxy.begin(phase.suffers(fault, None))
    outcome = ready.run(Run((BOOT,), environment=QUICK), new)
    require_one_sentence(outcome, LASTING[fault])
    assert image_of(new.state_dir) == {}
    before_start = ready.run(Run((command("restore", "--before-start"),)), new)
    assert before_start.code == 3, before_start.text
    ready.proxy.begin()
    ready.must(Run((BOOT,)), new)
    assert image_of(new.state_dir) == ready.images[1]


def strike(fault: Fault, key: str) -> Rule:
    return Rule(fault, frozenset({Operation.GET}), key)


def test_a_file_that_latest_holds_corrupted_is_taken_from_its_snapshot(ready: FaultScenario) -> None:
    new = AgentProcess(ready.machine.root.with_name("new"), "lab-new")
    ready.proxy.begin(strike(Fault.CORRUPTED_ANSWER, r"^latest/\.openclaw/kept\.md$"))
    ready.must(Run((BOOT,), environment=QUICK), new)
    assert image_of(new.state_dir) == ready.images[1]


def test_a_file_may_take_long_as_long_as_it_moves(ready: FaultScenario) -> None:
    """A large file on a slow line: longer than any number of stall limits, and fetched once."""
    new = AgentProcess(ready.machine.root.with_name("new"), "lab-new")
    slow = Rule(Fault.SLOW_ANSWER, frozenset({Operation.GET}), r"^latest/\.openclaw/kept\.md$", seconds=6.0)
    ready.proxy.begin(slow)
    ready.must(Run((BOOT,), environment=QUICK), new)
    assert image_of(new.state_dir) == ready.images[1]
    assert sum(1 for row in ready.proxy.log if row.fault) == 1


def test_a_manifest_of_latest_that_is_corrupted_is_replaced_by_that_of_the_snapshot(ready: FaultScenario) -> None:
    new = AgentProcess(ready.machine.root.with_name("new"), "lab-new")
    ready.proxy.begin(strike(Fault.CORRUPTED_ANSWER, r"^latest/manifest\.json$"))
    ready.must(Run((BOOT,), environment=QUICK), new)
    assert image_of(new.state_dir) == ready.images[1]


def test_one_file_that_cannot_be_had_for_now_leaves_the_state_in_place(ready: FaultScenario) -> None:
    before = image_of(ready.machine.state_dir)
    ready.proxy.begin(strike(Fault.TRUNCATED_ANSWER, r"/\.openclaw/kept\.md$"))
    outcome = ready.run(Run((command("restore", "--force"),), environment=QUICK))
    require_one_sentence(outcome, r"S3 cannot be reached for s3://\S+kept\.md")
    assert image_of(ready.machine.state_dir) == before


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault.CORRUPTED_ANSWER, r"kept\.md is corrupt", id="corrupted"),
        pytest.param(Fault.ACCESS_DENIED, r"Access to s3://\S+kept\.md was denied", id="denied"),
    ],
)
def test_one_file_that_can_be_had_nowhere_is_a_gap_and_the_rest_comes_back(
    ready: FaultScenario, fault: Fault, expected: str
) -> None:
    ready.proxy.begin(strike(fault, r"/\.openclaw/kept\.md$"))
    outcome = ready.run(Run((command("restore", "--force"),), environment=QUICK))
    assert outcome.code == 4, outcome.text
    assert re.search(expected, outcome.text), outcome.text
    rest = {path: row for path, row in ready.images[1].items() if path != "kept.md"}
    assert image_of(ready.machine.state_dir) == rest
