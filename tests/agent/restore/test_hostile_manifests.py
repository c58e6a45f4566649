"""What a stranger's manifest asks of the disk: no more than the gateway may have, no more than was promised."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_agent.errors import CorruptObject, LocalStorageError, ManifestInvalid
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.restore.content import FolderContent
from openclaw_agent.restore.refusals import refused_by_disk
from openclaw_agent.snapshot.codec import encode_manifest
from openclaw_agent.snapshot.manifest import NO_ATTRIBUTES, Attributes, Entry, EntryKind
from tests.support.entries import file, folder, manifest
from tests.support.privileges import root_only
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance, contents

needs_root = root_only("only root gives files away")
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
BODY = b"#!/bin/sh\n"
HOSTILE = "2030-01-01-00-00"


@pytest.fixture
def writer(machine: SimulatedInstance) -> SimulatedInstance:
    """One whole snapshot of an honest state."""
    machine.write("openclaw.json", "honest")
    assert machine.backup("--final").code == 0
    return machine


def put(world: FreshBucket, *entries: Entry, bodies: dict[str, bytes] | None = None) -> None:
    """A newer restore point of a stranger's, in `latest/` and as a snapshot."""
    config = file("openclaw.json", b"hostile")
    rows = sorted((folder(), config, *entries), key=lambda entry: entry.path.split("/"))
    text = b"".join(encode_manifest(replace(manifest(rows, HOSTILE), epoch=9)))
    found = {"openclaw.json": b"hostile"} | {e.path: BODY for e in entries if e.kind is EntryKind.FILE} | (bodies or {})
    for place in (f"snapshots/{HOSTILE}/", "latest/"):
        for path, body in found.items():
            world.put(f"{place}.openclaw/{path}", body)
        world.put(place + "manifest.json", text)


@needs_root
@pytest.mark.parametrize(
    ("mode", "uid", "gid", "left"),
    [
        (0o4755, 1000, 1000, 0o4755),
        (0o6755, 1000, 1000, 0o6755),
        (0o4755, 0, 0, 0o755),
        (0o2755, 0, 0, 0o755),
        (0o6755, 1000, 0, 0o4755),
        (0o6755, 0, 1000, 0o2755),
        (0o7777, 65534, 65534, 0o1777),
        (0o1777, 0, 0, 0o1777),
    ],
)
def test_setuid_and_setgid_are_given_for_the_gateways_own_ids_alone(
    world: FreshBucket, mode: int, uid: int, gid: int, left: int
) -> None:
    put(world, replace(file("sh", BODY, mode), uid=uid, gid=gid))
    machine = world.machine()
    run = machine.boot()
    assert run.code == 0, run.err
    status = (machine.state / "sh").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (left, uid, gid)
    told = "setuid or setgid of 1 path ('sh') could not be restored: a restore gives them to nobody but the gateway"
    assert (told in run.err) == (left != mode)
    # What was taken away is no change of the gateway's.
    assert machine.backup().code == 0
    assert machine.restore("run").code == 0


@needs_root
def test_capabilities_are_given_to_nobody(world: FreshBucket) -> None:
    rows = (("security.capability", CAPABILITY), ("user.note", b"x"))
    put(world, replace(file("sh", BODY, 0o755), attributes=Attributes(rows)))
    machine = world.machine()
    run = machine.boot()
    assert run.code == 0, run.err
    assert "capabilities of 1 path ('sh') could not be restored" in run.err
    assert os.listxattr(machine.state / "sh") == ["user.note"]
    assert machine.backup().code == 0


def test_an_ordinary_user_makes_no_setuid_file_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from openclaw_agent.restore.privileges import without_privileges

    asked = replace(file("sh", BODY, 0o6755), attributes=NO_ATTRIBUTES)
    monkeypatch.setattr(os, "geteuid", lambda: 501)
    assert without_privileges(asked).mode == 0o755
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert without_privileges(asked) is asked


LARGE = os.urandom(3 << 20)


@pytest.mark.parametrize(
    ("claims", "has"),
    [
        ({"size": 5}, LARGE),
        ({"size": len(LARGE) - 1}, LARGE),
        ({"size": 2**50, "sparse_bytes": 2**50}, LARGE),
        ({"size": 2**62}, LARGE),
        ({"size": len(LARGE)}, LARGE[:-1]),
        ({"size": 1}, b""),
    ],
    ids=["less", "a byte less", "all holes", "more than any disk", "a byte more", "nothing there"],
)
def test_an_object_of_another_size_than_is_claimed_is_not_restored_and_the_honest_one_is(
    world: FreshBucket, writer: SimulatedInstance, claims: dict[str, int], has: bytes
) -> None:
    honest = file("openclaw.json", b"hostile")
    large = replace(file("openclaw.json", has), **claims)  # type: ignore[arg-type]
    text = b"".join(encode_manifest(replace(manifest([folder(), large], HOSTILE), epoch=9)))
    assert large != honest
    for place in (f"snapshots/{HOSTILE}/", "latest/"):
        world.put(f"{place}.openclaw/openclaw.json", has)
        world.put(place + "manifest.json", text)
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    assert contents(second.state) == {"openclaw.json": "honest"}
    assert run.line["bytes_downloaded"] < len(LARGE)
    named = second.restore("run", "--snapshot", HOSTILE, "--force")
    assert named.code == 1
    assert contents(second.state) == {"openclaw.json": "honest"}
    # What is on the disk is replaced by the honest one too, not kept back for room that nobody needs.
    second.boot_number += 1
    second.write("mine.md")
    assert world.machine("third").boot().code == 0


