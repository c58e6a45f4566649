"""A restore by hand takes no bucket and replaces no state without being told to."""

import json
import os
import shutil
from pathlib import Path
from unittest import mock

import pytest

from openclaw_agent.errors import LocalStorageError, StoreError
from openclaw_agent.lease.record import Liveness
from tests.support.breaking import at_request, raising
from tests.support.privileges import root_only
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents, picture

RUNNING = "openclaw_agent.host.units.subprocess.run"


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    machine.write("notes.md", "saved")
    machine.write("ws/plan.md", "the plan")
    (machine.state / "link").symlink_to("notes.md")
    assert machine.backup().code == 0
    return machine


def quarantined(world: FreshBucket) -> list[str]:
    return [name for name in world.snapshots() if world.keys(f"snapshots/{name}/quarantined")]


@pytest.mark.parametrize("name", ["yesterday", "2026-01-01-00-00", ""])
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_typo_in_the_snapshots_name_takes_no_bucket(
    world: FreshBucket, writer: SimulatedInstance, name: str, force: tuple[str, ...]
) -> None:
    owner = world.get("owner.json")
    run = world.machine("laptop").restore("--owner-wait", "0", "--snapshot", name, *force)
    assert run.code == (1 if name.startswith("2026") else 2), run.err
    assert world.get("owner.json") == owner
    writer.write("notes.md", "later")
    assert writer.backup().code == 0


def test_a_typo_after_the_final_backup_leaves_the_machine_as_it_was(writer: SimulatedInstance) -> None:
    assert writer.backup("--final").code == 0
    assert writer.restore("--snapshot", "yesterday").code == 2
    assert writer.restore("--before-start").code == 0


def test_the_bucket_of_another_is_not_taken_without_force(world: FreshBucket, writer: SimulatedInstance) -> None:
    owner = world.get("owner.json")
    laptop = world.machine("laptop")
    run = laptop.restore()
    assert run.code == 3
    assert "Refused: instance first holds the lease on" in run.err
    assert "list, verify, diff and run --to need none" in run.err
    assert world.get("owner.json") == owner
    assert contents(laptop.state) == {}
    assert laptop.restore("--force", "--owner-wait", "0").code == 0
    assert contents(laptop.state) == contents(writer.state)
    assert world.owner()["instance_id"] == "laptop"
    assert writer.backup("--full").code == 75


def test_a_bucket_that_was_released_is_taken(world: FreshBucket, writer: SimulatedInstance) -> None:
    assert writer.backup("--final").code == 0
    laptop = world.machine("laptop")
    assert laptop.restore().code == 0
    assert contents(laptop.state) == contents(writer.state)


@pytest.mark.parametrize(("liveness", "code"), [(Liveness.GONE, 0), (Liveness.ALIVE, 3), (Liveness.UNKNOWN, 3)])
@pytest.mark.usefixtures("writer")
def test_the_bucket_of_an_instance_that_is_gone_is_taken(world: FreshBucket, liveness: Liveness, code: int) -> None:
    with mock.patch("openclaw_agent.cli.restore.ec2_liveness", return_value=lambda _id: liveness):
        assert world.machine("laptop").restore().code == code


def new_symlink(state: Path) -> None:
    (state / "new-link").symlink_to("notes.md")


def new_folder(state: Path) -> None:
    (state / "empty").mkdir()


def changed_target(state: Path) -> None:
    (state / "link").unlink()
    (state / "link").symlink_to("elsewhere")


def changed_mode(state: Path) -> None:
    (state / "notes.md").chmod(0o755)


def changed_folder_mode(state: Path) -> None:
    (state / "ws").chmod(0o700)


def changed_kind(state: Path) -> None:
    shutil.rmtree(state / "ws")
    (state / "ws").symlink_to("notes.md")


def new_file(state: Path) -> None:
    (state / "new.md").write_text("new")


def changed_owner(state: Path) -> None:
    os.chown(state / "notes.md", 1234, 1234)


