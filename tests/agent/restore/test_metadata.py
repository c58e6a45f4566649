"""Attributes, lists, flags, owners and times come back; what cannot is told, and no mode is ever wider for it."""

import errno
import os
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

import pytest

from openclaw_agent.fs.attributes import flags_of, set_flags
from openclaw_agent.fs.removal import remove_tree
from tests.support.breaking import raising
from tests.support.generated_trees import access_list
from tests.support.privileges import root_only
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, let_clock_tick, picture

FS_IOC_SETFLAGS, IMMUTABLE = 0x40086602, 0x10  # linux/fs.h
needs_root = root_only("only root may set flags, owners and capabilities")
LIST = "system.posix_acl_access"
DEFAULT_LIST = "system.posix_acl_default"


def give_flags(place: Path, flags: str) -> None:
    handle = os.open(place, os.O_RDONLY)
    set_flags(handle, flags)
    os.close(handle)


def flags(place: Path) -> str:
    handle = os.open(place.parent, os.O_PATH)
    try:
        return flags_of(handle, place.name)
    finally:
        os.close(handle)


def refuse(monkeypatch: pytest.MonkeyPatch, call: str, code: int, chosen: Callable[..., bool]) -> None:
    """Let a system call fail for the arguments that are chosen."""
    real = getattr(os, call)

    def maybe(*arguments: object, **options: object) -> object:
        if chosen(*arguments):
            raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    monkeypatch.setattr(os, call, maybe)


@pytest.mark.parametrize(
    ("own_group", "named", "mode"),
    [(0, 6, 0o600), (4, 6, 0o640), (4, 0, 0o640), (6, 6, 0o660), (7, 4, 0o670), (1, 6, 0o610)],
)
def test_a_list_that_cannot_be_set_leaves_the_group_what_the_list_gave_it(
    world: FreshBucket,
    machine: SimulatedInstance,
    monkeypatch: pytest.MonkeyPatch,
    own_group: int,
    named: int,
    mode: int,
) -> None:
    secret = machine.write("secret", "token")
    secret.chmod(0o600)
    os.setxattr(secret, LIST, access_list(own_group, 1001, named))
    assert machine.backup().code == 0
    assert os.getxattr(world.booted().state / "secret", LIST) == os.getxattr(secret, LIST)
    refuse(monkeypatch, "setxattr", errno.EOPNOTSUPP, lambda _place, name, _value: name == LIST)
    there = world.machine()
    run = there.boot()
    assert run.code == 0, run.err
    assert f"the attribute '{LIST}' of 1 path ('secret') could not be restored: Operation not supported" in run.err
    assert (there.state / "secret").stat().st_mode & 0o777 == mode