@pytest.mark.parametrize("claims", [{"size": 5}, {"size": len(LARGE) + 1}], ids=["less", "more"])
def test_a_plain_copy_is_copied_no_further_than_is_claimed(tmp_path: Path, claims: dict[str, int]) -> None:
    place = tmp_path / "copy/.openclaw/a"
    place.parent.mkdir(parents=True)
    place.write_bytes(LARGE)
    entry = replace(file("a", LARGE), **claims)  # type: ignore[arg-type]
    with ConfinedDir(tmp_path / "copy") as top, pytest.raises(CorruptObject):
        FolderContent(top, None).fetch([(entry, tmp_path / "a")])
    assert (tmp_path / "a").stat().st_size <= min(claims["size"] + 1, len(LARGE))


@pytest.mark.parametrize("planted", ["symlink", "fifo", "folder"])
def test_a_plain_copy_that_is_no_file_is_neither_followed_nor_waited_for(tmp_path: Path, planted: str) -> None:
    (tmp_path / "copy/.openclaw").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    place = tmp_path / "copy/.openclaw/a"
    make: dict[str, Callable[[], object]] = {
        "symlink": lambda: place.symlink_to(secret),
        "fifo": lambda: os.mkfifo(place),
        "folder": place.mkdir,
    }
    make[planted]()
    with ConfinedDir(tmp_path / "copy") as top, pytest.raises(CorruptObject):
        FolderContent(top, None).fetch([(file("a", b"secret"), tmp_path / "a")])
    assert not (tmp_path / "a").exists() or (tmp_path / "a").read_bytes() == b""


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        *((OSError(code, os.strerror(code), "x"), ManifestInvalid) for code in (errno.EINVAL, errno.ENAMETOOLONG)),
        *(
            (OSError(code, os.strerror(code), "x"), ManifestInvalid)
            for code in (errno.ELOOP, errno.EILSEQ, errno.EEXIST)
        ),
        *(
            (OSError(code, os.strerror(code), "x"), LocalStorageError)
            for code in (errno.ENOSPC, errno.EIO, errno.EROFS)
        ),
        *((OSError(code, os.strerror(code), "x"), LocalStorageError) for code in (errno.EDQUOT, errno.EACCES)),
        (OverflowError("timestamp out of range"), ManifestInvalid),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), ManifestInvalid),
    ],
    ids=repr,
)
def test_what_no_disk_takes_is_told_from_a_disk_in_trouble(problem: Exception, kind: type[Exception]) -> None:
    assert type(refused_by_disk(problem, Path("/proc/self/fd/9"), Path("/state"))) is kind


@pytest.mark.parametrize("code", [errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL])
def test_what_shows_only_while_it_is_written_gives_way_to_the_next_restore_point(
    world: FreshBucket, writer: SimulatedInstance, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    put(world, folder("not on this disk"))
    real = os.mkdir

    def mkdir(path: str, *arguments: object, **options: object) -> None:
        if os.fspath(path).endswith("not on this disk"):
            raise OSError(code, os.strerror(code), path)
        real(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "mkdir", mkdir)
    second = world.machine("second")
    run = second.boot()
    assert run.code == 0, run.err
    assert contents(second.state) == {"openclaw.json": "honest"}
    assert f"which no disk takes ({os.strerror(code)})" in run.err
    named = second.restore("run", "--snapshot", HOSTILE, "--force")
    assert named.code == 1
    assert f"which no disk takes ({os.strerror(code)})" in named.err


def test_the_list_says_which_restore_point_is_invalid_and_why(world: FreshBucket, writer: SimulatedInstance) -> None:
    text = world.get(LATEST_MANIFEST)
    world.put(f"snapshots/{HOSTILE}/manifest.json", text.replace(b'"epoch":1,', b'"epoch":1.0,'))
    run = writer.restore("list")
    assert f"Invalid: {HOSTILE}. The manifest's header is malformed (epoch: 1.0 is no whole number" in run.out
    assert hashlib.sha256(world.get(LATEST_MANIFEST)).digest() == hashlib.sha256(text).digest()
