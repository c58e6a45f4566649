"""What only the disk has is named by each backup, and told once, so that nobody believes it is in S3."""

import json
import os
from pathlib import Path

import pytest

from openclaw_agent.backup.skipped import MOST_NAMED, leads_out
from tests.support.mounts import Mounts, needs_mounts
from tests.support.simulated_instance import FreshBucket, SimulatedInstance

STATE = Path("/opt/openclaw/.openclaw")


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("workspace", "/mnt/data/workspace", True),
        ("workspace", "../workspace", True),
        ("workspace", "/opt/openclaw/.openclaw-old/x", True),
        ("workspace", "/opt/openclaw/.openclaw/../x", True),
        ("a/b/link", "../../../x", True),
        ("a/b/link", "..", False),
        ("a/b/link", "../../x", False),
        ("a/link", "../..", True),
        ("link", ".", False),
        ("link", "a//b/./c", False),
        ("link", "/opt/openclaw/.openclaw", False),
        ("link", "/opt/openclaw/.openclaw/a", False),
        ("link", "/home/node/.openclaw/skills/x", False),
        ("link", "/home/node/elsewhere", True),
        ("link", "..data/x", False),
    ],
)
def test_a_link_is_told_where_its_text_leads_out_of_the_state(path: str, target: str, out: bool) -> None:
    assert leads_out(path, target, STATE) is out


@pytest.fixture
def writer(world: FreshBucket) -> SimulatedInstance:
    machine = world.machine("writer")
    (machine.disk / "instance.json").write_text(json.dumps({"excludes": ["media/", "**/*.tmp"]}))
    machine.environment["OPENCLAW_FREEZER"] = "none"
    machine.environment["OPENCLAW_INSTANCE_ID"] = "writer"
    assert machine.boot().code == 0
    machine.write("openclaw.json", "{}")
    return machine


def test_each_is_named_with_its_reason_in_the_manifest_and_told_when_it_changes(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    writer.write("media/film.mp4")
    writer.write("workspace/draft.tmp")
    writer.write("cache/page")
    os.mkfifo(writer.state / "pipe")
    (writer.state / "skills").symlink_to("/srv/skills")
    first = writer.backup()
    manifest = world.manifest("latest")
    assert {row.path: row.reason for row in manifest.skipped} == {
        "media": "excluded by the configuration",
        "workspace/draft.tmp": "excluded by the configuration",
        "pipe": "a FIFO",
        "skills": "a link to '/srv/skills', outside of the state",
    }
    assert manifest.skipped_count == first.line["skipped"] == 4
    assert [row.path for row in manifest.excluded] == ["cache"]
    assert all(f"'{path}' (" in first.err for path in ("media", "workspace/draft.tmp", "pipe", "skills"))

    writer.write("workspace/notes.md")
    second = writer.backup()
    assert (second.line["result"], second.line["skipped"]) == ("done", 4)
    assert "On this disk alone" not in second.err

    writer.write("workspace/another.tmp")
    third = writer.backup()
    assert (third.line["result"], third.line["skipped"]) == ("unchanged", 5)
    assert "'workspace/another.tmp' (excluded by the configuration)" in third.err


def test_the_list_is_bounded_and_the_count_is_not(world: FreshBucket, writer: SimulatedInstance) -> None:
    for number in range(MOST_NAMED + 20):
        writer.write(f"workspace/{number:04d}.tmp")
    run = writer.backup()
    manifest = world.manifest("latest")
    assert len(manifest.skipped) == MOST_NAMED
    assert manifest.skipped_count == run.line["skipped"] == MOST_NAMED + 20
    assert f"and {MOST_NAMED + 15} more, which the manifest lists" in run.err


@needs_mounts
@pytest.mark.parametrize("kind", ["bind", "tmpfs", "file"])
def test_a_mount_is_named_and_only_its_empty_folder_is_backed_up(
    world: FreshBucket, writer: SimulatedInstance, mounts: Mounts, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("the only copy")
    place = writer.state / "workspace/photos of mine"
    writer.write("workspace/notes.md")
    mounts.mount(kind, tmp_path / "outside", place)
    run = writer.backup()
    assert run.code == 0, run.err
    manifest = world.manifest("latest")
    assert [(row.path, row.reason) for row in manifest.skipped] == [
        ("workspace/photos of mine", "another file system is mounted there")
    ]
    assert "'workspace/photos of mine' (another file system is mounted there)" in run.err
    below = {"workspace"} if kind == "file" else {"workspace", "workspace/photos of mine"}
    assert {path for path in manifest.by_path() if path.startswith("workspace")} == below | {"workspace/notes.md"}
    assert writer.backup().line["result"] == "unchanged"
    mounts.require_untouched(place)
