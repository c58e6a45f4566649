"""A boot that fails is tried again every 30 seconds: it must not fill the bucket, nor wear out epochs."""

from unittest import mock

import pytest

from openclaw_agent.errors import StoreError
from tests.support.breaking import at_request, raising
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance, contents, let_clock_tick


def quarantined(world: FreshBucket) -> list[str]:
    return [key.split("/")[1] for key in world.keys("snapshots/") if key.endswith("/quarantined")]


@pytest.fixture
def behind(world: FreshBucket, machine: SimulatedInstance) -> SimulatedInstance:
    """A machine whose bucket holds an older state now, put there by an operator, and which has unsaved work."""
    machine.write("notes.md", "one")
    assert machine.backup().code == 0
    older = {key: world.get(key) for key in world.keys("latest/")}
    machine.write("notes.md", "two")
    assert machine.backup().code == 0
    let_clock_tick()
    for key, body in older.items():
        world.put(key, body)
    machine.write("unsaved.md", "unsaved")
    return machine


def test_the_local_state_is_quarantined_once_however_often_the_boot_fails(
    world: FreshBucket, behind: SimulatedInstance
) -> None:
    behind.boot_number += 1
    with at_request("DOWNLOAD", raising(StoreError("S3 fails here.")), again=True):
        for _ in range(3):
            assert behind.boot().code == 1
        (kept,) = quarantined(world)
        assert world.owner()["epoch"] == 2
        behind.write("unsaved.md", "written between two tries")
        assert behind.boot().code == 1
    assert len(quarantined(world)) == 2
    world.delete(f"snapshots/{kept}/manifest.json")
    assert behind.boot().code == 0
    assert len(quarantined(world)) == 2
    assert contents(behind.state) == {"notes.md": "one"}
    assert behind.reboot().code == 0
    assert world.owner()["epoch"] == 3


def test_nothing_is_quarantined_for_a_restore_that_has_no_room(world: FreshBucket, behind: SimulatedInstance) -> None:
    full_disk = mock.Mock(free=0)
    with mock.patch("shutil.disk_usage", return_value=full_disk):
        run = behind.reboot()
    assert run.code == 1
    assert "The restore needs" in run.err
    assert quarantined(world) == []


def test_a_manifest_that_somebody_spoilt_costs_a_machine_nothing(world: FreshBucket, behind: SimulatedInstance) -> None:
    world.put(LATEST_MANIFEST, world.get(LATEST_MANIFEST) + b" ")
    before = contents(behind.state)
    for _ in range(2):
        run = behind.reboot()
        assert run.code == 1
        assert "latest/ cannot be used as it is (There is text after the end of the manifest.)" in run.err
    assert contents(behind.state) == before
    (kept,) = quarantined(world)
    assert behind.restore("--snapshot", kept, "--force").code == 0
    assert contents(behind.state) == before
    assert behind.backup().code == 0
    assert contents(world.booted("second").state) == before
