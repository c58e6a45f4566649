import json
from pathlib import Path

import pytest

from openclaw_agent.agent_dir.folder import AgentDir
from openclaw_agent.agent_dir.records import BootRecord, LatestRecord
from openclaw_agent.errors import LocalStorageError

BOOT = BootRecord("boot", "i-1", "bucket", 3, restored=True, claimed_in="boot")
LATEST = LatestRecord("bucket", "etag")


@pytest.fixture
def memory(tmp_path: Path) -> AgentDir:
    remembering = AgentDir(tmp_path / "agent")
    remembering.prepare()
    remembering.write_boot(BOOT)
    remembering.remember_latest(LATEST)
    return remembering


def test_what_was_remembered_is_known(memory: AgentDir) -> None:
    assert (memory.boot(), memory.latest(), memory.latest_may_be_partial) == (BOOT, LATEST, False)


@pytest.mark.parametrize("name", ["boot.json", "latest.json"])
@pytest.mark.parametrize("change", [{"of_a_newer_agent": 1}, {"bucket": None}], ids=["one more", "one less"])
def test_a_record_with_other_fields_is_as_good_as_none(memory: AgentDir, name: str, change: dict[str, object]) -> None:
    place = memory.folder / name
    fields = json.loads(place.read_bytes()) | change
    place.write_text(json.dumps({field: value for field, value in fields.items() if value is not None}))
    assert memory.boot() == (None if name == "boot.json" else BOOT)
    assert memory.latest() == (None if name == "latest.json" else LATEST)


def test_a_note_of_a_partial_latest_that_cannot_be_read_still_counts(memory: AgentDir) -> None:
    (memory.folder / "latest-partial").mkdir()
    assert memory.latest_may_be_partial
    assert memory.latest_under_way() == ""


def test_what_0_1_0_noted_is_taken_over_under_the_lock(memory: AgentDir) -> None:
    (memory.folder / "latest-torn").write_text("2026-03-13-08-00")
    (memory.folder / "left-behind.json").write_text('{"keys": ["latest/x"]}')
    for _turn in range(2):
        with memory.locked(wait=False):
            assert memory.latest_under_way() == "2026-03-13-08-00"
            assert memory.unrestorable() == {"latest/x"}
    with memory.locked(wait=False):
        memory.mark_latest_intact()
        assert not memory.latest_may_be_partial
    assert not {"latest-torn", "left-behind.json"} & {row.name for row in memory.folder.iterdir()}


def test_a_file_in_the_way_of_the_agents_folder_is_named_with_the_way_around_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LocalStorageError) as told:
        AgentDir(tmp_path / "file" / "agent").prepare()
    assert str(told.value) == (
        f"The agent's folder {tmp_path}/file/agent cannot be created (Not a directory); "
        "run as root, or set OPENCLAW_AGENT_DIR to a folder of yours."
    )


def test_a_file_in_the_way_of_the_clones_is_named_and_left_alone(memory: AgentDir) -> None:
    memory.clone_dir.write_text("mine")
    with pytest.raises(LocalStorageError) as told:
        memory.fresh_clone_dir()
    assert str(told.value) == f"The folder {memory.clone_dir} cannot be created (File exists)."
    assert memory.clone_dir.read_text() == "mine"
