"""The folder that `--to` names."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from openclaw_agent.cli.restore_target import resolve_target
from openclaw_agent.errors import LocalStorageError, UsageError
from openclaw_agent.state_dir.staging import staging_at
from tests.support.privileges import root_only


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "opt" / "state"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("target", ["opt/state", "opt/state/inside", "opt/state/deep/inside", "opt", "."])
@pytest.mark.parametrize("state_is_there", [True, False])
def test_a_target_in_or_around_the_state_folder_is_refused(
    tmp_path: Path, state: Path, target: str, state_is_there: bool
) -> None:
    if not state_is_there:
        shutil.rmtree(state.parent)
    with pytest.raises(UsageError, match="neither in the other"):
        resolve_target(str(tmp_path / target), state)


@pytest.mark.parametrize("taken", ["file", "full folder", "loop"])
def test_a_target_that_is_taken_is_refused(tmp_path: Path, state: Path, taken: str) -> None:
    target = tmp_path / "look"
    if taken == "file":
        target.write_text("mine")
    elif taken == "loop":
        target.symlink_to(target)
    else:
        (target / "mine").mkdir(parents=True)
    with pytest.raises(UsageError, match="needs an empty or new folder"):
        resolve_target(str(target), state)


def test_a_symlink_and_a_relative_name_are_followed_once(
    tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("new")
    monkeypatch.chdir(tmp_path / "real")
    assert resolve_target(str(tmp_path / "link"), state) == tmp_path / "real"
    assert resolve_target(str(tmp_path / "dangling"), state) == tmp_path / "new"
    assert resolve_target(".", state) == tmp_path / "real"


def test_a_name_that_no_folder_can_have_is_refused_before_anything_is_fetched(tmp_path: Path, state: Path) -> None:
    target = tmp_path / ("x" * 300)
    with pytest.raises(UsageError) as told:
        resolve_target(str(target), state)
    assert str(told.value) == f"The folder {target} cannot be looked into (File name too long)."


@root_only("only root becomes somebody else")
@pytest.mark.parametrize("name", ["", "new"])
def test_a_folder_that_the_user_may_not_enter_is_refused_before_anything_is_fetched(state: Path, name: str) -> None:
    # Not in tmp_path, whose own parents are closed too.
    with tempfile.TemporaryDirectory() as closed:
        target = Path(closed, name)
        os.seteuid(1000)
        try:
            with pytest.raises(UsageError) as told:
                resolve_target(str(target), state)
        finally:
            os.seteuid(0)
    assert str(told.value) == f"The folder {target} cannot be looked into (Permission denied)."


def test_a_target_below_a_file_is_told(tmp_path: Path, state: Path) -> None:
    (tmp_path / "file").write_text("x")
    target = resolve_target(str(tmp_path / "file" / "look"), state)
    with pytest.raises(LocalStorageError) as told, staging_at(target):
        pytest.fail("there is no place to build in")
    assert str(told.value) == f"No folder can be created beside {target} (File exists)."
    assert (tmp_path / "file").read_text() == "x"
