"""A swap around what stays, killed at each step: whoever takes the lock next finishes it, and nothing is lost."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_agent.agent_dir.aside import AsideRecords
from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.removal import remove_tree
from openclaw_agent.state_dir.put_aside import remove_put_aside
from openclaw_agent.state_dir.staging import fresh_staging_dir
from openclaw_agent.state_dir.swap import Replacement, finish_interrupted_swap, swap_in
from tests.support.mounts import Mounts, may_mount
from tests.support.simulated_instance import picture

STEPS = ("rename", "replace", "mkdir", "rmdir", "unlink", "fsync", "fchmod", "utime")
KILLED = 9
STAY = frozenset({"logs", "workspace/private", "workspace/new/own", "gone/own"})
OWN = {"logs/a": "log", "workspace/private": "key", "workspace/new/own": "own", "gone/own": "own"}
OLD = dict.fromkeys(["openclaw.json", "workspace/notes", "workspace/other/x", "gone/file", "both/x"], "old")
NEW = dict.fromkeys(["openclaw.json", "workspace/notes", "workspace/new/y", "both/x", "fresh/z"], "new")
# Set to kill at every step; else at every fourth, from another one on in each case.
STRIDE = 1 if "OPENCLAW_CRASH_EVERY_POINT" in os.environ else 4


def fill(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for number, place in enumerate(sorted(folder.rglob("*"), reverse=True)):
        if place.is_dir():
            place.chmod(0o700 + number % 8)
            os.utime(place, ns=(10**18, 10**18 + number))
    os.utime(folder, ns=(10**18, 10**18 - len(files)))


def held(folder: Path) -> dict[str, str]:
    return {str(place.relative_to(folder)): place.read_text() for place in folder.rglob("*") if place.is_file()}


@pytest.fixture(params=["folder", "volume"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    mounts = Mounts()
    place = tmp_path / "state"
    place.mkdir()
    if request.param == "volume":
        if not may_mount():
            pytest.skip("only root may mount")
        mounts.mount("tmpfs", Path(), place)
        (place / "precious").unlink()
    yield place
    mounts.undo()


@pytest.fixture
def records(tmp_path: Path) -> AsideRecords:
    (tmp_path / "agent").mkdir()
    return AsideRecords(tmp_path / "agent")


def started(records: AsideRecords, state: Path) -> Path:
    fill(state, OLD | OWN)
    building = fresh_staging_dir(records, state)
    fill(building, NEW)
    return building


class Killer:
    """Ends the process without a goodbye at the n-th step."""

    def __init__(self, step: int) -> None:
        self.left = step

    def watch(self, name: str) -> None:
        original = getattr(os, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                os._exit(KILLED)
            return original(*arguments, **options)

        setattr(os, name, counted)


def killed_at(step: int, action: Callable[..., object], *arguments: object) -> bool:
    """Run it in a process that is killed at this step; whether it got so far."""
    child = os.fork()
    if child == 0:
        try:
            killer = Killer(step)
            for name in STEPS:
                killer.watch(name)
            action(*arguments)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


@pytest.mark.parametrize("finishing_is_killed", [False, True])
def test_a_killed_swap_is_finished_or_undone_and_what_stays_is_where_it_was(
    state: Path, records: AsideRecords, tmp_path: Path, finishing_is_killed: bool
) -> None:
    outcomes = []
    for step in range(1 + finishing_is_killed, 200, STRIDE):
        for place in list(state.iterdir()):
            remove_tree(place)
        building = started(records, state)
        inodes = {path: (state / path).stat().st_ino for path in OWN}
        wanted = picture(building)
        was_killed = killed_at(step, swap_in, records, building, state, Replacement(stay=STAY))
        if finishing_is_killed:
            killed_at(step % 9 + 1, finish_interrupted_swap, records)
        finish_interrupted_swap(records)
        assert {path: (state / path).stat().st_ino for path in OWN} == inodes, step
        now = {path: text for path, text in held(state).items() if not path.startswith(".openclaw-agent/")}
        assert now in (OLD | OWN, NEW | OWN), f"killed at step {step}: {now}"
        outcomes.append("old" if now == OLD | OWN else "new")
        if now == NEW | OWN:
            found = picture(state)
            assert {path: found[path] for path in wanted if path} == {path: wanted[path] for path in wanted if path}, (
                step
            )
        assert records.swap() is None
        assert records.staging() is None
        assert remove_put_aside(records, state) == []
        assert records.put_aside() == ()
        left = {path.name for path in tmp_path.iterdir()} | {path.name for path in state.iterdir()}
        assert not [name for name in left if "restor" in name or name == ".openclaw-agent"], step
        if not was_killed:
            break
    assert outcomes == sorted(outcomes, reverse=True)
    assert {"old", "new"} == set(outcomes)
    assert not was_killed


@pytest.mark.parametrize("refused", [1, 4, 9])
def test_a_swap_that_is_refused_on_the_way_leaves_the_old_state_as_it_was(
    state: Path, records: AsideRecords, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    building = started(records, state)
    before = picture(state)
    rename, count = os.rename, 0

    def failing(*arguments: Any, **options: Any) -> None:
        nonlocal count
        count += bool(options)
        if count == refused and options:
            raise OSError(5, "Input/output error", "x")
        rename(*arguments, **options)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(LocalStorageError, match="the old state is in place"):
        swap_in(records, building, state, Replacement(stay=STAY))
    after = picture(state)
    assert {path: row for path, row in after.items() if path} == {
        path: row for path, row in before.items() if path and not path.startswith(".openclaw-agent")
    }
    assert records.swap() is None
