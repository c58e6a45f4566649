"""Disks that are full or read-only, state folders that are something else: a clear sentence, and nothing lost."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.agent_process import AgentProcess, Run, command
from tests.support.fault_scenario import BACKUP, BOOT, FIRST, LATER, SECOND, FaultScenario, require_one_sentence
from tests.support.privileges import root_only
from tests.support.state_trees import copy_tree, image_of

needs_mounts = root_only("only root may mount a small disk")
pytestmark = pytest.mark.subprocess

BIG_BYTES = 1024 * 1024
RESTORE = command("restore", "--force")
Mount = Callable[..., None]


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small-disk", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def mount(stage: FaultScenario) -> Iterator[Mount]:
    """Put a small disk under a folder, with what the folder holds."""
    with ExitStack() as mounts:

        def put(folder: Path, options: str) -> None:
            aside = stage.scratch / f"aside-{folder.name}"
            copy_tree(folder, aside)
            mounts.enter_context(_mounted(folder, "size=64m,nr_inodes=10000,mode=0700"))
            if aside.exists():
                shutil.copytree(aside, folder, symlinks=True, dirs_exist_ok=True)
            remount(folder, options)

        yield put


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def fill(folder: Path) -> None:
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            return


def require_restorable(stage: FaultScenario, *versions: int) -> None:
    """Another machine, with room, gets one of these states whole."""
    other = AgentProcess(Path(tempfile.mkdtemp(dir=stage.scratch)), "lab-checker")
    target = other.root / "checked"
    stage.must(Run((command("restore", "--to", str(target)),)), other)
    assert image_of(target) in [stage.images[version] for version in versions]


def require_backup_of_what_is_there(stage: FaultScenario) -> None:
    stage.must(Run((BACKUP,), clock=LATER))
    other = AgentProcess(Path(tempfile.mkdtemp(dir=stage.scratch)), "lab-checker")
    target = other.root / "after"
    stage.must(Run((command("restore", "--to", str(target)),)), other)
    assert image_of(target) == image_of(stage.machine.state_dir)


@needs_mounts
def test_a_full_disk_under_the_clones_fails_the_backup_and_the_next_one_with_room_succeeds(
    stage: FaultScenario, mount: Mount
) -> None:
    stage.back_up(1, FIRST)
    mount(stage.machine.agent_dir, "size=512k")
    (stage.machine.state_dir / "big.bin").write_bytes(os.urandom(BIG_BYTES))
    outcome = stage.run(Run((BACKUP,), clock=SECOND))
    require_one_sentence(outcome, r"There is no room for a clone of '\S+big\.bin' in \S+; free some space")
    require_restorable(stage, 1)
    assert list(stage.machine.agent_dir.glob("clone/*")) == []
    remount(stage.machine.agent_dir, "size=64m")
    require_backup_of_what_is_there(stage)


def test_a_file_that_may_not_be_written_whole_fails_the_backup(stage: FaultScenario) -> None:
    stage.back_up(1, FIRST)
    (stage.machine.state_dir / "big.bin").write_bytes(os.urandom(BIG_BYTES))
    outcome = stage.run(Run((BACKUP,), clock=SECOND, largest_file=BIG_BYTES // 2))
    require_one_sentence(outcome, r"The state cannot be captured: File too large")
    require_restorable(stage, 1)
    require_backup_of_what_is_there(stage)


def test_a_file_that_may_not_be_written_whole_fails_the_restore(stage: FaultScenario) -> None:
    stage.put_state(1)
    (stage.machine.state_dir / "big.bin").write_bytes(os.urandom(BIG_BYTES))
    stage.must(Run((BACKUP,), clock=FIRST))
    newcomer = AgentProcess(stage.machine.root.with_name("newcomer"), "lab-b")
    outcome = stage.run(Run((BOOT,), largest_file=BIG_BYTES // 2), newcomer)
    require_one_sentence(outcome, r"could not write '\S+' \(File too large\)\. The current state was not changed\.")
    assert image_of(newcomer.state_dir) == {}
    stage.must(Run((BOOT,)), newcomer)
    assert image_of(newcomer.state_dir) == image_of(stage.machine.state_dir)


@needs_mounts
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param("size=4m", r"The restore needs [\d,]+ bytes, \S+ has [\d,]+ free; free some space", id="bytes"),
        pytest.param(
            "size=64m,nr_inodes=15",
            r"could not write '\S+' \(No space left on device\)\. The current state",
            id="names",
        ),
    ],
)
def test_a_full_disk_under_the_state_fails_the_restore_and_leaves_the_state(
    stage: FaultScenario, mount: Mount, options: str, expected: str
) -> None:
    stage.back_up(1, FIRST)
    mount(stage.machine.state_dir.parent, options)
    before = image_of(stage.machine.state_dir)
    outcome = stage.run(Run((RESTORE,)))
    require_one_sentence(outcome, expected)
    assert image_of(stage.machine.state_dir) == before
    remount(stage.machine.state_dir.parent, "size=64m,nr_inodes=10000")
    stage.must(Run((RESTORE,)))
    assert image_of(stage.machine.state_dir) == stage.images[1]


@needs_mounts
def test_a_full_disk_under_the_log_costs_the_line_and_not_the_backup(stage: FaultScenario, mount: Mount) -> None:
    stage.put_state(1)
    mount(stage.machine.log_dir, "size=16k")
    fill(stage.machine.log_dir)
    outcome = stage.must(Run((BACKUP,), clock=FIRST))
    assert re.search(r"The log \S+ cannot be written \(No space left on device\)", outcome.text), outcome.text
    require_restorable(stage, 1)


@needs_mounts
def test_an_agent_folder_that_runs_full_at_any_name_loses_nothing(stage: FaultScenario, mount: Mount) -> None:
    stage.back_up(1, FIRST)
    stage.put_state(2)
    before = stage.keeper.take()
    mount(stage.machine.agent_dir, "size=64m,nr_inodes=10000")
    aside = stage.scratch / "aside-agent"
    ends: list[int] = []
    for names in range(1, 60):
        shutil.rmtree(stage.machine.agent_dir, ignore_errors=True)
        stage.keeper.put_back(before)
        shutil.copytree(aside, stage.machine.agent_dir, dirs_exist_ok=True)
        taken = os.statvfs(stage.machine.agent_dir)
        remount(stage.machine.agent_dir, f"size=64m,nr_inodes={taken.f_files - taken.f_ffree + names}")
        outcome = stage.run(Run((BACKUP,), clock=SECOND))
        remount(stage.machine.agent_dir, "size=64m,nr_inodes=10000")
        ends.append(outcome.code)
        if outcome.code == 0:
            break
        require_one_sentence(outcome, r"No space left on device|no room for a clone")
        require_restorable(stage, 1, 2)
        require_backup_of_what_is_there(stage)
    print(f"\ncovered: full disk, the agent's folder ran full at {ends.count(1)} points")
    assert ends[-1] == 0
    assert 1 in ends
    require_restorable(stage, 2)


@needs_mounts
def test_a_full_agent_folder_fails_the_boot_and_the_next_one_with_room_restores(
    stage: FaultScenario, mount: Mount
) -> None:
    stage.back_up(1, FIRST)
    newcomer = replace(stage, machine=AgentProcess(stage.machine.root.with_name("newcomer"), "lab-b"))
    newcomer.machine.agent_dir.mkdir(parents=True)
    mount(newcomer.machine.agent_dir, "size=16k")
    fill(newcomer.machine.agent_dir)
    require_one_sentence(newcomer.run(Run((BOOT,))), r"cannot be written \(No space left on device\)")
    assert image_of(newcomer.machine.state_dir) == {}
    remount(newcomer.machine.agent_dir, "size=64m")
    newcomer.must(Run((BOOT,)))
    assert image_of(newcomer.machine.state_dir) == stage.images[1]


@needs_mounts
def test_a_read_only_agent_folder_is_named(stage: FaultScenario, mount: Mount) -> None:
    stage.back_up(1, FIRST)
    mount(stage.machine.agent_dir, "ro")
    expected = r"The agent's folder \S+ cannot be written \(Read-only file system\)"
    require_one_sentence(stage.run(Run((BACKUP,), clock=SECOND)), expected)
    require_one_sentence(stage.run(Run((RESTORE,))), expected)
    require_restorable(stage, 1)
    assert image_of(stage.machine.state_dir) == stage.images[1]


@needs_mounts
def test_a_read_only_state_is_backed_up_and_not_replaced(stage: FaultScenario, mount: Mount) -> None:
    stage.back_up(1, FIRST)
    stage.put_state(2)
    mount(stage.machine.state_dir.parent, "ro")
    there = image_of(stage.machine.state_dir)
    stage.must(Run((BACKUP,), clock=SECOND))
    outcome = stage.run(Run((RESTORE,)))
    require_one_sentence(outcome, r"\.openclaw\.restoring cannot be created \(Read-only file system\); the state")
    assert image_of(stage.machine.state_dir) == there


@needs_mounts
def test_a_read_only_log_costs_the_line_and_not_the_backup(stage: FaultScenario, mount: Mount) -> None:
    stage.put_state(1)
    mount(stage.machine.log_dir, "ro")
    outcome = stage.must(Run((BACKUP,), clock=FIRST))
    assert re.search(r"The log \S+ cannot be written \(Read-only file system\)", outcome.text), outcome.text


def test_a_missing_state_folder_is_not_backed_up_and_comes_back_by_a_restore(stage: FaultScenario) -> None:
    stage.back_up(1, FIRST)
    shutil.rmtree(stage.machine.state_dir)
    require_one_sentence(stage.run(Run((BACKUP,), clock=SECOND)), r"The state folder \S+ does not exist; restore it")
    require_restorable(stage, 1)
    stage.must(Run((command("restore", "run"),)))
    assert image_of(stage.machine.state_dir) == stage.images[1]


def test_a_file_in_the_place_of_the_state_folder_is_not_backed_up_and_is_kept_by_a_restore(
    stage: FaultScenario,
) -> None:
    stage.back_up(1, FIRST)
    shutil.rmtree(stage.machine.state_dir)
    stage.machine.state_dir.write_text("somebody's notes")
    require_one_sentence(stage.run(Run((BACKUP,), clock=SECOND)), r"The state folder \S+ is a file; move it away")
    require_restorable(stage, 1)
    stage.must(Run((command("restore", "run"),)))
    assert image_of(stage.machine.state_dir) == stage.images[1]
    kept = [path for path in stage.machine.state_dir.parent.iterdir() if path.is_file()]
    assert [path.read_text() for path in kept] == ["somebody's notes"]


def test_a_state_folder_behind_a_symlink_is_backed_up_and_restored_where_it_is(stage: FaultScenario) -> None:
    elsewhere = stage.machine.root / "other-disk" / "state"
    elsewhere.parent.mkdir()
    copy_tree(stage.scratch / "state-1", elsewhere)
    stage.machine.state_dir.symlink_to(elsewhere)
    stage.must(Run((BACKUP,), clock=FIRST))
    require_restorable(stage, 1)
    (elsewhere / "kept.md").write_text("spoilt")
    stage.must(Run((RESTORE,)))
    assert stage.machine.state_dir.is_symlink()
    assert image_of(elsewhere) == stage.images[1]


def test_a_symlink_to_nowhere_in_the_place_of_the_state_folder_is_not_backed_up(stage: FaultScenario) -> None:
    stage.back_up(1, FIRST)
    shutil.rmtree(stage.machine.state_dir)
    stage.machine.state_dir.symlink_to(stage.machine.root / "unmounted" / "state")
    require_one_sentence(stage.run(Run((BACKUP,), clock=SECOND)), r"The state folder \S+ does not exist")
    require_restorable(stage, 1)
