"""An operator's plain copy: the inbox is root's and is put in place; what the gateway plants in its folder never is."""

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_agent.snapshot.codec import encode_manifest
from openclaw_agent.snapshot.manifest import EntryKind
from tests.support.plain_copies import GATEWAYS, give_all, plain_copy
from tests.support.privileges import root_only
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents, picture

needs_root = root_only("only root gives files away")


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    machine.write("openclaw.json", "{}").chmod(0o600)
    machine.write("workspace/run.sh", "#!/bin/sh\n").chmod(0o755)
    (machine.state / "workspace/current").symlink_to("run.sh")
    (machine.state / "workspace/empty").mkdir(mode=0o750)
    machine.state.chmod(0o700)
    if os.geteuid() == 0:
        give_all(machine.state)
    assert machine.backup().code == 0
    return machine


def inbox_of(machine: SimulatedInstance) -> Path:
    folder = machine.state.with_name("state.incoming")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def changed_since(machine: SimulatedInstance) -> None:
    machine.write("openclaw.json", '{"later": 1}')
    machine.write("workspace/later.md", "later")
    if os.geteuid() == 0:
        give_all(machine.state)


def test_a_snapshot_that_lies_in_the_inbox_is_the_state_at_the_next_start(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    wanted = picture(writer.state)
    (name,) = world.snapshots()
    changed_since(writer)
    later = picture(writer.state)
    plain_copy(world, f"snapshots/{name}/", inbox_of(writer))
    run = writer.restore("before-start")
    assert run.code == 0, run.err
    assert run.line["restored_from_inbox"] == name
    assert picture(writer.state) == wanted
    assert list(inbox_of(writer).iterdir()) == []
    (aside,) = writer.disk.glob("state.before-restore-*")
    assert picture(aside) == later
    assert writer.restore("before-start").err == ""
    assert writer.backup().code == 0
    assert picture(world.booted("second").state) == wanted


def not_ended(inbox: Path) -> None:
    (inbox / "manifest.json").unlink()


def torn(inbox: Path) -> None:
    text = (inbox / "manifest.json").read_bytes()
    (inbox / "manifest.json").write_bytes(text[:-20])


def a_file_less(inbox: Path) -> None:
    (inbox / ".openclaw/openclaw.json").unlink()


def other_bytes(inbox: Path) -> None:
    (inbox / ".openclaw/openclaw.json").write_text("[]")


def a_file_that_never_ends(inbox: Path) -> None:
    (inbox / ".openclaw/openclaw.json").unlink()
    os.truncate(os.open(inbox / ".openclaw/openclaw.json", os.O_CREAT | os.O_WRONLY), 2**40)


def a_fifo(inbox: Path) -> None:
    (inbox / ".openclaw/openclaw.json").unlink()
    os.mkfifo(inbox / ".openclaw/openclaw.json")


def a_fifo_as_manifest(inbox: Path) -> None:
    (inbox / "manifest.json").unlink()
    os.mkfifo(inbox / "manifest.json")


def no_state(inbox: Path) -> None:
    (inbox / ".openclaw").rename(inbox / "openclaw")


def open_to_others(inbox: Path) -> None:
    inbox.chmod(0o777)


def a_link(inbox: Path) -> None:
    inbox.rename(inbox.with_name("elsewhere"))
    inbox.symlink_to("elsewhere")


NOT_TAKEN: dict[Callable[[Path], None], tuple[int, str]] = {
    not_ended: (3, "holds no manifest.json, so the copy may not have ended"),
    torn: (1, "sync it again"),
    a_file_less: (1, "is not complete"),
    other_bytes: (1, "is not the file that its manifest promises"),
    a_file_that_never_ends: (1, "is not the file that its manifest promises"),
    a_fifo: (1, "is not complete"),
    a_fifo_as_manifest: (1, "sync it again"),
    no_state: (3, "and no .openclaw/"),
    open_to_others: (3, "may write into"),
    a_link: (3, "is no folder that can be read"),
}


@pytest.mark.parametrize("spoil", NOT_TAKEN, ids=lambda spoil: spoil.__name__)
def test_a_copy_that_is_not_whole_or_not_roots_alone_starts_nothing_and_changes_nothing(
    world: FreshBucket, writer: SimulatedInstance, spoil: Callable[[Path], None]
) -> None:
    (name,) = world.snapshots()
    changed_since(writer)
    plain_copy(world, f"snapshots/{name}/", inbox_of(writer))
    spoil(inbox_of(writer))
    before = picture(writer.disk / "state")
    code, sentence = NOT_TAKEN[spoil]
    run = writer.restore("before-start")
    assert (run.code, sentence in run.err) == (code, True), run.err
    assert picture(writer.disk / "state") == before
    assert list(writer.disk.glob("state.restoring*")) == []


def test_an_archive_without_a_manifest_is_taken_once_a_person_says_that_it_is_complete(
    writer: SimulatedInstance,
) -> None:
    inbox = inbox_of(writer)
    (inbox / ".openclaw/workspace").mkdir(parents=True)
    (inbox / ".openclaw/workspace/note.md").write_text("from an archive")
    assert writer.restore("before-start").code == 3
    (inbox / "complete").touch()
    run = writer.restore("before-start")
    assert run.code == 0, run.err
    assert contents(writer.state) == {"workspace/note.md": "from an archive"}
    if os.geteuid() == 0:
        assert {row[2] for row in picture(writer.state).values()} == {GATEWAYS}


def test_a_snapshot_that_the_bucket_does_not_have_comes_by_the_inbox_and_no_other_way(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    wanted = picture(writer.state)
    (name,) = world.snapshots()
    plain_copy(world, f"snapshots/{name}/", writer.state, delete=True)
    shutil.rmtree(writer.state / "workspace")
    world.delete(*world.keys(f"snapshots/{name}/"))
    run = writer.restore("before-start")
    assert run.code == 3
    typed = run.err.split(": mv ")[1].split()
    assert typed[2] == f"{inbox_of(writer)}/"
    for place in typed[:2]:
        shutil.move(place, typed[2])
    run = writer.restore("before-start")
    assert run.code == 0, run.err
    assert picture(writer.state) == wanted


def test_what_a_nested_manifest_says_is_not_believed_but_what_the_bucket_has_under_its_name(
    world: FreshBucket, writer: SimulatedInstance
) -> None:
    """Of a file that was root's on the disk before, the gateway may know a use."""
    wanted = picture(writer.state)
    (name,) = world.snapshots()
    manifest = world.manifest(name)
    forged = replace(
        manifest,
        entries=tuple(
            replace(entry, mode=0o4755, uid=0, gid=0) if entry.kind is EntryKind.FILE else entry
            for entry in manifest.entries
        ),
    )
    plain_copy(world, f"snapshots/{name}/", writer.state, delete=True)
    shutil.rmtree(writer.state / "workspace")
    (writer.state / "manifest.json").write_bytes(b"".join(encode_manifest(forged)))
    (writer.state / "manifest.json").chmod(0o644)
    run = writer.restore("before-start")
    assert run.code == 0, run.err
    assert picture(writer.state) == wanted


def the_whole_snapshot(_state: Path) -> None:
    """As the operator's sync, but for its owner."""


def no_manifest(state: Path) -> None:
    (state / "manifest.json").unlink()


def a_manifest_that_waits(state: Path) -> None:
    (state / "manifest.json").unlink()
    os.mkfifo(state / "manifest.json")


def links_to_the_host(state: Path) -> None:
    for name in ("openclaw.json", "passwd"):
        (state / ".openclaw" / name).unlink(missing_ok=True)
        (state / ".openclaw" / name).symlink_to(state.parent / "host/passwd")


def a_second_name_of_a_host_file(state: Path) -> None:
    (state / ".openclaw/openclaw.json").unlink()
    (state / ".openclaw/openclaw.json").hardlink_to(state.parent / "host/passwd")


def the_folder_is_a_link(state: Path) -> None:
    shutil.rmtree(state / ".openclaw")
    (state / ".openclaw").symlink_to(state.parent / "host")


def roots_but_one(state: Path) -> None:
    give_all(state, (0, 0))
    os.chown(state / ".openclaw/openclaw.json", *GATEWAYS)
    os.chown(state, *GATEWAYS)


def roots_but_writable(state: Path) -> None:
    give_all(state, (0, 0))
    (state / ".openclaw/openclaw.json").chmod(0o666)
    os.chown(state, *GATEWAYS)


def roots_with_another_name(state: Path) -> None:
    give_all(state, (0, 0))
    (state / "other").hardlink_to(state / ".openclaw/openclaw.json")
    os.chown(state, *GATEWAYS)


PLANTED = (
    the_whole_snapshot,
    no_manifest,
    a_manifest_that_waits,
    links_to_the_host,
    a_second_name_of_a_host_file,
    the_folder_is_a_link,
    roots_but_one,
    roots_but_writable,
    roots_with_another_name,
)


@needs_root
@pytest.mark.parametrize("deleted", [False, True], ids=["beside its state", "alone"])
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_what_the_gateway_plants_is_never_an_instruction(
    world: FreshBucket, writer: SimulatedInstance, plant: Callable[[Path], None], deleted: bool
) -> None:
    (name,) = world.snapshots()
    host = writer.disk / "host"
    host.mkdir()
    (host / "passwd").write_text("root:x:0:0")
    (host / "passwd").chmod(0o644)
    outside = picture(host)
    plain_copy(world, f"snapshots/{name}/", writer.state, delete=deleted)
    give_all(writer.state)
    plant(writer.state)
    outside["passwd"] = picture(host)["passwd"]
    before = {path: row for path, row in picture(writer.state).items() if row[0] == "file"}
    run = writer.restore("before-start")
    assert run.code == 0, run.err
    after = picture(writer.state)
    assert {path: row[5] for path, row in after.items() if row[0] == "file"} == {
        path: row[5] for path, row in before.items()
    }
    assert picture(host) == outside
    assert not [path for path, row in after.items() if row[0] != "symlink" and int(str(row[1]), 8) & stat.S_ISUID]
    assert list(writer.disk.glob("state.before-restore-*")) == []
