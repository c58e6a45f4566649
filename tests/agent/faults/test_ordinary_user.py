"""The agent as an ordinary user: its own state makes the round trip, and what it may not touch is named."""

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_agent.fs.removal import remove_tree
from tests.support.agent_process import AgentProcess, Run, command
from tests.support.fault_scenario import BACKUP, FIRST, LATER, SECOND, FaultScenario, require_one_sentence
from tests.support.generated_trees import Node, nodes_of, plant
from tests.support.privileges import root_only
from tests.support.simulated_instance import picture
from tests.support.state_trees import image_of

needs_root = root_only("only root may become another user")

ORDINARY_USER = 1000
EXAMPLES = int(os.environ.get("OPENCLAW_TREE_EXAMPLES", "8"))
RESTORE = command("restore", "--force")
# A state without a file is none.
KEPT = Node((b"kept.md",), "file", b"kept", 0o600, (-1, -1), 1_700_000_000_123_456_789, 0, {}, "")


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


def plant_as_their_own(state: Path, tree: list[Node]) -> None:
    """Make what an ordinary user can make; this process stays root."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(ORDINARY_USER)
            os.setuid(ORDINARY_USER)
            for node in tree:
                plant(state, node)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_root
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(tree=st.lists(nodes_of(by_root=False), max_size=12))
def test_whatever_tree_an_ordinary_user_can_make_comes_back_exactly(
    users_stage: FaultScenario, tree: list[Node]
) -> None:
    machine = users_stage.machine
    for folder in (machine.agent_dir, machine.state_dir):
        remove_tree(folder)
    machine.state_dir.mkdir()
    give_away(machine.root)
    plant_as_their_own(machine.state_dir, [*tree, KEPT])
    users_stage.keeper.start_empty()
    users_stage.must(Run((BACKUP,), clock=FIRST, uid=ORDINARY_USER))
    there = picture(machine.state_dir)
    users_stage.must(Run((RESTORE,), uid=ORDINARY_USER))
    assert picture(machine.state_dir) == there
    # What the restore put aside goes with the next good backup, read-only folders or not.
    (machine.state_dir / "new.md").write_text("new")
    os.chown(machine.state_dir / "new.md", ORDINARY_USER, ORDINARY_USER)
    users_stage.must(Run((BACKUP,), clock=SECOND, uid=ORDINARY_USER))
    assert [place.name for place in machine.state_dir.parent.iterdir()] == [machine.state_dir.name]
