import json
from pathlib import Path

import pytest

from openclaw_agent.agent_dir.folder import AgentDir
from openclaw_agent.agent_dir.records import BootRecord, LatestRecord
from openclaw_agent.errors import LocalStorageError

BOOT = BootRecord("boot", "i-1", "bucket", 3, restored=True, claimed_in="boot")
LATEST = LatestRecord("bucket", "etag")


@pytest.fixture
def agent_dir(tmp_path: Path) -> AgentDir:
    made = AgentDir(tmp_path / "agent")
    made.prepare()
    made.records.write_boot(BOOT)
    made.records.remember_latest(LATEST)
    return made


def test_what_was_remembered_is_known(agent_dir: AgentDir) -> None:
    assert (agent_dir.records.boot(), agent_dir.records.latest(), agent_dir.records.latest_may_be_partial) == (
        BOOT,
        LATEST,
        False,
    )


@pytest.mark.parametrize("name", ["boot.json", "latest.json"])
@pytest.mark.parametrize("change", [{"of_a_newer_agent": 1}, {"bucket": None}], ids=["one more", "one less"])
def test_a_record_with_other_fields_is_as_good_as_none(
    agent_dir: AgentDir, name: str, change: dict[str, object]
) -> None:
    place = agent_dir.folder / name
    fields = json.loads(place.read_bytes()) | change
    place.write_text(json.dumps({field: value for field, value in fields.items() if value is not None}))
    assert agent_dir.records.boot() == (None if name == "boot.json" else BOOT)
    assert agent_dir.records.latest() == (None if name == "latest.json" else LATEST)


def test_a_note_of_a_partial_latest_that_cannot_be_read_still_counts(agent_dir: AgentDir) -> None:
    (agent_dir.folder / "latest-partial").mkdir()
    assert agent_dir.records.latest_may_be_partial
    assert agent_dir.records.latest_under_way() == ""


def test_what_0_1_0_noted_is_taken_over_under_the_lock(agent_dir: AgentDir) -> None:
    (agent_dir.folder / "latest-torn").write_text("2026-03-13-08-00")
    (agent_dir.folder / "left-behind.json").write_text('{"keys": ["latest/x"]}')
    for _turn in range(2):
        with agent_dir.locked(wait=False):
            assert agent_dir.records.latest_under_way() == "2026-03-13-08-00"
            assert agent_dir.records.unrestorable() == {"latest/x"}
    with agent_dir.locked(wait=False):
        agent_dir.records.mark_latest_intact()
        assert not agent_dir.records.latest_may_be_partial
    assert not {"latest-torn", "left-behind.json"} & {row.name for row in agent_dir.folder.iterdir()}


def test_a_file_in_the_way_of_the_agents_folder_is_named_with_the_way_around_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LocalStorageError) as told:
        AgentDir(tmp_path / "file" / "agent").prepare()
    assert str(told.value) == (
        f"The agent's folder {tmp_path}/file/agent cannot be created (Not a directory); "
        "run as root, or set OPENCLAW_AGENT_DIR to a folder of yours."
    )


def test_a_file_in_the_way_of_the_clones_is_named_and_left_alone(agent_dir: AgentDir) -> None:
    agent_dir.clone_dir.write_text("mine")
    with pytest.raises(LocalStorageError) as told:
        agent_dir.fresh_clone_dir()
    assert str(told.value) == f"The folder {agent_dir.clone_dir} cannot be created (File exists)."
    assert agent_dir.clone_dir.read_text() == "mine"
