import ctypes
import errno
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.restore.content import FolderContent
from openclaw_agent.restore.tree import Rebuilt, rebuild
from openclaw_agent.snapshot.manifest import Fingerprint
from tests.support.entries import file, folder, symlink

BEFORE_1970 = -86_400_000_000_001
OLD = Fingerprint(1, 2, 3, 4)
ENTRIES = (
    folder(),
    replace(file("a", b"first"), fingerprint=OLD, wal_fingerprint=OLD),
    folder("d"),
    replace(file("d/b", b""), mtime_ns=BEFORE_1970),
    symlink("link", "a"),
    file("z", b"the last"),
)


def built(tmp_path: Path) -> tuple[Path, Rebuilt]:
    bucket, target = tmp_path / "bucket", tmp_path / "target"
    target.mkdir()
    for entry in ENTRIES:
        for body in (b"first", b"", b"the last"):
            if entry.sha256 == hashlib.sha256(body).digest():
                place = bucket / entry.relative_key
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(body)
    return target, rebuild(ENTRIES, FolderContent(ConfinedDir(bucket), None), target)


def test_what_was_built_is_known_by_what_lstat_says_of_it(tmp_path: Path) -> None:
    target, rebuilt = built(tmp_path)
    expected = [
        replace(entry, fingerprint=Fingerprint.of((target / entry.path).lstat()), wal_fingerprint=None)
        if entry.sha256
        else entry
        for entry in ENTRIES
    ]
    assert len(rebuilt) == len(ENTRIES)
    assert list(rebuilt) == expected
    for index in (0, 3, -1, -3, -len(ENTRIES)):
        assert rebuilt[index] == expected[index]
    for part in (slice(None), slice(1, 4), slice(-2, None), slice(None, None, -2), slice(9, 20)):
        assert rebuilt[part] == tuple(expected[part])
    for index in (len(ENTRIES), -len(ENTRIES) - 1):
        with pytest.raises(IndexError):
            rebuilt[index]


@pytest.mark.parametrize("seconds", [-(2**31), -1, 0, 2**31, 2**33, 9_300_000_000, 2**34 - 1, 2**40, 2**55])
def test_whatever_time_a_disk_holds_is_known_of_what_was_built(tmp_path: Path, seconds: int) -> None:
    (tmp_path / "bucket/.openclaw").mkdir(parents=True)
    (tmp_path / "bucket/.openclaw/a").write_bytes(b"first")
    target = tmp_path / "target"
    target.mkdir()
    time = seconds * 1_000_000_000 + 999_999_999
    dated = replace(file("a", b"first"), mtime_ns=time)
    rebuilt = rebuild((folder(), dated), FolderContent(ConfinedDir(tmp_path / "bucket"), None), target)
    assert rebuilt[1].fingerprint == Fingerprint.of((target / "a").lstat())
    assert rebuilt[1].mtime_ns == time


def test_a_time_before_1970_survives(tmp_path: Path) -> None:
    target, rebuilt = built(tmp_path)
    fingerprint = rebuilt[3].fingerprint
    assert fingerprint is not None
    assert (fingerprint.mtime_ns, (target / "d/b").stat().st_mtime_ns) == (BEFORE_1970, BEFORE_1970)


def test_a_disk_that_does_not_take_what_was_built_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def syncfs(_handle: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: SimpleNamespace(syncfs=syncfs))
    with pytest.raises(LocalStorageError) as told:
        built(tmp_path)
    said = os.strerror(errno.EIO)
    assert str(told.value) == (
        f"The restore could not write '{tmp_path}/target' ({said}). The current state was not changed."
    )
