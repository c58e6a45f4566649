"""What a run asks of S3, counted by a proxy before the server and compared with what the run says of itself."""

import hashlib
import os
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest

from lab.faults.plan import Fault, Operation, Rule
from lab.faults.proxy import FaultProxy
from openclaw_agent.store import bucket as object_store
from openclaw_agent.store import bulk as bulk_transfer
from tests.support.simulated_instance import (
    EVERY_SNAPSHOT_WHOLE,
    FreshBucket,
    Run,
    SimulatedInstance,
    contents,
    let_clock_tick,
    picture,
)

MIB = 1024 * 1024
FILES = 16


@pytest.fixture
def behind(world: FreshBucket, proxy: FaultProxy) -> SimulatedInstance:
    """A machine that reaches S3 through the proxy, with a few files in S3."""
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    machine = world.booted()
    for number in range(FILES):
        machine.write(f"workspace/{number}.md", f"note {number}")
    run = machine.backup()
    assert run.code == 0, run.err
    proxy.begin()
    return machine


def asked(proxy: FaultProxy, run: Run) -> int:
    """How many requests the server saw; the run must have counted the same ones of each kind."""
    seen = Counter({str(operation): count for operation, count in proxy.counts().items()})
    assert run.requests == dict(seen)
    return sum(seen.values())


def test_an_idle_cycle_makes_at_most_two_requests(behind: SimulatedInstance, proxy: FaultProxy) -> None:
    run = behind.backup()
    assert run.line["result"] == "unchanged"
    assert asked(proxy, run) <= 2
    assert run.line["cost_usd"] < 0.000_001


@pytest.mark.parametrize(
    ("changed", "added", "removed"),
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (7, 3, 5), (FILES, 0, 0)],
    ids=["one changed", "one new", "one gone", "some of each", "all changed"],
)
def test_a_cycle_asks_once_for_each_file_and_once_more_for_each_changed_one(
    behind: SimulatedInstance, proxy: FaultProxy, changed: int, added: int, removed: int
) -> None:
    files = sorted((behind.state / "workspace").iterdir())
    for place in files[:changed]:
        place.write_text("changed")
    for place in files[len(files) - removed :]:
        place.unlink()
    for number in range(added):
        behind.write(f"new/{number}", "new")
    run = behind.backup()
    assert run.code == 0, run.err
    kept = len(files) - removed + added
    assert asked(proxy, run) <= kept + changed + added + 6
    assert run.line["uploaded_files"] == changed + added
    assert run.line["copied_files"] == len(files) - removed - changed


def test_unchanged_files_are_not_read_again(behind: SimulatedInstance) -> None:
    let_clock_tick()
    behind.write("new", "12345")
    assert behind.backup("--full").line["bytes_read"] > 100
    let_clock_tick()
    behind.write("newer", "123456")
    assert behind.backup().line["bytes_read"] == 11  # new was young at the full run
    let_clock_tick()
    behind.write("newest", "1234567")
    assert behind.backup().line["bytes_read"] == 13


def test_young_files_are_read_once_more_and_then_no_more(behind: SimulatedInstance) -> None:
    let_clock_tick()
    first = behind.backup()
    assert first.line["result"] == "unchanged"
    assert first.line["bytes_read"] > 0
    assert behind.backup().line["bytes_read"] == 0


def test_a_restore_asks_once_for_each_file(world: FreshBucket, behind: SimulatedInstance, proxy: FaultProxy) -> None:
    del behind
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    # One of them lists latest/, a thousand keys a request.
    assert asked(proxy, run) <= FILES + 9
    proxy.begin()
    again = second.boot()
    assert asked(proxy, again) <= 1


@pytest.mark.parametrize("operation", [Operation.LIST, Operation.GET, Operation.HEAD, Operation.PUT])
def test_what_is_denied_is_a_failure_and_never_a_first_start(
    world: FreshBucket, behind: SimulatedInstance, proxy: FaultProxy, operation: Operation
) -> None:
    del behind
    second = world.machine("second")
    proxy.begin(Rule(Fault.ACCESS_DENIED, frozenset({operation})))
    run = second.boot()
    if operation is Operation.HEAD:
        # A new machine needs none.
        assert run.code == 0
        return
    assert run.code == 1
    assert "was denied" in run.err
    assert "first boot" not in run.err
    assert second.restore("--before-start").code == 3


