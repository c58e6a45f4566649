"""What S3 does and the embedded AWS does not: keys that XML cannot carry, other regions, contradictions."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.faults.answers import OTHER_REGION
from lab.faults.plan import Fault, Operation, Rule
from lab.faults.proxy import FaultProxy
from openclaw_agent.errors import StoreError
from openclaw_agent.lease.claim import CONTRADICTIONS, acquire
from openclaw_agent.lease.record import Liveness
from openclaw_agent.store.deletions import fits_into_xml
from tests.support.simulated_instance import FreshBucket, Run, SimulatedInstance, contents

WRITES = frozenset({Operation.PUT, Operation.COPY, Operation.DELETE, Operation.MULTIPART})
UNFIT = ["ctl\x01x", "cr\rx", "\x00", "esc\x1b[31m", "\ufffe", "nested/\x0b/y"]


def batches_of_the_others(proxy: FaultProxy) -> list[str]:
    return [row.seen.query for row in proxy.log if row.seen.operation is Operation.DELETE and row.seen.method == "POST"]


@given(st.text())
def test_a_key_fits_into_xml_exactly_if_a_parser_gives_it_back(key: str) -> None:
    element = ElementTree.Element("Key")
    element.text = key
    try:
        back: str | None = ElementTree.fromstring(ElementTree.tostring(element, encoding="utf-8")).text or ""
    except (ElementTree.ParseError, UnicodeEncodeError):
        back = None
    assert fits_into_xml(key) == (back == key)


@pytest.mark.parametrize("name", UNFIT)
def test_a_key_that_xml_cannot_carry_is_deleted_by_a_request_of_its_own(
    world: FreshBucket, proxy: FaultProxy, name: str
) -> None:
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    keys = [f"x/{name}", *(f"x/{number}" for number in range(5))]
    for key in keys:
        world.put(key, "theirs")
    proxy.begin()
    store = world.store()
    assert store.delete(row.key for row in store.list("x/")) == {}
    assert world.keys("x/") == []
    assert store.traffic.requests["DELETE"] == 2
    assert [row.seen.key for row in proxy.log if row.seen.method == "DELETE"] == [f"x/{name}"]
    assert len(batches_of_the_others(proxy)) == 1


def test_a_batch_that_is_refused_for_its_xml_is_deleted_key_by_key(world: FreshBucket, proxy: FaultProxy) -> None:
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    for number in range(4):
        world.put(f"x/{number}", "theirs")
    proxy.begin(Rule(Fault.MALFORMED_XML, frozenset({Operation.DELETE}), times=1))
    assert world.store().delete([f"x/{number}" for number in range(4)]) == {}
    assert world.keys("x/") == []


def test_a_key_that_may_not_be_deleted_is_told_and_the_others_go(world: FreshBucket, proxy: FaultProxy) -> None:
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    for key in ("x/\x01", "x/2"):
        world.put(key, "theirs")
    proxy.begin(Rule(Fault.ACCESS_DENIED, frozenset({Operation.DELETE}), key="\x01"))
    assert world.store().delete(["x/\x01", "x/2"]) == {"x/\x01": "AccessDenied"}
    assert world.keys("x/") == ["x/\x01"]


def test_other_peoples_keys_stop_neither_a_backup_nor_the_lifecycle(world: FreshBucket) -> None:
    machine = world.booted("first")
    machine.write("note.md")
    assert machine.backup().code == 0
    theirs = [f"latest/.openclaw/{name}" for name in UNFIT if name != "\x00"]
    for key in theirs:
        world.put(key, "theirs")
    run = machine.backup("--full")
    assert run.code == 0, run.err
    assert not set(theirs) & set(world.keys())
    old = f"snapshots/2026-01-01-00-00/.openclaw/{UNFIT[0]}"
    world.put(old, "theirs")
    run = machine.lifecycle("--now", "2026-03-04T12:00:00Z")
    assert run.code == 0, run.err
    assert world.keys("snapshots/2026-01-01-00-00/") == []


@pytest.mark.parametrize("fault", [Fault.OTHER_REGION, Fault.OTHER_REGION_SIGNED])
@pytest.mark.parametrize("command", ["boot", "list", "run", "verify", "backup", "lifecycle"])
def test_a_bucket_in_another_region_is_told_with_both_names_before_anything_is_written(
    world: FreshBucket, proxy: FaultProxy, tmp_path: Path, fault: Fault, command: str
) -> None:
    machine = world.booted("first")
    machine.write("note.md")
    assert machine.backup().code == 0
    before = world.picture()
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    # Once: who signs anew for that region, as boto3 does by itself, gets through.
    proxy.begin(Rule(fault, times=1))
    other = machine if command == "backup" else world.machine("second")
    commands: dict[str, Callable[[], Run]] = {
        "backup": lambda: other.backup("--full"),
        "lifecycle": other.lifecycle,
        "run": lambda: other.run_restore("run", "--bucket", world.bucket, "--to", str(tmp_path / "to")),
        "verify": lambda: other.run_restore("verify", "--bucket", world.bucket),
        "list": lambda: other.run_restore("list", "--bucket", world.bucket),
        "boot": other.boot,
    }
    run = commands[command]()
    assert run.code == 1
    assert f"is in the region {OTHER_REGION}, and us-east-1 is configured: pass --region {OTHER_REGION}" in run.err
    assert run.err.count("\n") == 1
    assert world.picture() == before
    assert not [row for row in proxy.log if row.seen.operation in WRITES and row.fault is None]


def test_a_redirect_without_a_region_and_one_of_the_transfer_engine_are_told_too(
    world: FreshBucket, proxy: FaultProxy
) -> None:
    machine = world.booted("first")
    machine.write("note.md")
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    proxy.begin(Rule(Fault.OTHER_REGION, WRITES, key=r"\.openclaw/"))
    run = machine.backup()
    assert run.code == 1
    assert f"The bucket '{world.bucket}' is in another region; pass the right --region." in run.err


@pytest.mark.parametrize(
    ("there", "fault", "sentence"),
    [
        (False, Fault.PRECONDITION_FAILED, "and yet shows none, after 7 tries"),
        (True, Fault.PRECONDITION_FAILED, "and yet shows it as it was, after 7 tries"),
        (False, Fault.WRITE_UNDER_WAY, r"another write of s3://\S+/owner.json is under way"),
        (True, Fault.WRITE_UNDER_WAY, r"another write of s3://\S+/owner.json is under way"),
    ],
)
def test_a_claim_that_s3_contradicts_is_paced_and_bounded_and_told(
    world: FreshBucket, proxy: FaultProxy, there: bool, fault: Fault, sentence: str
) -> None:
    if there:
        acquire(world.store(), "before", lambda _id: Liveness.GONE)
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    proxy.begin(Rule(fault, frozenset({Operation.PUT})))
    slept: list[float] = []
    store = world.store(sleep=slept.append)
    with pytest.raises(StoreError, match=sentence):
        acquire(store, "me", lambda _id: Liveness.GONE, sleep=slept.append)
    assert slept == sorted(slept)
    assert len(slept) <= CONTRADICTIONS.attempts
    assert slept[0] >= 0.2
    assert sum(slept) >= 5
    assert proxy.counts()["PUT"] <= CONTRADICTIONS.attempts + 1


def test_a_contradiction_that_passes_ends_in_the_lease(world: FreshBucket, proxy: FaultProxy) -> None:
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    proxy.begin(Rule(Fault.PRECONDITION_FAILED, frozenset({Operation.PUT}), times=3))
    slept: list[float] = []
    lease = acquire(world.store(), "me", lambda _id: Liveness.GONE, sleep=slept.append)
    assert lease.epoch == 1
    assert slept == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("doubted_run_is_cut_off", [False, True])
def test_where_one_object_was_deleted_latest_is_written_in_whole_too(
    world: FreshBucket, proxy: FaultProxy, machine: SimulatedInstance, doubted_run_is_cut_off: bool
) -> None:
    for number in range(6):
        machine.write(f"{number}.md", f"note {number}")
    assert machine.backup().code == 0
    name = world.snapshots()[0]
    world.delete(f"snapshots/{name}/.openclaw/2.md", "latest/.openclaw/3.md", "latest/.openclaw/2.md")
    changed = machine.write("0.md", "changed")
    if doubted_run_is_cut_off:
        world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
        proxy.begin(Rule(Fault.ACCESS_DENIED, frozenset({Operation.PUT}), key=r"snapshots/.*/manifest\.json"))
        run = machine.backup()
        assert (run.code, "Sending everything again." in run.err) == (1, True)
        proxy.begin()
        changed.write_text("note 0")
    run = machine.backup()
    assert run.code == 0, run.err
    assert "Sending everything again." in run.err
    assert set(world.keys("latest/.openclaw/")) == {f"latest/.openclaw/{n}.md" for n in range(6)}
    # Once it is whole it is believed again.
    machine.write("0.md", "changed again")
    run = machine.backup()
    assert run.code == 0, run.err
    assert run.requests["COPY"] == 5 + 1
    assert contents(world.booted("second").state) == contents(machine.state)
