"""What is captured is read back as a restore would read it, and what is not is told at the backup."""

import os
from dataclasses import replace

import pytest

from openclaw_agent.capture.proof import take_out_unreadable
from openclaw_agent.errors import AgentError
from openclaw_agent.snapshot.manifest import Attributes, Entry
from tests.support.entries import file, folder, symlink
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents


@pytest.mark.parametrize(
    "held",
    [
        replace(file("a"), uid=2**32 - 2, gid=2**32 - 2),
        replace(file("a"), mtime_ns=(2**63 - 1) * 10**9),
        replace(file("a"), mtime_ns=-(2**63) * 10**9),
        replace(file("a"), mode=0o7777),
        replace(file("a"), size=2**63 - 1, sparse_bytes=2**63 - 1),
        replace(file("a"), attributes=Attributes((("user." + "n" * 250, bytes(65536)), ("user.\udcff", b"")), "ia")),
        symlink("a", "\udcff" * 4095),
        replace(folder("\udcff\n"), mode=0),
    ],
    ids=["id", "last-time", "first-time", "mode", "hole", "attributes", "target", "folder"],
)
def test_whatever_a_disk_can_hold_is_read_back(held: Entry) -> None:
    entries = [folder(), held]
    assert take_out_unreadable(entries, {}) == []
    assert entries == [folder(), held]


@pytest.mark.parametrize(
    "impossible",
    [
        replace(folder("d"), uid=2**32 - 1),
        replace(folder("d"), gid=-1),
        replace(folder("d"), mtime_ns=2**94),
        replace(folder("d"), mode=0o10000),
        replace(folder("d"), attributes=Attributes((("user." + "n" * 251, b""),))),
    ],
    ids=["uid", "gid", "time", "mode", "attribute"],
)
def test_what_no_disk_holds_is_taken_out_with_all_that_hangs_on_it(impossible: Entry) -> None:
    link = replace(file("other"), hard_link_to="d/first")
    entries = [folder(), impossible, file("d/first"), file("d.md"), link]
    told = take_out_unreadable(entries, {})
    assert [row.path for row in told] == ["d"]
    assert told[0].reason.startswith("no manifest can hold it: The manifest has a malformed entry")
    assert [entry.path for entry in entries] == ["", "d.md", "other"]


def test_of_a_state_folder_that_cannot_be_read_back_nothing_is_left_to_back_up() -> None:
    with pytest.raises(AgentError, match="The state folder cannot be backed up: no manifest can hold it"):
        take_out_unreadable([replace(folder(), uid=-1)], {})


def test_a_backup_tells_what_a_restore_would_refuse_and_keeps_all_else(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.write("notes.md", "kept")
    (machine.state / "link").symlink_to("notes.md")
    readlink = os.readlink
    # A damaged disk may answer so.
    monkeypatch.setattr(
        os, "readlink", lambda path, **options: "" if path == "link" and options else readlink(path, **options)
    )
    run = machine.backup()
    assert "'link': no manifest can hold it" in run.err
    assert run.code not in (0, 1)
    monkeypatch.undo()
    assert contents(world.booted().state) == {"notes.md": "kept"}
