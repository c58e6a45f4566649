"""A bucket that has held a state and holds none is told from a new one: nothing starts on nothing by itself."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.faults.plan import Fault, Operation, Rule
from lab.faults.proxy import FaultProxy
from openclaw_agent.snapshot.codec import encode_manifest
from openclaw_agent.snapshot.keys import MARKER_KEY
from tests.support.entries import folder, manifest
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance, contents

REFUSED = "has held a state, and holds none now"


@pytest.fixture
def writer(world: FreshBucket, machine: SimulatedInstance) -> SimulatedInstance:
    machine.write("openclaw.json", "{}")
    machine.write("notes.md", "all my notes")
    assert machine.backup("--final").code == 0
    return machine


def as_the_role(world: FreshBucket) -> None:
    """All that the instance's role may delete."""
    world.delete(*(key for key in world.keys() if key != MARKER_KEY))  # noqa: SIM118


def the_states_alone(world: FreshBucket) -> None:
    world.delete(*world.keys("latest/"), *world.keys("snapshots/"))


def with_versions(world: FreshBucket) -> None:
    """By an administrator, the marker too; versions stay."""
    world.s3.put_bucket_versioning(Bucket=world.bucket, VersioningConfiguration={"Status": "Enabled"})
    world.empty()


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("wipe", [as_the_role, the_states_alone, with_versions])
def test_a_wiped_bucket_is_no_first_boot(world: FreshBucket, wipe: Callable[[FreshBucket], None]) -> None:
    wipe(world)
    second = world.machine("second")
    for run in (second.boot(), second.boot(), second.restore("run", "--force")):
        assert run.code == 3
        assert REFUSED in run.err
        assert "make undelete" in run.err
        assert "boot --start-afresh" in run.err
    assert contents(second.state) == {}
    assert second.restore("before-start").code == 3
    assert second.backup().code == 3

    run = second.boot("--start-afresh")

    assert (run.code, run.line["result"]) == (0, "first-boot"), run.err
    assert second.restore("before-start").code == 0
    second.write("openclaw.json", "{}")
    assert second.backup("--final").code == 0
    assert contents(world.booted("third").state) == {"openclaw.json": "{}"}


def test_a_bucket_that_never_held_a_state_is_a_first_boot_however_often(world: FreshBucket) -> None:
    for name in ("first", "second"):
        run = world.machine(name).boot()
        assert (run.code, run.line["result"]) == (0, "first-boot")
    assert world.keys() == ["owner.json"]


def test_the_marker_is_written_once_and_asked_for_by_no_later_backup(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    first = world.get(MARKER_KEY)
    assert world.snapshots()[0].encode() in first
    second = world.booted("second")
    second.write("notes.md", "more")
    assert second.backup().code == 0
    assert world.get(MARKER_KEY) == first
    assert second.backup().total_requests <= 2


@pytest.mark.parametrize("changed", [True, False])
def test_a_bucket_of_before_the_marker_gets_it_with_the_next_backup(
    world: FreshBucket, writer: SimulatedInstance, changed: bool
) -> None:
    world.delete(MARKER_KEY)
    second = world.booted("second")
    if changed:
        second.write("notes.md", "more")
    assert second.backup().code == 0
    assert MARKER_KEY in world.keys()  # noqa: SIM118


def test_a_marker_that_may_not_be_written_yet_is_told_and_fails_no_backup(
    world: FreshBucket, proxy: FaultProxy
) -> None:
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    machine = world.booted()
    machine.write("openclaw.json", "{}")
    proxy.begin(Rule(Fault.ACCESS_DENIED, frozenset({Operation.PUT}), MARKER_KEY))
    run = machine.backup()
    assert run.code == 0, run.err
    assert f"Warning: {MARKER_KEY} cannot be written" in run.err
    proxy.begin()
    assert machine.backup().code == 0
    assert MARKER_KEY in world.keys()  # noqa: SIM118


def test_a_disk_that_holds_the_state_is_kept_though_the_bucket_was_wiped(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    as_the_role(world)
    run = writer.reboot()
    assert run.code == 0, run.err
    assert contents(writer.state)["notes.md"] == "all my notes"
    assert writer.backup("--final").code == 0
    assert contents(world.booted("second").state)["notes.md"] == "all my notes"


def empty_manifest(world: FreshBucket, name: str = "2030-01-01-00-00") -> None:
    text = b"".join(encode_manifest(replace(manifest([folder()], name), epoch=50)))
    world.put(f"snapshots/{name}/manifest.json", text)
    world.put(LATEST_MANIFEST, text)


def test_nothing_starts_on_a_manifest_of_no_files_where_there_is_another(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    empty_manifest(world)
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    assert "holds no file, and nothing starts on nothing by itself" in run.err
    assert contents(second.state) == contents(writer.state)


@pytest.mark.parametrize("used", [True, False])
def test_nothing_starts_on_a_manifest_of_no_files_alone_unless_a_person_says_so(world: FreshBucket, used: bool) -> None:
    if used:
        world.put(MARKER_KEY, "{}")
    empty_manifest(world)
    second = world.machine("second")
    run = second.boot()
    assert run.code == 1
    assert "nothing starts on nothing by itself" in run.err
    assert second.restore("before-start").code == 3
    named = second.restore("run", "--snapshot", "2030-01-01-00-00")
    assert (named.code, named.line["result"]) == (0, "restored"), named.err
    assert world.machine("third").boot("--start-afresh").line["result"] == "first-boot"


def test_a_person_does_not_start_afresh_by_mistake(world: FreshBucket, writer: SimulatedInstance) -> None:
    second = world.machine("second")
    run = second.boot("--start-afresh")
    assert run.code == 3
    assert f"the bucket {world.bucket} holds a state (latest 2026-" in run.err
    second.write("mine.md")
    run = second.boot("--start-afresh")
    assert run.code == 3
    assert f"{second.state} holds files" in run.err
    assert contents(second.state) == {"mine.md": "text\n"}
