import contextlib
import errno
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from openclaw_agent.capture import capture as capture_module
from openclaw_agent.capture.capture import RACY_NANOSECONDS, Capture, capture_state
from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.clone import clone_file
from openclaw_agent.fs.confined import ConfinedPath
from openclaw_agent.host import freezer
from openclaw_agent.host.freezer import Freezer, Gateway, GatewayUnknown, NothingToFreeze
from openclaw_agent.snapshot.manifest import CaptureMethod, Entry, Manifest
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.limits import UNLIMITED, StateLimits
from tests.support.breaking import at_second_opening_of, at_sqlite_opening
from tests.support.entries import manifest
from tests.support.gateways import GatewayOfFiles, Stopped


@dataclass(slots=True)
class Captures:
    """One state folder, captured again and again."""

    root: Path
    clones: Path
    number: int = 0

    def take(
        self,
        base: Manifest | None = None,
        by: Freezer | None = None,
        *,
        full: bool = False,
        budget: float = 60,
        excludes: Sequence[str] = (),
        limits: StateLimits = UNLIMITED,
    ) -> Capture:
        self.number += 1
        folder = self.clones / str(self.number)
        folder.mkdir()
        return capture_state(
            self.root,
            base,
            Exclusions(excludes),
            by or Stopped(),
            folder,
            freeze_budget=budget,
            limits=limits,
            reread_all=full,
        )

    def base(self) -> Manifest:
        """A manifest whose fingerprints are trusted: everything is old enough."""
        return manifest(self.take().entries)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Captures:
    root, clones = tmp_path / "state", tmp_path / "clones"
    root.mkdir()
    clones.mkdir()
    # Files of a test are always young; only the tests of young files want that to be seen.
    monkeypatch.setattr(capture_module, "RACY_NANOSECONDS", -3600 * 1_000_000_000)
    return Captures(root, clones)


def by_path(capture: Capture) -> dict[str, Entry]:
    return {entry.path: entry for entry in capture.entries}


def wal_database(path: Path, rows: int = 10) -> sqlite3.Connection:
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode=wal")
    writer.execute("CREATE TABLE IF NOT EXISTS t(a)")
    writer.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(rows)])
    return writer