CHANGES = [
    *(new_file, new_symlink, new_folder, changed_target, changed_mode, changed_folder_mode, changed_kind),
    pytest.param(changed_owner, marks=root_only("only root gives files away")),
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_s3_does_not_have_is_replaced_only_by_force_and_kept_as_a_snapshot(
    world: FreshBucket, writer: SimulatedInstance, change: object
) -> None:
    saved = picture(writer.state)
    assert callable(change)
    change(writer.state)
    changed = picture(writer.state)
    refused = writer.restore()
    assert refused.code == 3
    assert "paths there are newer than S3" in refused.err
    assert picture(writer.state) == changed
    forced = writer.restore("--force")
    assert forced.code == 0, forced.err
    assert picture(writer.state).keys() == saved.keys()
    (name,) = quarantined(world)
    assert f"Quarantined the state as snapshot {name}" in forced.err
    writer.write("z")
    assert writer.backup().code == 0
    back = writer.disk / "back"
    assert writer.restore("--snapshot", name, "--to", str(back)).code == 0
    assert picture(back) == changed


def test_what_is_gone_here_is_in_s3_and_needs_no_force(world: FreshBucket, writer: SimulatedInstance) -> None:
    (writer.state / "notes.md").unlink()
    (writer.state / "link").unlink()
    assert writer.restore().code == 0
    assert contents(writer.state)["notes.md"] == "saved"
    assert quarantined(world) == []


@pytest.mark.parametrize("problem", [LocalStorageError("The disk is full."), StoreError("Access was denied.")])
def test_a_state_that_cannot_be_kept_is_not_replaced(writer: SimulatedInstance, problem: Exception) -> None:
    writer.write("notes.md", "unsaved work")
    with at_request("UPLOAD", raising(problem)):
        run = writer.restore("--force")
    assert run.code == 3
    assert f"it could not be quarantined as a snapshot first. {problem}" in run.err
    assert contents(writer.state)["notes.md"] == "unsaved work"
    assert writer.backup().code == 0


def test_looking_needs_no_stopped_gateway_and_waits_for_no_lock(writer: SimulatedInstance) -> None:
    settings = {"backup_bucket": writer.world.bucket, "region": "us-east-1"}
    (writer.disk / "instance.json").write_text(json.dumps(settings))
    with mock.patch(RUNNING, return_value=mock.Mock(returncode=0)), writer.agent_dir.locked(wait=True):
        for number, flags in enumerate([("--path", "notes.md"), ()]):
            run = writer.restore("--to", str(writer.disk / f"look-{number}"), *flags)
            assert run.code == 0, run.err
    with mock.patch(RUNNING, return_value=mock.Mock(returncode=0)):
        for flags in (("--path", "notes.md"), ("--force",)):
            run = writer.restore(*flags)
            assert run.code == 3
            assert "The gateway is running on this state" in run.err


def test_on_an_instance_a_stopped_gateway_is_no_hindrance(writer: SimulatedInstance) -> None:
    settings = {"backup_bucket": writer.world.bucket, "region": "us-east-1"}
    (writer.disk / "instance.json").write_text(json.dumps(settings))
    (writer.state / "notes.md").unlink()
    # What systemctl answers for a unit that is inactive.
    with mock.patch(RUNNING, return_value=mock.Mock(returncode=3)) as asked:
        assert writer.restore("--force").code == 0
    assert asked.call_count == 1
    assert contents(writer.state)["notes.md"] == "saved"


def test_that_latest_cannot_be_used_is_told_once(world: FreshBucket, writer: SimulatedInstance) -> None:
    world.put("latest/manifest.json", world.get("latest/manifest.json")[:-20])
    run = writer.restore("--force")
    assert run.code == 0, run.err
    assert run.err.count("latest/ cannot be used") == 1


def test_a_failed_restore_leaves_nothing_beside_the_state(world: FreshBucket, writer: SimulatedInstance) -> None:
    (name,) = world.snapshots()
    for key in world.keys(f"snapshots/{name}/.openclaw/"):
        world.put(key, "rot")
    for flags in ((), ("--path", "notes.md"), ("--to", str(writer.disk / "look"))):
        assert writer.restore("--snapshot", name, *flags).code == 1
        assert sorted(place.name for place in writer.disk.iterdir()) == ["agent", "state"]


def test_a_bucket_with_nothing_to_restore_in_it_is_not_called_empty(world: FreshBucket) -> None:
    looker = world.machine()
    for happened in (None, "snapshots/2026-03-04-07-40/reserved"):
        if happened:
            world.put(happened, "a backup that was cut short")
        for flags in (("--to", str(looker.disk / "t")), ("--verify",), ("--diff", "latest"), ("--path", "x")):
            run = looker.restore(*flags)
            assert run.code == 1
            assert "holds no state: there is nothing to restore" in run.err
            assert "is empty" not in run.err
