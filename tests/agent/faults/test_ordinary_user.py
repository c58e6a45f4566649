"""The agent as an ordinary user: its own state makes the round trip, and what it may not touch is named."""

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.agent_process import AgentProcess, Run, command
from tests.support.fault_scenario import BACKUP, FIRST, LATER, SECOND, FaultScenario, require_one_sentence
from tests.support.state_trees import image_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")

ORDINARY_USER = 1000
RESTORE = command("restore", "--force")


@pytest.fixture
def users_stage(stage: FaultScenario) -> Iterator[FaultScenario]:
    """A machine whose folders belong to an ordinary user, at a place where that user may go."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        theirs = replace(stage, machine=AgentProcess(Path(folder) / "machine", "lab-user"))
        theirs.machine.state_dir.parent.mkdir(parents=True)
        theirs.put_state(1)
        give_away(theirs.machine.root)
        yield theirs


def give_away(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, ORDINARY_USER, ORDINARY_USER, follow_symlinks=False)


@needs_root
def test_an_ordinary_user_backs_up_and_restores_what_is_theirs(users_stage: FaultScenario) -> None:
    users_stage.must(Run((BACKUP,), clock=FIRST, uid=ORDINARY_USER))
    there = image_of(users_stage.machine.state_dir)
    (users_stage.machine.state_dir / "kept.md").unlink()
    users_stage.must(Run((RESTORE,), uid=ORDINARY_USER))
    assert image_of(users_stage.machine.state_dir) == there


@needs_root
@pytest.mark.parametrize(
    ("spoilt", "code", "expected"),
    [
        pytest.param("kept.md", 4, r"1 gap\. 'kept\.md': it cannot be read \(Permission denied\)", id="file"),
        pytest.param("state", 4, r"1 gap\. 'state': it cannot be read \(Permission denied\)", id="folder"),
        pytest.param("state/openclaw.sqlite", 4, r"'state/openclaw\.sqlite': it cannot be read", id="database"),
        pytest.param(
            "", 1, r"The folder '\S+' cannot be read \(Permission denied\); run as root", id="the-state-folder"
        ),
    ],
)
def test_what_an_ordinary_user_may_not_read_is_kept_as_in_the_last_backup_and_told(
    users_stage: FaultScenario, spoilt: str, code: int, expected: str
) -> None:
    users_stage.must(Run((BACKUP,), clock=FIRST, uid=ORDINARY_USER))
    before = users_stage.keeper.etags()
    place = users_stage.machine.state_dir / spoilt
    mode = place.stat().st_mode
    os.chown(place, 0, 0)
    place.chmod(0o700)
    outcome = users_stage.run(Run((BACKUP,), clock=SECOND, uid=ORDINARY_USER))
    assert outcome.code == code, outcome.text
    assert re.search(expected, outcome.text), outcome.text
    after = users_stage.keeper.etags()
    assert {key: etag for key, etag in after.items() if key in before and key.startswith("latest/.")} == {
        key: etag for key, etag in before.items() if key.startswith("latest/.")
    }
    os.chown(place, ORDINARY_USER, ORDINARY_USER)
    place.chmod(mode)
    users_stage.must(Run((BACKUP,), clock=LATER, uid=ORDINARY_USER))


@needs_root
def test_an_agent_folder_of_somebody_else_is_named(users_stage: FaultScenario) -> None:
    users_stage.machine.agent_dir.mkdir(mode=0o700)
    outcome = users_stage.run(Run((BACKUP,), clock=FIRST, uid=ORDINARY_USER))
    require_one_sentence(outcome, r"The agent's folder \S+ cannot be written \(Permission denied\); run as root")


@needs_root
def test_a_state_beside_which_an_ordinary_user_may_not_build_is_left_alone(users_stage: FaultScenario) -> None:
    users_stage.must(Run((BACKUP,), clock=FIRST, uid=ORDINARY_USER))
    os.chown(users_stage.machine.state_dir.parent, 0, 0)
    outcome = users_stage.run(Run((RESTORE,), uid=ORDINARY_USER))
    require_one_sentence(outcome, r"\.restoring cannot be created \(Permission denied\); the state in place")
