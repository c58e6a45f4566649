"""What only the disk has is never lost, and what is mounted is never touched, whichever way a restore comes about."""

import json
import os
import stat
from dataclasses import replace
from os.path import lexists
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab.moto.server import EmbeddedAws
from openclaw_agent.fs.mounts import is_mount_point
from tests.support.generated_trees import Node, plant, trees
from tests.support.mounts import PRECIOUS, Mounts, may_mount, needs_mounts
from tests.support.simulated_instance import FreshBucket, Picture, Run, SimulatedInstance, contents, picture

# A restore by hand asks systemd whether the gateway runs.
pytestmark = pytest.mark.subprocess
LARGE = 100_000
EXCLUDES = ["media/", "**/*.tmp", "workspace/private"]


def keeps_to_itself(machine: SimulatedInstance) -> SimulatedInstance:
    """The machine with rules of its own, as the installer writes them."""
    (machine.disk / "instance.json").write_text(json.dumps({"excludes": EXCLUDES}))
    machine.environment |= {"OPENCLAW_FREEZER": "none", "OPENCLAW_INSTANCE_ID": machine.name}
    return machine


@pytest.fixture
def writer(world: FreshBucket) -> SimulatedInstance:
    machine = keeps_to_itself(world.machine("writer"))
    assert machine.boot().code == 0
    machine.write("openclaw.json", "{}")
    machine.write("workspace/notes.md", "as backed up")
    assert machine.backup().code == 0
    return machine


def by_hand(machine: SimulatedInstance, world: FreshBucket) -> Run:
    return machine.restore("run", "--snapshot", world.snapshots()[-1], "--force")


def of_a_folder(machine: SimulatedInstance, _world: FreshBucket) -> Run:
    return machine.restore("--path", "workspace")


def at_a_boot_after_somebody_changed_the_bucket(machine: SimulatedInstance, world: FreshBucket) -> Run:
    world.put("latest/manifest.json", world.get("latest/manifest.json") + b"\n")
    body = world.get(f"snapshots/{world.snapshots()[-1]}/manifest.json")
    world.delete("latest/manifest.json")
    world.put("latest/manifest.json", body.rstrip(b"\n"))
    return machine.reboot()


def before_a_start_on_a_plain_copy(machine: SimulatedInstance, world: FreshBucket) -> Run:
    prefix = f"snapshots/{world.snapshots()[-1]}/"
    for key in world.keys(prefix):
        place = machine.state / key.removeprefix(prefix)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(world.get(key))
    return machine.restore("before-start")


WAYS = [by_hand, of_a_folder, at_a_boot_after_somebody_changed_the_bucket, before_a_start_on_a_plain_copy]


@pytest.mark.parametrize("way", WAYS)
def test_what_the_rules_and_the_kinds_keep_out_of_s3_stays_where_it_is(
    world: FreshBucket, writer: SimulatedInstance, way: object
) -> None:
    only_here = ["media/film.mp4", "workspace/a/b/draft.tmp", "workspace/private/key", "cache/page", "tools/my.sh"]
    for path in only_here:
        writer.write(path, "the only copy")
    os.mkfifo(writer.state / "workspace/pipe")
    writer.write("workspace/notes.md", "changed")
    run = way(writer, world)  # type: ignore[operator]
    assert run.code == 0, run.err
    assert (writer.state / "workspace/notes.md").read_text() == "as backed up"
    assert writer.backup().code == 0
    assert {path: (writer.state / path).read_text() for path in only_here} == dict.fromkeys(only_here, "the only copy")
    assert (writer.state / "workspace/pipe").is_fifo()
    assert not list(writer.disk.glob("state.*"))