@needs_root
def test_an_owner_that_cannot_be_given_costs_a_program_its_setuid_and_is_told(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = machine.write("program", "#!/bin/sh")
    os.chown(program, 1000, 1000)
    program.chmod(0o6755)
    assert machine.backup().code == 0
    refuse(monkeypatch, "fchown", errno.EINVAL, lambda _handle, uid, _gid: uid == 1000)
    there = world.machine()
    run = there.boot()
    assert "the owner 1000:1000 of 1 path ('program') could not be restored: Invalid argument" in run.err
    assert (there.state / "program").stat().st_mode & 0o7777 == 0o755


def test_a_time_that_the_file_system_does_not_keep_is_told_and_is_no_local_change(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(machine.write("late"), ns=(0, 9_300_000_000 * 10**9))
    assert machine.backup().code == 0
    utime = os.utime

    def only_until_2038(place: int, *, ns: tuple[int, int], **options: object) -> None:
        utime(place, ns=(0, min(ns[1], (2**31 - 1) * 10**9)), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "utime", only_until_2038)
    there = world.machine()
    run = there.boot()
    assert run.code == 0, run.err
    assert "the exact time of 1 path ('late') could not be restored" in run.err
    assert there.backup().line["result"] == "unchanged"
    assert there.restore("run").code == 0


def test_a_list_that_a_folder_passes_on_is_not_given_to_what_had_none(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    machine.write("folder/file")
    assert machine.backup().code == 0
    before = picture(machine.state)
    os.setxattr(machine.disk, DEFAULT_LIST, access_list(7, 1001, 7))
    machine.lose_state()
    assert machine.restore().code == 0
    assert picture(machine.state) == before


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("change", ["set", "other value", "gone"])
def test_a_change_of_attributes_alone_is_backed_up_without_sending_a_file(
    world: FreshBucket, machine: SimulatedInstance, kind: str, change: str
) -> None:
    machine.write("folder/file")
    place = machine.state / ("folder/file" if kind == "file" else "folder")
    if change != "set":
        os.setxattr(place, "user.note", b"old")
    assert machine.backup().code == 0
    if change == "gone":
        os.removexattr(place, "user.note")
    else:
        os.setxattr(place, "user.note", b"new")
    assert "attribute 'user.note'" in machine.restore("diff", "latest").out
    # S3 has what is gone; what is new only the disk has.
    assert machine.restore("run", "--snapshot", "latest").code == (0 if change == "gone" else 3)
    if change == "gone":
        os.removexattr(place, "user.note")
    run = machine.backup()
    assert (run.line["result"], run.line["uploaded_files"]) == ("done", 0), run.err
    assert picture(world.booted().state) == picture(machine.state)


@needs_root
def test_attributes_that_no_snapshot_keeps_are_told_and_stop_nothing(machine: SimulatedInstance) -> None:
    os.setxattr(machine.write("file"), "trusted.mine", b"x")
    run = machine.backup()
    assert run.code == 0
    assert "Warning: 1 attributes are not in the backup; of 'file', the first: its attribute 'trusted.mine'" in run.err
    let_clock_tick()
    assert machine.backup().line["result"] == "unchanged"


@needs_root
@pytest.mark.parametrize("letters", ["i", "a", "ia"])
@pytest.mark.parametrize("path", ["file", "folder", "folder/file"])
def test_flags_come_back_and_neither_they_nor_what_they_hold_pile_up(
    world: FreshBucket, machine: SimulatedInstance, path: str, letters: str
) -> None:
    machine.write("file")
    machine.write("folder/file")
    give_flags(machine.state / path, letters)
    try:
        assert machine.backup().code == 0
        for arguments in (("--snapshot", "latest"), ("--path", path)):
            run = machine.restore("run", *arguments)
            assert run.code == 0, run.err
            assert flags(machine.state / path) == letters
        machine.write("new")
        assert machine.backup().code == 0
        assert sorted(place.name for place in machine.disk.iterdir()) == ["agent", "state"]
        there = world.booted()
        assert picture(there.state) == picture(machine.state)
    finally:
        remove_tree(world.folder)


class CutOff(BaseException):
    """The machine's power, say."""


def cut_off_before_flags_are_given(handle: int, request: int, argument: bytes) -> object:
    if argument[0] & IMMUTABLE and request == FS_IOC_SETFLAGS:
        raise CutOff
    return ioctl(handle, request, argument)


@needs_root
@pytest.mark.parametrize("arguments", [("--snapshot", "latest"), ("--path", "folder")])
@pytest.mark.parametrize("beside", [(), ("cache/kept",)], ids=["exchanged", "around what stays"])
def test_flags_of_a_restore_that_was_cut_off_are_given_before_anything_else(
    world: FreshBucket,
    machine: SimulatedInstance,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    beside: tuple[str, ...],
) -> None:
    for path in ("other", "folder/file", *beside):
        machine.write(path)
    give_flags(machine.state / "folder/file", "i")
    try:
        assert machine.backup().code == 0
        with monkeypatch.context() as power:
            power.setattr("fcntl.ioctl", cut_off_before_flags_are_given)
            with pytest.raises(CutOff):
                machine.restore("run", *arguments)
        assert flags(machine.state / "folder/file") == ""
        run = machine.backup()
        assert run.code == 0, run.err
        assert "Gave 1 restored file" in run.err
        assert flags(machine.state / "folder/file") == "i"
        attributes = world.manifest("latest").by_path()["folder/file"].attributes
        assert attributes is not None
        assert attributes.flags == "i"
    finally:
        remove_tree(world.folder)


@needs_root
def test_a_restore_that_was_cut_off_before_the_swap_gives_no_flags_to_what_was_there(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = machine.write("file")
    give_flags(place, "i")
    try:
        assert machine.backup().code == 0
        give_flags(place, "")
        with monkeypatch.context() as power:
            power.setattr("openclaw_agent.state_dir.swap.exchange", raising(CutOff()))
            with pytest.raises(CutOff):
                machine.restore("run", "--snapshot", "latest", "--force")
        run = machine.backup()
        assert run.code == 0, run.err
        assert "flags" not in run.err
        assert flags(place) == ""
    finally:
        remove_tree(world.folder)


@needs_root
def test_flags_that_may_not_be_set_are_told(
    world: FreshBucket, machine: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_flags(machine.write("file"), "i")
    try:
        assert machine.backup().code == 0
        monkeypatch.setattr("fcntl.ioctl", lambda *_arguments: (_ for _ in ()).throw(PermissionError(1, "not allowed")))
        run = world.machine().boot()
        assert run.code == 0
        assert "the flags (chattr +i) of 1 path ('file') could not be restored: not allowed" in run.err
    finally:
        monkeypatch.undo()
        remove_tree(world.folder)
