"""A plain `aws s3 sync` into the state folder: the next start of the gateway puts it in order, and nothing else."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from lab.moto.server import EmbeddedAws
from openclaw_agent.errors import StoreError
from openclaw_agent.state_dir.inbox import inbox_of
from tests.support.breaking import at_request, raising
from tests.support.generated_trees import Node, plant, trees
from tests.support.plain_copies import GATEWAYS, give_all, plain_copy
from tests.support.privileges import root_only
from tests.support.simulated_instance import DIFFERENTIAL, FreshBucket, SimulatedInstance, contents, picture

pytestmark = root_only("only root gives files away, and copies as root")

# At full size: OPENCLAW_TREE_EXAMPLES=300.
EXAMPLES = max(2, int(os.environ.get("OPENCLAW_TREE_EXAMPLES", "12")) // 6)


def without_folder_times(folder: Path) -> dict[str, tuple[object, ...]]:
    return {path: row[:3] if row[0] == "folder" else row for path, row in picture(folder).items()}


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    machine.write("openclaw.json", "{}").chmod(0o600)
    machine.write("workspace/run.sh", "#!/bin/sh\n").chmod(0o755)
    machine.write("workspace/secret", "s").chmod(0o400)
    (machine.state / "workspace/current").symlink_to("run.sh")
    (machine.state / "credentials").mkdir(mode=0o700)
    database = machine.state / "state/openclaw.sqlite"
    database.parent.mkdir()
    with sqlite3.connect(database) as connection:
        connection.execute("create table t (x)")
    connection.close()
    give_all(machine.state)
    machine.state.chmod(0o700)
    assert machine.backup().code == 0
    return machine


@pytest.mark.parametrize("from_an_older_one", [False, True])
@pytest.mark.parametrize("emptied", [False, True], ids=["in the folder", "in a new folder"])
def test_a_copied_snapshot_is_as_it_was_backed_up(
    world: FreshBucket, writer: SimulatedInstance, from_an_older_one: bool, emptied: bool
) -> None:
    before = without_folder_times(writer.state)
    (name,) = world.snapshots()
    if from_an_older_one:
        writer.write("openclaw.json", '{"later": true}')
        give_all(writer.state)
        assert writer.backup().code == 0
    if emptied:
        shutil.rmtree(writer.state)
        writer.state.mkdir(mode=0o755)
    plain_copy(world, f"snapshots/{name}/.openclaw/", writer.state, delete=True)
    assert (writer.state / "openclaw.json").stat().st_mode & 0o777 == 0o644
    run = writer.restore("--before-start")
    assert run.code == 0, run.err
    assert f"Put the plain copy of snapshot {name} in order" in run.err
    assert without_folder_times(writer.state) == before
    assert writer.restore("--before-start").err == ""
    assert writer.backup().code == 0
    assert without_folder_times(world.booted("second").state) == before


def test_a_copy_over_newer_work_leaves_that_work_as_it_is(world: FreshBucket, writer: SimulatedInstance) -> None:
    (name,) = world.snapshots()
    writer.write("openclaw.json", "of the gateway, since").chmod(0o640)
    writer.write("workspace/new.md", "new").chmod(0o644)
    give_all(writer.state)
    newer = without_folder_times(writer.state)
    plain_copy(world, f"snapshots/{name}/.openclaw/workspace/", writer.state / "workspace")
    run = writer.restore("--before-start")
    assert run.code == 0, run.err
    assert without_folder_times(writer.state) == newer


def test_what_is_nobodys_becomes_the_gateways_and_is_read_by_nobody_else(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    for path, mode in {"openclaw.json": 0o644, "workspace/run.sh": 0o755, "media/a.png": 0o444}.items():
        (writer.state / path).unlink(missing_ok=True)
        writer.write(path, "put there by root").chmod(mode)
    run = writer.restore("--before-start")
    assert run.code == 0, run.err
    rows = picture(writer.state)
    assert rows["openclaw.json"][:3] == ("file", "0600", GATEWAYS)
    assert rows["workspace/run.sh"][:3] == ("file", "0700", GATEWAYS)
    assert rows["media/a.png"][:3] == ("file", "0400", GATEWAYS)
    assert rows["media"][:3] == ("folder", "0700", GATEWAYS)
    assert run.line["given_to_the_gateway"] == 4
    assert writer.restore("--before-start").err == ""


def test_an_outage_keeps_no_gateway_down_and_no_copy_readable(world: FreshBucket, writer: SimulatedInstance) -> None:
    writer.write("workspace/run.sh", "of an older snapshot").chmod(0o755)
    give_all(writer.state)
    assert writer.backup().code == 0
    plain_copy(world, f"snapshots/{world.snapshots()[0]}/.openclaw/", writer.state)
    with at_request("LIST", raising(StoreError("S3 cannot be reached."))):
        run = writer.restore("--before-start")
    assert run.code == 0, run.err
    assert picture(writer.state)["workspace/run.sh"][1:3] == ("0600", GATEWAYS)
    assert picture(writer.state)["openclaw.json"][1:3] == ("0600", GATEWAYS)


def test_a_log_of_the_database_before_is_not_replayed_into_the_copied_one(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    database = writer.state / "state/openclaw.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("insert into t values (1)")
    connection.close()
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).write_bytes(b"of another database")
    give_all(writer.state)
    plain_copy(world, f"snapshots/{world.snapshots()[0]}/.openclaw/", writer.state)
    assert writer.restore("--before-start").code == 0
    assert sorted(path.name for path in database.parent.iterdir()) == ["openclaw.sqlite"]
    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from t").fetchone() == (0,)
    connection.close()


@settings(
    max_examples=EXAMPLES, phases=[Phase.explicit, Phase.reuse, Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(tree=trees)
def test_a_plain_copy_of_any_tree_is_as_it_was_backed_up_but_for_names_that_no_key_holds(
    embedded_aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory, tree: list[Node]
) -> None:
    world = FreshBucket(embedded_aws, tmp_path_factory.mktemp("copies"))
    machine = world.booted()
    for node in tree:
        plant(machine.state, node)
    machine.write("openclaw.json", "{}")
    os.chown(machine.state, *GATEWAYS)
    assert machine.backup("--accept-shrink").code == 0
    before = without_folder_times(machine.state)
    (name,) = world.snapshots()
    encoded = {entry.path for entry in world.manifest(name).entries if entry.relative_key.startswith(".encoded/")}
    machine.lose_state()
    machine.state.mkdir(mode=0o755)
    plain_copy(world, f"snapshots/{name}/.openclaw/", machine.state)
    run = machine.restore("--before-start")
    assert run.code == 0, run.err
    files = {path: row for path, row in before.items() if not (row[0] == "file" and path in encoded)}
    after = without_folder_times(machine.state)
    assert {path: (after.get(path), row) for path, row in files.items() if after.get(path) != row} == {}
    assert set(after) == set(files)
    assert machine.restore("--verify").code == 0


def another_name(machine: SimulatedInstance, outside: Path) -> None:
    os.link(outside, machine.state / "workspace/linked")


def a_link(machine: SimulatedInstance, outside: Path) -> None:
    (machine.state / "workspace/linked").symlink_to(outside)


@pytest.mark.parametrize("plant", [another_name, a_link])
def test_a_file_of_the_host_is_not_given_away_through_a_link(
    writer: SimulatedInstance, plant: Callable[[SimulatedInstance, Path], None]
) -> None:
    outside = writer.disk / "hosts"
    outside.write_text("of the host")
    outside.chmod(0o644)
    plant(writer, outside)
    assert writer.restore("--before-start").code == 0
    status = outside.stat()
    assert (status.st_uid, status.st_mode & 0o7777) == (0, 0o644)


def test_what_was_roots_when_it_was_backed_up_stays_roots(world: FreshBucket, writer: SimulatedInstance) -> None:
    writer.write("workspace/by-root", "on purpose").chmod(0o644)
    assert writer.backup().code == 0
    assert writer.restore("--before-start").err == ""
    assert picture(writer.state)["workspace/by-root"][1:3] == ("0644", (0, 0))


def test_a_state_of_root_has_nothing_to_tell_a_copy_by(machine: SimulatedInstance) -> None:
    machine.write("openclaw.json", "{}").chmod(0o644)
    assert machine.backup().code == 0
    machine.write("later").chmod(0o644)
    before = picture(machine.state)
    assert machine.restore("--before-start").err == ""
    assert picture(machine.state) == before
    assert contents(machine.state) == {"openclaw.json": "{}", "later": "text\n"}


def test_what_no_snapshot_can_have_is_never_read(writer: SimulatedInstance) -> None:
    """A file of 16 TiB that takes no room: its digest would take a day, at each start."""
    with (writer.state / "huge").open("wb") as out:
        out.truncate(2**43)
    run = writer.restore("--before-start")
    assert run.code == 0, run.err
    assert picture_of_one(writer.state / "huge") == GATEWAYS


def picture_of_one(place: Path) -> tuple[int, int]:
    status = place.stat()
    return status.st_uid, status.st_gid


@pytest.fixture
def differential(world: FreshBucket, writer: SimulatedInstance) -> SimulatedInstance:
    """A machine whose last two snapshots lean on its first."""
    writer.environment.update(DIFFERENTIAL)
    for text in ("one", "two"):
        writer.write("workspace/notes.md", text)
        writer.write(f"workspace/{text}.md")
        give_all(writer.state)
        assert writer.backup().code == 0
    assert [len(world.manifest(name).bases) for name in world.snapshots()] == [0, 1, 2]
    return writer


@pytest.mark.parametrize("delete_all_before", [False, True], ids=["known state", "state of a later time"])
@pytest.mark.parametrize("with_bases", [0, 1], ids=["own folder", "own folder and one base's"])
def test_a_plain_copy_that_is_a_part_of_a_differential_snapshot_is_never_started(
    world: FreshBucket, differential: SimulatedInstance, with_bases: int, delete_all_before: bool
) -> None:
    first, second, name = world.snapshots()
    if delete_all_before:
        for path in ("workspace/run.sh", "workspace/secret", "workspace/one.md"):
            (differential.state / path).unlink()
        assert differential.backup("--accept-shrink").code == 0
    folders = [second, name][1 - with_bases :]
    for place, folder in enumerate(folders):
        plain_copy(world, f"snapshots/{folder}/.openclaw/", differential.state, delete=place == 0)
    run = differential.restore("--before-start")
    assert run.code == 3
    assert f"only a part of snapshot {name}" in run.err
    assert f"{first} {second} {name}" in run.err or f"{first} {name}" in run.err
    # What it says to do brings it back.
    assert differential.restore("run", "--snapshot", name, "--force").code == 0
    assert differential.restore("--before-start").code == 0
    assert contents(differential.state)["workspace/notes.md"] == "two"


def test_the_folders_of_a_differential_snapshot_copied_over_one_another_are_the_snapshot(
    world: FreshBucket, differential: SimulatedInstance
) -> None:
    before = without_folder_times(differential.state)
    name = world.snapshots()[-1]
    folders = [*(base.snapshot for base in world.manifest(name).bases), name]
    for place, folder in enumerate(folders):
        plain_copy(world, f"snapshots/{folder}/.openclaw/", differential.state, delete=place == 0)
    run = differential.restore("--before-start")
    assert run.code == 0, run.err
    assert without_folder_times(differential.state) == before


def test_a_file_of_a_differential_snapshot_that_somebody_brings_back_is_no_part(
    world: FreshBucket, differential: SimulatedInstance
) -> None:
    second = world.snapshots()[1]
    plain_copy(world, f"snapshots/{second}/.openclaw/", differential.state)
    run = differential.restore("--before-start")
    assert run.code == 0, run.err
    assert contents(differential.state)["workspace/notes.md"] == "one"


@pytest.mark.parametrize("to_inbox", [True, False], ids=["into the inbox", "into the state"])
def test_a_differential_snapshot_that_is_synced_with_its_manifest_is_completed_from_its_bases(
    world: FreshBucket, differential: SimulatedInstance, to_inbox: bool
) -> None:
    before = without_folder_times(differential.state)
    first, _second, name = world.snapshots()
    plain_copy(
        world, f"snapshots/{name}/", inbox_of(differential.state) if to_inbox else differential.state, delete=True
    )
    run = differential.restore("--before-start")
    assert run.code == 0, run.err
    assert without_folder_times(differential.state) == before
    # And refused where a base has lost a file of it.
    plain_copy(world, f"snapshots/{name}/", inbox_of(differential.state))
    world.delete(f"snapshots/{first}/.openclaw/workspace/run.sh")
    run = differential.restore("--before-start")
    assert run.code == 1
    assert "is not complete" in run.err


def test_a_part_that_is_copied_into_the_inbox_without_its_manifest_is_no_archive(
    world: FreshBucket, differential: SimulatedInstance
) -> None:
    before = contents(differential.state)
    name = world.snapshots()[-1]
    inbox = inbox_of(differential.state)
    (inbox / ".openclaw").mkdir(parents=True)
    plain_copy(world, f"snapshots/{name}/.openclaw/", inbox / ".openclaw")
    (inbox / "complete").touch()
    run = differential.restore("--before-start")
    assert run.code == 3
    assert f"only a part of snapshot {name}" in run.err
    assert contents(differential.state) == before
