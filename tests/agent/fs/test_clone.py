import errno
import fcntl
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.clone import clone_file, open_nofollow

MIB = 1024 * 1024


def test_a_clone_has_the_bytes_and_the_status_of_its_source(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"hello" * 1000)
    source.chmod(0o4755)
    status = clone_file(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"hello" * 1000
    assert (status.st_size, status.st_ino) == (5000, source.stat().st_ino)
    assert (tmp_path / "target").stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize(
    ("sparse_bytes", "size"),
    [([], 10 * MIB), ([(3 * MIB, b"in the middle")], 10 * MIB), ([(0, b"begin"), (10 * MIB - 3, b"end")], 10 * MIB)],
    ids=["only a hole", "bytes between two holes", "a hole between bytes"],
)
def test_holes_stay_holes(tmp_path: Path, sparse_bytes: list[tuple[int, bytes]], size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as out:
        out.truncate(size)
        for position, body in sparse_bytes:
            out.seek(position)
            out.write(body)
    clone_file(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks * 512 < MIB


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3_000_000), st.binary(min_size=1, max_size=9000)), max_size=6), st.booleans())
def test_any_mixture_of_bytes_and_holes_is_cloned_as_it_is(
    tmp_path: Path, pieces: list[tuple[int, bytes]], ends_in_a_hole: bool
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as out:
        for position, body in pieces:
            out.seek(position)
            out.write(body)
        if ends_in_a_hole:
            out.truncate(4_000_000)
    target.unlink(missing_ok=True)
    clone_file(source, target)
    assert target.read_bytes() == source.read_bytes()


def not_a_file(path: Path, kind: str) -> None:
    match kind:
        case "nothing":
            pass
        case "symlink":
            path.symlink_to("elsewhere")
        case "symlink to a file":
            path.with_name("elsewhere").write_text("secret")
            path.symlink_to("elsewhere")
        case "FIFO":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "below a file":
            path.parent.rmdir()
            path.parent.write_text("")


@pytest.mark.parametrize("kind", ["nothing", "symlink", "symlink to a file", "FIFO", "folder", "below a file"])
def test_what_took_a_files_name_counts_as_the_files_disappearance(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "parent" / "name"
    path.parent.mkdir()
    not_a_file(path, kind)
    with pytest.raises(FileNotFoundError):
        open_nofollow(path)
    with pytest.raises(FileNotFoundError):
        clone_file(path, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_clone_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("new")
    (tmp_path / "target").write_text("old")
    with pytest.raises(FileExistsError):
        clone_file(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    (tmp_path / "source").write_text("text")

    def full(*_arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", full)
    monkeypatch.setattr(fcntl, "ioctl", lambda *_arguments: (_ for _ in ()).throw(OSError(errno.EOPNOTSUPP, "")))
    with pytest.raises(LocalStorageError, match=r"There is no room for a clone of .*source"):
        clone_file(tmp_path / "source", tmp_path / "target")


def test_an_error_of_the_clone_that_is_no_missing_ability_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").write_text("text")
    monkeypatch.setattr(fcntl, "ioctl", lambda *_arguments: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        clone_file(tmp_path / "source", tmp_path / "target")


def test_a_disk_that_cannot_say_where_a_file_has_bytes_gives_no_clone_of_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").write_text("text")

    def seek(*_arguments: int) -> int:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "ioctl", lambda *_arguments: (_ for _ in ()).throw(OSError(errno.EOPNOTSUPP, "")))
    monkeypatch.setattr(os, "lseek", seek)
    with pytest.raises(OSError, match="broken"):
        clone_file(tmp_path / "source", tmp_path / "target")


def test_a_file_that_shrinks_while_it_is_copied_ends_where_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 5 * MIB)
    monkeypatch.setattr(fcntl, "ioctl", lambda *_arguments: (_ for _ in ()).throw(OSError(errno.EOPNOTSUPP, "")))
    send = os.sendfile

    def shrinking(writing: int, reading: int, offset: None, count: int) -> int:
        os.truncate(source, MIB + 5)
        return send(writing, reading, offset, count)

    monkeypatch.setattr(os, "sendfile", shrinking)
    clone_file(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"x" * (MIB + 5)


def test_a_file_that_grows_while_it_is_copied_is_taken_at_its_size_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3 * MIB)
    monkeypatch.setattr(fcntl, "ioctl", lambda *_arguments: (_ for _ in ()).throw(OSError(errno.EOPNOTSUPP, "")))
    send = os.sendfile

    def growing(writing: int, reading: int, offset: None, count: int) -> int:
        with source.open("ab") as out:
            out.write(b"y" * MIB)
        return send(writing, reading, offset, count)

    monkeypatch.setattr(os, "sendfile", growing)
    status = clone_file(source, tmp_path / "target")
    assert status.st_size == 3 * MIB
    assert (tmp_path / "target").read_bytes() == b"x" * 3 * MIB