def rows_of(clone: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{clone}?mode=ro&immutable=1", uri=True)) as reader:
        return int(reader.execute("SELECT count(*) FROM t").fetchone()[0])


def test_the_first_capture_reads_everything_and_the_second_nothing(state: Captures) -> None:
    (state.root / "a").write_text("hello")
    (state.root / "d").mkdir()
    (state.root / "d/b").write_text("")
    first = state.take()
    assert set(first.clones) == {"a", "d/b"}
    assert by_path(first)["a"].sha256 == hashlib.sha256(b"hello").digest()
    second = state.take(manifest(first.entries))
    assert (second.clones, second.bytes_read) == ({}, 0)
    assert second.entries == first.entries
    assert state.take(manifest(first.entries), full=True).bytes_read == 5


def test_an_edit_that_keeps_size_and_mtime_is_seen(state: Captures) -> None:
    edited = state.root / "a"
    edited.write_text("hello")
    base = state.base()
    before = edited.stat()
    edited.write_text("HELLO")
    os.utime(edited, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert edited.stat().st_mtime_ns == before.st_mtime_ns
    assert set(state.take(base).clones) == {"a"}


def test_a_file_replaced_by_one_with_the_same_size_and_times_is_seen(state: Captures) -> None:
    (state.root / "a").write_text("hello")
    base = state.base()
    before = (state.root / "a").stat()
    (state.root / "b").write_text("HELLO")
    os.utime(state.root / "b", ns=(before.st_atime_ns, before.st_mtime_ns))
    (state.root / "b").rename(state.root / "a")
    assert set(state.take(base).clones) == {"a"}


def test_a_file_that_changed_within_the_clocks_grain_is_read_again(
    state: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_module, "RACY_NANOSECONDS", RACY_NANOSECONDS)
    (state.root / "a").write_text("hello")
    young = state.take()
    assert by_path(young)["a"].fingerprint is None
    assert set(state.take(manifest(young.entries)).clones) == {"a"}
    time.sleep(RACY_NANOSECONDS / 1e9 + 0.1)
    old = state.take(manifest(young.entries))
    assert by_path(old)["a"].fingerprint is not None
    assert state.take(manifest(old.entries)).clones == {}


def test_new_metadata_alone_needs_one_reading_and_is_in_the_entry(state: Captures) -> None:
    (state.root / "a").write_text("hello")
    base = state.base()
    (state.root / "a").chmod(0o755)
    assert by_path(state.take(base))["a"].mode == 0o755


def test_a_database_and_its_log_are_one_thing(state: Captures) -> None:
    with contextlib.closing(wal_database(state.root / "db")) as writer:
        first = state.take()
        assert set(first.clones) == {"db"}
        assert rows_of(first.clones["db"]) == 10
        assert by_path(first)["db"].database
        assert {row.path for row in first.skipped} == {"db-wal", "db-shm"}
        base = manifest(first.entries)
        assert state.take(base).clones == {}
        before = (state.root / "db").stat()
        writer.execute("INSERT INTO t VALUES (1)")
        after = (state.root / "db").stat()
        assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        changed = state.take(base)
        assert rows_of(changed.clones["db"]) == 11


def test_a_log_beside_what_is_no_database_is_a_file_of_its_own(state: Captures) -> None:
    for name in ("notes", "notes-wal", "alone-wal", "folder-wal"):
        (state.root / name).write_text("text")
    (state.root / "folder").mkdir()
    assert set(state.take().clones) == {"notes", "notes-wal", "alone-wal", "folder-wal"}


def test_a_database_that_lost_its_log_is_read_again(state: Captures) -> None:
    writer = wal_database(state.root / "db")
    base = state.base()
    writer.close()
    assert not (state.root / "db-wal").exists()
    assert set(state.take(base).clones) == {"db"}


@pytest.mark.parametrize("rows", [0, 10])
def test_a_damaged_database_keeps_the_last_good_copy_and_its_bytes(state: Captures, rows: int) -> None:
    wal_database(state.root / "db", rows).close()
    base = state.base()
    with (state.root / "db").open("r+b") as out:
        out.seek(100)
        out.write(b"\xff" * 8000)
    damaged = (state.root / "db").read_bytes()
    captured = state.take(base)
    assert [row.path for row in captured.damaged] == ["db"]
    assert captured.damaged[0].clone.read_bytes() == damaged
    assert by_path(captured)["db"].sha256 == base.by_path()["db"].sha256
    assert by_path(captured)["db"].fingerprint is None
    assert "db" not in captured.clones


@pytest.mark.subprocess
def test_what_the_walk_says_of_the_gateway(state: Captures, tmp_path: Path) -> None:
    (state.root / "a").write_text("hello")
    stopped = state.take(by=Stopped())
    assert (stopped.method, stopped.live_reason) == (CaptureMethod.STOPPED, "")
    live = state.take(by=NothingToFreeze())
    assert (live.method, live.live_reason) == (CaptureMethod.LIVE, "no gateway is configured to be frozen")
    gateway = GatewayOfFiles(tmp_path)
    still = state.take(by=gateway)
    assert (still.method, still.live_reason) == (CaptureMethod.FROZEN, "")
    assert still.freeze_ms > 0
    assert (tmp_path / "calls").read_text().split() == ["freeze", "thaw"]
    assert stopped.entries == still.entries


@pytest.mark.subprocess
def test_what_does_not_fit_into_the_freeze_is_captured_live_and_said(
    state: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wal_database(state.root / "db").close()
    for name in ("a", "b"):
        (state.root / name).write_text("x" * 100)
    gateway = GatewayOfFiles(tmp_path)
    still: list[bool] = []
    clone = clone_file

    def noting(source: ConfinedPath, target: Path) -> os.stat_result:
        still.append(gateway.stands_still())
        return clone(source, target)

    monkeypatch.setattr(capture_module, "clone_file", noting)
    captured = state.take(by=gateway, budget=0)
    assert captured.method is CaptureMethod.MIXED
    assert captured.live_reason == "3 files did not fit into the freeze of 0 s"
    assert still == [False, False]
    assert all(entry.captured_live for entry in captured.entries if entry.path)
    assert rows_of(captured.clones["db"]) == 10


@pytest.mark.subprocess
def test_a_clone_that_overran_the_freeze_is_made_again(
    state: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state.root / "a").write_text("hello")
    gateway = GatewayOfFiles(tmp_path)
    clone = clone_file

    def slow(source: ConfinedPath, target: Path) -> os.stat_result:
        if gateway.stands_still():
            time.sleep(0.3)
        return clone(source, target)

    monkeypatch.setattr(capture_module, "clone_file", slow)
    captured = state.take(by=gateway, budget=0.2)
    assert captured.method is CaptureMethod.MIXED
    assert by_path(captured)["a"].captured_live


@pytest.mark.subprocess
def test_a_gateway_that_cannot_be_frozen_is_captured_live(state: Captures, tmp_path: Path) -> None:
    (state.root / "a").write_text("hello")
    captured = state.take(by=GatewayOfFiles(tmp_path, freeze_ends="echo 'no such cgroup' >&2; exit 1"))
    assert (captured.method, captured.live_reason) == (CaptureMethod.LIVE, "sh -c failed: no such cgroup")
    assert set(captured.clones) == {"a"}


@dataclass(slots=True)
class Starting:
    """A gateway that is started, and writes, while what stood still is cloned."""

    started: GatewayOfFiles
    root: Path
    asked: int = 0

    def running_gateway(self) -> Gateway | None:
        self.asked += 1
        if self.asked == 2:
            (self.root / "b").write_text("written at the start")
        return self.started.gateway if self.asked > 1 else None


@pytest.mark.subprocess
def test_a_gateway_that_was_started_meanwhile_is_captured_again(state: Captures, tmp_path: Path) -> None:
    (state.root / "a").write_text("hello")
    captured = state.take(by=Starting(GatewayOfFiles(tmp_path), state.root))
    assert captured.method is CaptureMethod.FROZEN
    assert set(captured.clones) == {"a", "b"}
    assert len(list((state.clones / "1").iterdir())) == 2


@dataclass(slots=True)
class Silent:
    """A gateway of which nobody can say whether it runs, after so many questions."""

    answers: int

    def running_gateway(self) -> None:
        self.answers -= 1
        if self.answers < 0:
            raise GatewayUnknown("it cannot be told whether the gateway runs (docker ps failed)")


@pytest.mark.parametrize("answers", [0, 1])
def test_a_gateway_that_cannot_be_asked_for_is_captured_live_and_that_is_said(state: Captures, answers: int) -> None:
    (state.root / "a").write_text("hello")
    captured = state.take(by=Silent(answers))
    assert captured.method is CaptureMethod.LIVE
    assert captured.live_reason == "it cannot be told whether the gateway runs (docker ps failed)"
    assert set(captured.clones) == {"a"}


@pytest.mark.subprocess
@pytest.mark.parametrize(("freeze_ends", "method"), [("exit 0", CaptureMethod.FROZEN), ("exit 1", CaptureMethod.LIVE)])
def test_a_thaw_that_fails_is_told_beside_the_capture(
    state: Captures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freeze_ends: str, method: CaptureMethod
) -> None:
    monkeypatch.setattr(freezer, "THAW_TIMEOUT_SECONDS", 0.5)
    (state.root / "a").write_text("hello")
    gateway = GatewayOfFiles(tmp_path, freeze_ends=freeze_ends, thaw_ends="echo 'daemon: cannot thaw' >&2; exit 1")
    captured = state.take(by=gateway)
    assert captured.method is method
    assert set(captured.clones) == {"a"}
    assert "daemon: cannot thaw" in captured.thaw_problem


def vanish(place: Path) -> None:
    place.unlink()


def become_a_folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def become_a_link(place: Path) -> None:
    place.unlink()
    place.symlink_to("/etc/hostname")


def become_a_fifo(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


@pytest.mark.parametrize("happens", [vanish, become_a_folder, become_a_link, become_a_fifo])
@pytest.mark.parametrize("by", [Stopped(), NothingToFreeze()], ids=["stopped", "live"])
@pytest.mark.parametrize("name", ["a", "db"])
def test_a_file_that_vanishes_or_is_replaced_meanwhile_does_not_break_the_run(
    state: Captures, happens: Callable[[Path], None], by: Freezer, name: str
) -> None:
    (state.root / "a").write_text("hello")
    (state.root / "b").write_text("stays")
    wal_database(state.root / "db").close()
    # First it is looked at, whether it is a database.
    with at_second_opening_of(name, lambda: happens(state.root / name)):
        captured = state.take(by=by)
    assert set(captured.clones) == {"a", "b", "db"} - {name}


def test_a_file_that_is_written_while_it_is_read_is_read_again(
    state: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state.root / "a").write_text("hello")
    clone = clone_file
    reads = []

    def written_twice(source: ConfinedPath, target: Path) -> os.stat_result:
        status = clone(source, target)
        reads.append(target)
        if len(reads) <= 2:
            with source.place.open("a") as out:
                out.write("!")
        return status

    monkeypatch.setattr(capture_module, "clone_file", written_twice)
    captured = state.take(by=NothingToFreeze())
    assert captured.clones["a"].read_text() == "hello!!"
    assert len(reads) == 3


def test_a_log_that_never_holds_still_is_taken_after_three_tries(
    state: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state.root / "a").write_text("hello")
    clone = clone_file

    def always_written(source: ConfinedPath, target: Path) -> os.stat_result:
        status = clone(source, target)
        with source.place.open("a") as out:
            out.write("!")
        return status

    monkeypatch.setattr(capture_module, "clone_file", always_written)
    captured = state.take(by=NothingToFreeze())
    assert captured.clones["a"].read_text() == "hello!!"
    assert by_path(captured)["a"].size == 7


def test_holes_hard_links_and_odd_modes(state: Captures) -> None:
    sparse = state.root / "sparse"
    with sparse.open("wb") as out:
        out.truncate(50 * 1024 * 1024)
    (state.root / "one").write_text("shared")
    (state.root / "two").hardlink_to(state.root / "one")
    (state.root / "one").chmod(0o4000)
    captured = state.take()
    assert captured.clones["sparse"].stat().st_blocks < 100
    assert captured.clones["one"].read_text() == "shared"
    assert "two" not in captured.clones
    assert (by_path(captured)["two"].hard_link_to, by_path(captured)["two"].mode) == ("one", 0o4000)


def test_a_live_database_is_never_given_to_another_owner(state: Captures) -> None:
    with contextlib.closing(wal_database(state.root / "db")):
        before = {place.name: place.stat() for place in state.root.iterdir()}
        captured = state.take(by=NothingToFreeze())
        after = {place.name: place.stat() for place in state.root.iterdir()}
    assert rows_of(captured.clones["db"]) == 10
    assert set(before) == set(after)
    for name, status in before.items():
        assert (status.st_ino, status.st_uid, status.st_mode) == (
            after[name].st_ino,
            after[name].st_uid,
            after[name].st_mode,
        )


def test_a_live_database_that_sqlite_cannot_take_is_taken_as_found(state: Captures) -> None:
    with contextlib.closing(wal_database(state.root / "db")):

        def half_way() -> None:
            (state.clones / "1/0000001").write_text("half")
            raise sqlite3.OperationalError("locked")

        with at_sqlite_opening(half_way):
            captured = state.take(by=NothingToFreeze())
    assert captured.damaged == []
    assert rows_of(captured.clones["db"]) == 10


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (OSError(errno.EMFILE, "Too many open files", "a"), r"cannot be captured: Too many open files \('a'\)"),
        (OSError(errno.EFBIG, "File too large", "a"), r"cannot be captured: File too large \('a'\)"),
    ],
)
def test_a_machine_at_its_limits_is_a_sentence(
    state: Captures, monkeypatch: pytest.MonkeyPatch, problem: OSError, sentence: str
) -> None:
    (state.root / "a").write_text("hello")

    def fails(_source: Path, _target: Path) -> os.stat_result:
        raise problem

    monkeypatch.setattr(capture_module, "clone_file", fails)
    with pytest.raises(LocalStorageError, match=sentence):
        state.take()


def test_what_was_left_out_is_in_the_capture(state: Captures) -> None:
    (state.root / "cache").mkdir()
    (state.root / "logs").mkdir()
    os.mkfifo(state.root / "fifo")
    captured = state.take(excludes=("logs/",))
    assert sorted(row.path for row in captured.excluded) == ["cache", "logs"]
    assert [row.path for row in captured.skipped] == ["fifo"]
    assert captured.file_count == 0


def test_entries_are_in_the_same_order_however_they_were_taken(state: Captures) -> None:
    for name in ("a.c", "a/b", "a b", "b"):
        (state.root / name).parent.mkdir(exist_ok=True)
        (state.root / name).write_text("x")
    base = state.base()
    (state.root / "a/b").write_text("changed")
    paths = [entry.path for entry in state.take(base).entries]
    assert paths == [entry.path for entry in base.entries] == ["", "a", "a/b", "a b", "a.c", "b"]


def test_an_entry_that_was_stored_without_its_fingerprint_is_read_again(state: Captures) -> None:
    (state.root / "a").write_text("hello")
    base = state.base()
    forgotten = manifest(replace(entry, fingerprint=None) for entry in base.entries)
    assert set(state.take(forgotten).clones) == {"a"}


MIB = 1024 * 1024


def sparse(place: Path, size: int) -> None:
    with place.open("wb") as out:
        out.truncate(size)


def test_a_file_over_the_limit_is_left_out_and_one_at_it_is_not(state: Captures) -> None:
    sparse(state.root / "at", 8 * MIB)
    sparse(state.root / "over", 8 * MIB + 1)
    captured = state.take(limits=StateLimits(8 * MIB, 100, 100))
    assert set(captured.clones) == {"at"}
    assert [row.path for row in captured.unreadable] == ["over"]


def test_holes_count_together_and_cost_no_file_without_any_its_place(state: Captures) -> None:
    (state.root / "a-real").write_bytes(b"x" * 8 * MIB)
    for number in range(5):
        sparse(state.root / f"holes-{number}", 3 * MIB)
    (state.root / "z-real").write_bytes(b"x" * 8 * MIB)
    captured = state.take(limits=StateLimits(8 * MIB, 100, 100))
    assert {"a-real", "z-real"} <= set(captured.clones)
    assert len(captured.unreadable) == 3
    assert all("the holes of all files together" in row.reason for row in captured.unreadable)


def test_a_file_that_grows_beyond_the_limit_after_the_look_is_left_out_with_all_its_names(
    state: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state.root / "grows").write_bytes(b"x")
    (state.root / "other-name").hardlink_to(state.root / "grows")
    (state.root / "stays").write_bytes(b"x")

    def grown(source: ConfinedPath, target: Path) -> os.stat_result:
        if source.path == "grows":
            sparse(state.root / "grows", 9 * MIB)
        return clone_file(source, target)

    monkeypatch.setattr(capture_module, "clone_file", grown)
    captured = state.take(limits=StateLimits(8 * MIB, 100, 100))
    assert set(by_path(captured)) == {"", "stays"}
    assert sorted(row.path for row in captured.unreadable) == ["grows", "other-name"]
