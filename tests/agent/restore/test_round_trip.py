import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.moto.server import EmbeddedAws
from openclaw_agent.fs.removal import remove_tree
from tests.support.generated_trees import Edit, Node, apply, edits, plant, trees
from tests.support.simulated_instance import FreshBucket, Picture, Run, SimulatedInstance, picture

# The whole claim at full size: OPENCLAW_TREE_EXAMPLES=1000.
EXAMPLES = int(os.environ.get("OPENCLAW_TREE_EXAMPLES", "8"))


def specials(root: Path) -> set[str]:
    """Sockets and FIFOs below `root`."""
    return {
        os.path.relpath(os.path.join(place, name), root)  # noqa: PTH118
        for place, _, files in os.walk(root)
        for name in files
        if stat.S_IFMT(os.lstat(os.path.join(place, name)).st_mode) in (stat.S_IFIFO, stat.S_IFSOCK)  # noqa: PTH118
    }


def links_out(root: Path) -> set[str]:
    """Links below `root` of which the text leads out of it."""
    found = {
        os.path.relpath(os.path.join(place, name), root)  # noqa: PTH118
        for place, folders, files in os.walk(root)
        for name in (*folders, *files)
    }
    links = {path: os.readlink(root / path) for path in found if (root / path).is_symlink()}  # noqa: PTH115
    return {
        path
        for path, target in links.items()
        if not os.path.normpath(root / os.path.dirname(path) / target).startswith(f"{root}/")  # noqa: PTH120
        and os.path.normpath(root / os.path.dirname(path) / target) != str(root)  # noqa: PTH120
    }


def without_folder_times(rows: Picture) -> Picture:
    return {path: (*row[:3], *row[4:]) if row[0] == "folder" else row for path, row in rows.items()}


def back_up(machine: SimulatedInstance) -> Run:
    run = machine.backup("--accept-shrink")
    assert run.code == 0, run.err
    return run


def brought_back(world: FreshBucket, machine: SimulatedInstance, on_new_machine: bool) -> SimulatedInstance:
    if on_new_machine:
        return world.booted()
    machine.lose_state()
    run = machine.restore()
    assert run.code == 0, run.err
    return machine


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(tree=trees, changes=edits, on_new_machine=st.booleans())
def test_backup_wipe_restore_gives_the_identical_tree_before_and_after_edits(
    embedded_aws: EmbeddedAws,
    tmp_path_factory: pytest.TempPathFactory,
    tree: list[Node],
    changes: list[Edit],
    on_new_machine: bool,
) -> None:
    world = FreshBucket(embedded_aws, tmp_path_factory.mktemp("trees"))
    machine = world.booted()
    for node in tree:
        plant(machine.state, node)
    for round_changes in ([], changes):
        for edit in round_changes:
            apply(machine.state, edit)
        before, skipped = picture(machine.state), specials(machine.state) | links_out(machine.state)
        result = back_up(machine).line["result"]
        if result == "done":
            assert {row.path for row in world.manifest("latest").skipped} == skipped

        machine = brought_back(world, machine, on_new_machine)
        after = picture(machine.state)
        if result == "unchanged":
            # A folder's new mtime alone (a temporary file came and went) is no reason for a snapshot.
            before, after = without_folder_times(before), without_folder_times(after)
        assert after == before

        again = machine.backup()
        assert (again.code, again.line["result"]) == (0, "unchanged"), again.err
        assert again.line["bytes_uploaded"] == 0
        assert again.total_requests <= 2
    # Immutable files would outlive the test.
    remove_tree(world.folder)