def test_a_refusal_of_one_key_of_latest_is_told_and_latest_is_left_complete_by_the_next_run(
    world: FreshBucket, behind: SimulatedInstance, proxy: FaultProxy
) -> None:
    for number in range(3):
        behind.write(f"workspace/{number}.md", "changed")
    proxy.begin(Rule(Fault.ACCESS_DENIED, frozenset({Operation.COPY}), key=r"^latest/.*/1\.md$"))
    run = behind.backup()
    assert run.code == 1
    assert f"Access to s3://{world.bucket}/" in run.err
    assert "was denied" in run.err
    proxy.begin()
    second = world.booted("second")
    assert contents(second.state) == contents(behind.state)


def random_file(place: Path, size: int) -> str:
    body = os.urandom(MIB) * (size // MIB) + os.urandom(size % MIB)
    place.write_bytes(body)
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("size", [8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 20 * MIB + 7])
def test_a_large_file_goes_up_in_parts_and_comes_back_whole(
    world: FreshBucket, behind: SimulatedInstance, proxy: FaultProxy, size: int
) -> None:
    random_file(behind.state / "large", size)
    run = behind.backup()
    assert run.code == 0, run.err
    parts = proxy.counts()["MULTIPART"]
    assert parts == (0 if size <= 8 * MIB else 2 + -(-size // (8 * MIB)))
    # A request that is one part of several counts as a PUT for the run: that is what it costs.
    assert run.total_requests == sum(proxy.counts().values())
    world.environment["AWS_ENDPOINT_URL"] = world.aws.endpoint_url
    assert picture(world.booted("second").state) == picture(behind.state)


def test_an_object_beyond_the_limit_of_one_copy_is_copied_in_parts(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of 5 GiB lowered to 10 MiB: the upload, the copy to latest/, and the copy to the next snapshot."""
    monkeypatch.setattr(object_store, "MAX_SINGLE_COPY_BYTES", 10 * MIB)
    random_file(machine.state / "huge", 20 * MIB + 3)
    machine.environment.update(EVERY_SNAPSHOT_WHOLE)
    assert machine.backup().code == 0
    machine.write("small")
    run = machine.backup()
    assert run.code == 0, run.err
    assert run.line["copied_files"] == 1
    assert run.line["bytes_uploaded"] < MIB
    assert picture(world.booted("second").state) == picture(machine.state)
    world.delete(*(key for key in world.keys("snapshots/") if key.endswith("/huge")))
    machine.write("small", "changed")
    world.booted("second")
    assert machine.reboot().code == 0


def test_a_huge_copy_whose_source_is_gone_is_sent_again(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "MAX_SINGLE_COPY_BYTES", 10 * MIB)
    random_file(machine.state / "huge", 20 * MIB)
    machine.environment.update(EVERY_SNAPSHOT_WHOLE)
    assert machine.backup().code == 0
    world.delete(f"snapshots/{world.snapshots()[0]}/.openclaw/huge")
    machine.write("small")
    run = machine.backup()
    assert run.code == 0, run.err
    assert "Sending everything again." in run.err
    assert picture(world.booted("second").state) == picture(machine.state)


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 5 * 1024 * MIB, 80_000 * MIB, 5 * 1024 * 1024 * MIB])
def test_no_file_that_s3_can_hold_needs_more_parts_than_s3_takes(size: int) -> None:
    part = bulk_transfer.part_bytes(size)
    assert part >= 8 * MIB
    assert -(-size // part) <= 10_000


def test_a_sparse_file_comes_back_sparse(world: FreshBucket, machine: SimulatedInstance) -> None:
    with (machine.state / "sparse").open("wb") as out:
        out.write(b"begin")
        out.truncate(50 * MIB)
        out.seek(25 * MIB)
        out.write(b"middle")
    assert machine.backup().code == 0
    second = world.booted("second")
    assert picture(second.state) == picture(machine.state)
    assert (second.state / "sparse").stat().st_blocks * 512 < 5 * MIB


def test_a_sparse_file_that_is_larger_than_the_disk_comes_back(world: FreshBucket, machine: SimulatedInstance) -> None:
    """Only what it takes on a disk has to be free."""
    with (machine.state / "sparse").open("wb") as out:
        out.write(b"begin")
        out.truncate(48 * MIB)
    assert machine.backup().code == 0
    machine.write("another", "file")
    assert machine.backup().code == 0  # copied inside S3, unread
    second = world.machine("second")
    small_disk = mock.Mock(free=40 * MIB)
    with mock.patch("openclaw_agent.restore.tree.shutil.disk_usage", return_value=small_disk):
        assert second.boot().code == 0
        assert picture(second.state) == picture(machine.state)
        assert second.restore("--force", "--snapshot", world.snapshots()[0]).code == 0
    small_disk.free = 16 * MIB
    with mock.patch("openclaw_agent.restore.tree.shutil.disk_usage", return_value=small_disk):
        refused = second.restore("--force")
    assert refused.code == 1
    assert "The restore needs 4,1" in refused.err
