import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lab.moto.server import EmbeddedAws
from openclaw_agent.fs.mounts import mounts_below
from openclaw_agent.fs.removal import remove_tree
from tests.support.generated_trees import Edit, Node, apply, edits, plant, trees
from tests.support.mounts import Mounts, may_mount, unmount_all_below
from tests.support.simulated_instance import (
    DIFFERENTIAL,
    FreshBucket,
    Picture,
    Run,
    SimulatedInstance,
    contents,
    picture,
)

# The whole claim at full size: OPENCLAW_TREE_EXAMPLES=1000.
EXAMPLES = int(os.environ.get("OPENCLAW_TREE_EXAMPLES", "8"))
ALWAYS_THERE = "always-there.md"


def skipped_of(root: Path, mounted: Collection[str]) -> set[str]:
    """What a backup only names: mounts, sockets and FIFOs below `root`, and links of which the text leads out of it."""
    skipped = set(mounted)
    for path in paths_below(root, mounted):
        place = os.path.join(root, path)  # noqa: PTH118 - pathlib would change some of these names
        kind = stat.S_IFMT(os.lstat(place).st_mode)
        if kind in (stat.S_IFIFO, stat.S_IFSOCK):
            skipped.add(path)
        elif kind == stat.S_IFLNK:
            end = os.path.normpath(root / os.path.dirname(path) / os.readlink(place))  # noqa: PTH120, PTH115
            if end != str(root) and not end.startswith(f"{root}/"):
                skipped.add(path)
    return skipped


def paths_below(root: Path, mounted: Collection[str]) -> Iterator[str]:
    """Every path below `root`, without what lies in a mount, or is one."""
    for place, folders, files in os.walk(root):
        paths = {name: os.path.relpath(os.path.join(place, name), root) for name in (*folders, *files)}  # noqa: PTH118
        folders[:] = [name for name in folders if paths[name] not in mounted]
        yield from (path for path in paths.values() if path not in mounted)


def without_folder_times(rows: Picture) -> Picture:
    return {path: (*row[:3], *row[4:]) if row[0] == "folder" else row for path, row in rows.items()}


def back_up(machine: SimulatedInstance) -> Run:
    run = machine.backup("--accept-shrink")
    assert run.code == 0, run.err
    return run


def brought_back(world: FreshBucket, machine: SimulatedInstance, on_new_machine: bool) -> SimulatedInstance:
    if on_new_machine:
        return world.booted()
    if not mounts_below(machine.state):
        # Nothing removes a tree in which something is mounted; the restore replaces it all the same.
        machine.lose_state()
    run = machine.restore("run")
    assert run.code == 0, run.err
    return machine


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(tree=trees, changes=edits, on_new_machine=st.booleans(), differential=st.booleans())
def test_backup_wipe_restore_gives_the_identical_tree_before_and_after_edits(
    embedded_aws: EmbeddedAws,
    tmp_path_factory: pytest.TempPathFactory,
    tree: list[Node],
    changes: list[Edit],
    on_new_machine: bool,
    differential: bool,
) -> None:
    world = FreshBucket(embedded_aws, tmp_path_factory.mktemp("trees"))
    world.environment.update(DIFFERENTIAL if differential else {})
    machine, mounts = world.booted(), Mounts()
    try:
        machine.write(ALWAYS_THERE)
        for node in tree:
            plant(machine.state, node, mounts if may_mount() else None)
        for round_changes in ([], changes):
            for edit in round_changes:
                apply(machine.state, edit, mounts if may_mount() else None)
            # Nothing starts on nothing by itself: a tree without a file is another test's.
            assume((machine.state / ALWAYS_THERE).is_file())
            machine = round_trip(world, machine, on_new_machine, differential)
    finally:
        unmount_all_below(world.folder)
        # Immutable files would outlive the test.
        remove_tree(world.folder)


def round_trip(
    world: FreshBucket, machine: SimulatedInstance, on_new_machine: bool, differential: bool
) -> SimulatedInstance:
    mounted = mounts_below(machine.state)
    held = {path: contents(machine.state / path) for path in mounted}
    before, skipped = picture(machine.state, mounted), skipped_of(machine.state, mounted)
    result = back_up(machine).line["result"]
    if result == "done":
        assert {row.path for row in world.manifest("latest").skipped} == skipped

    if differential:
        # Out of the folders of the snapshot and of its bases, for latest/ is always whole.
        world.delete(*world.keys("latest/"))
    machine = brought_back(world, machine, on_new_machine)
    after = picture(machine.state, mounted)
    if on_new_machine:
        # What was mounted is not in S3: the empty folder is, to be mounted at again.
        held = {path: {} for path in mounted}
    assert mounts_below(machine.state) == (() if on_new_machine else mounted)
    assert {path: contents(machine.state / path) for path in mounted} == held
    if result == "unchanged":
        # A folder's new mtime alone (a temporary file came and went) is no reason for a snapshot.
        before, after = without_folder_times(before), without_folder_times(after)
    assert after == before

    again = machine.backup()
    # A latest/ that is gone is written anew.
    assert (again.code, again.line["result"]) == (0, "done" if differential else "unchanged"), again.err
    if not differential:
        assert again.line["bytes_uploaded"] == 0
        assert again.total_requests <= 2
    return machine