@needs_mounts
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["bind", "tmpfs", "file"])
def test_a_mount_stays_where_it_is_with_what_it_holds(
    world: FreshBucket, writer: SimulatedInstance, mounts: Mounts, tmp_path: Path, way: object, kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text(PRECIOUS)
    place = writer.state / "workspace/deep/photos of mine"
    writer.write("workspace/deep/beside", "new")
    writer.write("workspace/notes.md", "changed")
    mounts.mount(kind, outside, place)
    run = way(writer, world)  # type: ignore[operator]
    assert run.code == 0, run.err
    mounts.require_untouched(place)
    writer.write("openclaw.json", "{ }")
    assert writer.backup().code == 0
    mounts.require_untouched(place)
    assert (writer.state / "workspace/notes.md").read_text() == "as backed up"
    assert not (writer.state / "workspace/deep/beside").exists()


@needs_mounts
def test_a_mount_is_no_difference_to_a_restore_point(writer: SimulatedInstance, mounts: Mounts, tmp_path: Path) -> None:
    (writer.state / "workspace/known").mkdir()
    assert writer.backup().code == 0
    (tmp_path / "outside").mkdir()
    for name in ("known", "new"):
        mounts.mount("bind", tmp_path / "outside", writer.state / "workspace" / name)
    assert writer.restore("diff", "latest").out.startswith("No difference")


@needs_mounts
@pytest.mark.parametrize("flags", [("--force",), ("--path", "workspace"), ("--path", "workspace/notes.md")])
@pytest.mark.parametrize("mounted", ["workspace", "workspace/notes.md"])
def test_a_mount_in_the_way_refuses_the_restore_before_anything_is_downloaded(
    world: FreshBucket,
    writer: SimulatedInstance,
    mounts: Mounts,
    tmp_path: Path,
    flags: tuple[str, ...],
    mounted: str,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text(PRECIOUS)
    writer.write("workspace/large", "x" * LARGE)
    assert writer.backup().code == 0
    place = writer.state / mounted
    mounts.mount("bind" if place.is_dir() else "file", outside, place)
    before = contents(writer.state)
    run = writer.restore("run", *flags, "--snapshot", world.snapshots()[-1])
    assert run.code == 3
    (sentence,) = (line for line in run.err.splitlines() if "mounted" in line and "Refused" in line)
    assert str(place) in sentence
    assert "umount" in sentence
    # The manifest alone.
    assert run.line["bytes_downloaded"] < LARGE
    mounts.require_untouched(place)
    assert contents(writer.state) == before


def test_what_has_to_make_room_is_kept_until_a_person_removes_it(world: FreshBucket, writer: SimulatedInstance) -> None:
    writer.write("workspace/private.txt", "x")
    (writer.disk / "instance.json").write_text(json.dumps({"excludes": ["workspace/notes.md"]}))
    writer.write("workspace/notes.md", "newer, and in no backup since the rule")
    run = by_hand(writer, world)
    assert run.code == 0, run.err
    assert "Warning: 'workspace/notes.md' had to make room for what was restored, and is in no backup" in run.err
    assert (writer.state / "workspace/notes.md").read_text() == "as backed up"
    for round_number in range(2):
        writer.write("openclaw.json", f'{{"round": {round_number}}}')
        assert writer.backup().code == 0
        (kept,) = writer.disk.glob("state.before-restore-*")
        assert (kept / "workspace/notes.md").read_text() == "newer, and in no backup since the rule"


def test_the_log_of_an_excluded_database_stays_with_it_and_another_s_goes(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    log = b"\x37\x7f\x06\x82" + bytes(28)
    for name in ("media.tmp", "workspace/db"):
        (writer.state / name).write_bytes(b"SQLite format 3\x00" + bytes(84))
        (writer.state / f"{name}-wal").write_bytes(log)
    (writer.disk / "instance.json").write_text(json.dumps({"excludes": [*EXCLUDES, "**/*-wal"]}))
    assert by_hand(writer, world).code == 0
    assert (writer.state / "media.tmp-wal").read_bytes() == log
    assert sorted(contents(writer.state / "workspace")) == ["notes.md"]


# ----- the state folder as a volume of its own


@pytest.fixture
def volume(world: FreshBucket, mounts: Mounts) -> SimulatedInstance:
    """A machine whose state folder is a mount point."""
    if not may_mount():
        pytest.skip("only root may mount")
    machine = keeps_to_itself(world.machine("volume"))
    mounts.mount("tmpfs", Path(), machine.state)
    (machine.state / "precious").unlink()
    (machine.state / "lost+found").mkdir()
    return machine


def test_a_state_that_is_a_volume_of_its_own_is_restored_in_it(
    world: FreshBucket, writer: SimulatedInstance, volume: SimulatedInstance
) -> None:
    writer.write("workspace/folder/deep/file", "deep")
    assert writer.backup("--final").code == 0
    inode = volume.state.stat().st_ino
    run = volume.boot()
    assert run.code == 0, run.err
    assert run.line["result"] == "restored"
    assert is_mount_point(volume.state)
    assert volume.state.stat().st_ino == inode
    assert contents(volume.state) == contents(writer.state)
    restored = {path: row for path, row in picture(volume.state).items() if path != "lost+found"}
    assert restored == picture(writer.state)
    assert volume.backup().line["result"] == "unchanged"
    assert volume.restore("before-start").code == 0

    volume.write("workspace/notes.md", "newer")
    (volume.state / "workspace/folder/deep/file").unlink()
    assert volume.backup().code == 0
    run = volume.restore("run", "--snapshot", world.snapshots()[0], "--force")
    assert run.code == 0, run.err
    assert (volume.state / "workspace/notes.md").read_text() == "as backed up"
    assert volume.backup().code == 0
    assert sorted(place.name for place in volume.state.iterdir()) == ["lost+found", "openclaw.json", "workspace"]
    assert volume.reboot().line["result"] == "kept"


# ----- any tree


def below(top: bytes, node: Node) -> Node:
    # A link between what is restored and what stays ends with the one name.
    kind = "file" if node.kind == "hard link" and top == b"media" else node.kind
    return replace(node, parts=(top, *node.parts), kind=kind)


def of_the_disk(state: Path) -> Picture:
    """What the rules keep out of S3, without the folder that it lies in."""
    return {path: row for path, row in picture(state).items() if path.startswith("media/")}


@settings(
    max_examples=int(os.environ.get("OPENCLAW_TREE_EXAMPLES", "8")),
    deadline=None,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
@given(old=trees, new=trees, own=trees, mount_at=st.sampled_from([None, "disk", "workspace/a/disk", "workspace/disk"]))
def test_a_restore_in_place_gives_the_old_tree_and_leaves_what_is_the_disk_s_own(
    embedded_aws: EmbeddedAws,
    tmp_path_factory: pytest.TempPathFactory,
    old: list[Node],
    new: list[Node],
    own: list[Node],
    mount_at: str | None,
) -> None:
    world = FreshBucket(embedded_aws, tmp_path_factory.mktemp("own"))
    machine = keeps_to_itself(world.machine("writer"))
    assert machine.boot().code == 0
    machine.write("openclaw.json", "{}")
    for node in old:
        plant(machine.state, below(b"workspace", node))
    backed_up = picture(machine.state)
    run = machine.backup("--accept-shrink")
    assert run.code == 0, run.err
    for node in own:
        plant(machine.state, below(b"media", node))
    for node in new:
        if node.kind != "hard link":
            plant(machine.state, below(b"workspace", node))
    its_own = of_the_disk(machine.state)
    mounts, place = Mounts(), machine.state / (mount_at or "nowhere")
    may_be = mount_at is not None and may_mount() and is_real(machine.state, place.parent) and not lexists(place)
    try:
        if may_be:
            mounts.mount("tmpfs", Path(), place)
        run = by_hand(machine, world)
        assert run.code == 0, run.err
        if may_be:
            mounts.require_untouched(place)
    finally:
        mounts.undo()
    after = picture(machine.state)
    assert of_the_disk(machine.state) == its_own
    assert {path: row for path, row in after.items() if path in backed_up} == backed_up
    stays = [*no_files(machine.state), *([place] if may_be else [])]
    ways = {
        str(way.relative_to(machine.state))
        for kept in stays
        for way in (kept, *kept.parents[: -len(machine.state.parts)])
    }
    assert {path for path in after.keys() - backed_up.keys() if path.split("/")[0] != "media"} <= ways


def no_files(state: Path) -> list[Path]:
    """Sockets and FIFOs."""
    found = (Path(place) / name for place, _, files in os.walk(state) for name in files)
    return [place for place in found if stat.S_IFMT(place.lstat().st_mode) in (stat.S_IFIFO, stat.S_IFSOCK)]


def is_real(state: Path, folder: Path) -> bool:
    """Whether it is, or can be made, a folder of the state."""
    ways = [way for way in (folder, *folder.parents) if state in way.parents]
    return all(not way.is_symlink() and (way.is_dir() or not way.exists()) for way in ways)
