"""A restore drill brings the newest backup back in full, opens its databases, and leaves nothing behind."""

import sqlite3
from pathlib import Path

import pytest

from openclaw_agent.errors import AgentError
from openclaw_agent.operate.drill import drill
from openclaw_agent.run_record import RunRecord
from openclaw_agent.session import open_session
from openclaw_agent.settings import load_settings
from tests.support.simulated_instance import FreshBucket, SimulatedInstance

pytestmark = pytest.mark.subprocess

PROGRAM = Path(__file__).resolve().parents[3] / "scripts" / "openclaw-lab"


@pytest.fixture
def saved(machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch) -> SimulatedInstance:
    """A machine whose state, with a database, is backed up; its environment is the test's."""
    machine.write("workspace/notes.md", "a note\n")
    (machine.state / "state").mkdir()
    with sqlite3.connect(machine.state / "state" / "openclaw.sqlite") as made:
        made.execute("CREATE TABLE notes (text)")
        made.executemany("INSERT INTO notes VALUES (?)", [("x" * 500,)] * 200)
    made.close()
    assert machine.backup().code == 0
    for name, value in machine.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", [str(PROGRAM), "drill"])
    return machine


def run_drill(machine: SimulatedInstance, scratch: Path) -> object:
    settings = load_settings(bucket=machine.world.bucket, state_dir=str(machine.state))
    with open_session(settings, RunRecord("drill", settings)) as session:
        return drill(session, scratch)


def test_the_newest_backup_is_restored_and_its_database_opens(saved: SimulatedInstance, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir(mode=0o711)
    proven = run_drill(saved, tmp_path / "scratch")

    assert (proven.files, proven.databases) == (2, 1)  # type: ignore[attr-defined]
    assert proven.snapshot == saved.world.snapshots()[-1]  # type: ignore[attr-defined]
    assert list((tmp_path / "scratch").iterdir()) == []
    assert (saved.state / "workspace/notes.md").read_text() == "a note\n"


def test_a_backup_that_has_lost_an_object_is_not_proven(
    saved: SimulatedInstance, world: FreshBucket, tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir(mode=0o711)
    for key in world.keys("snapshots/") + world.keys("latest/"):
        if key.endswith("notes.md"):
            world.delete(key)

    with pytest.raises(AgentError, match=r"could not be restored: .*notes\.md"):
        run_drill(saved, tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_empty_bucket_proves_nothing(
    machine: SimulatedInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in machine.variables().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(AgentError, match="holds no state"):
        run_drill(machine, tmp_path)
