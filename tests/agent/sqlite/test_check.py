"""What is damage, what is only not known here, and what becomes of each."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_agent.capture.capture import Capture
from openclaw_agent.errors import LocalStorageError
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.sqlite import files as databases
from openclaw_agent.sqlite.check import Outcome, Verdict, check
from openclaw_agent.sqlite.files import HEADER, clone_database
from tests.agent.capture.test_capture import Captures, by_path, state, wal_database
from tests.support.breaking import raising
from tests.support.entries import manifest

__all__ = ["state"]


def collated(path: Path) -> sqlite3.Connection:
    """A WAL database whose only table and index are sorted by a collation of the application."""
    writer = sqlite3.connect(path, isolation_level=None)
    writer.create_collation("LOCALIZED", lambda left, right: (left < right) - (left > right))
    writer.execute("PRAGMA journal_mode=wal")
    writer.execute("PRAGMA wal_autocheckpoint=0")
    writer.execute("CREATE TABLE t(a TEXT COLLATE LOCALIZED PRIMARY KEY) WITHOUT ROWID")
    writer.executemany("INSERT INTO t VALUES (?)", [(f"{number:04}",) for number in range(500)])
    return writer


def of_a_newer_syntax(path: Path) -> sqlite3.Connection:
    """A WAL database with a view in a syntax that SQLite 3.40 does not know (an ordered aggregate is of 3.44)."""
    writer = wal_database(path, 500)
    writer.execute("PRAGMA wal_autocheckpoint=0")
    writer.execute("CREATE VIEW v AS SELECT group_concat(a) FROM t")
    rewrite_schema(writer, "v", "CREATE VIEW v AS SELECT group_concat(a ORDER NEWLY BY a) FROM t")
    return writer


def with_a_newer_table(path: Path) -> sqlite3.Connection:
    """A WAL database with a table that only a newer SQLite can read."""
    writer = of_a_newer_syntax(path)
    rewrite_schema(writer, "t", "CREATE TABLE t(a NEWLY (")
    return writer


def rewrite_schema(writer: sqlite3.Connection, name: str, statement: str | bytes) -> None:
    writer.execute("PRAGMA writable_schema=ON")
    writer.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (statement, name))
    writer.execute("PRAGMA writable_schema=OFF")


NOT_KNOWN_HERE = {
    "a collation": (collated, Outcome.INTACT),
    "a view in a newer syntax": (of_a_newer_syntax, Outcome.UNKNOWN),
    "a table in a newer syntax": (with_a_newer_table, Outcome.UNKNOWN),
}


@pytest.mark.parametrize(("make", "outcome"), NOT_KNOWN_HERE.values(), ids=NOT_KNOWN_HERE)
def test_what_is_not_known_here_is_folded_and_is_no_damage(
    tmp_path: Path, make: Callable[[Path], sqlite3.Connection], outcome: Outcome
) -> None:
    with contextlib.closing(make(tmp_path / "db")):
        log = (tmp_path / "db-wal").stat().st_size
        assert log > 0
        clone_database(tmp_path / "db", tmp_path / "clone")
    verdict = check(tmp_path / "clone")
    assert (verdict.outcome, verdict.folded) == (outcome, True)
    assert not (tmp_path / "clone-wal").exists()
    assert (tmp_path / "clone").read_bytes() == (tmp_path / "db").read_bytes()


@pytest.mark.parametrize(("make", "outcome"), NOT_KNOWN_HERE.values(), ids=NOT_KNOWN_HERE)
def test_damaged_pages_are_damage_in_what_is_not_known_here_too(
    tmp_path: Path, make: Callable[[Path], sqlite3.Connection], outcome: Outcome
) -> None:
    make(tmp_path / "db").close()
    with contextlib.closing(sqlite3.connect(tmp_path / "db")) as writer:
        writer.execute("PRAGMA writable_schema=ON")
        root = writer.execute("SELECT rootpage FROM sqlite_master WHERE name = 't'").fetchone()[0]
    with (tmp_path / "db").open("r+b") as pages:
        pages.seek((root - 1) * 4096)
        pages.write(b"\xff" * 4096)
    # Of a table that cannot be parsed no page is looked at.
    expected = Outcome.UNKNOWN if make is with_a_newer_table else Outcome.DAMAGED
    assert check(tmp_path / "db").outcome is expected


@pytest.mark.parametrize(
    "statement",
    [b"CREATE \xff\xfeBLE t(", "CR\x01\x02\x03 TABLE t(a", "NONSENSE"],
    ids=["no UTF-8", "control characters", "no CREATE"],
)
def test_a_schema_that_is_no_statement_is_damage(tmp_path: Path, statement: str | bytes) -> None:
    with contextlib.closing(wal_database(tmp_path / "db")) as writer:
        rewrite_schema(writer, "t", statement)
    assert check(tmp_path / "db").outcome is Outcome.DAMAGED


def test_a_schema_that_is_no_text_is_damage_behind_one_in_a_newer_syntax_too(tmp_path: Path) -> None:
    with contextlib.closing(of_a_newer_syntax(tmp_path / "db")) as writer:
        writer.execute("CREATE TABLE later(a)")
        rewrite_schema(writer, "later", b"CREATE TABLE later(\xff\xfe)")
    assert check(tmp_path / "db").outcome is Outcome.DAMAGED


def test_a_schema_that_leads_to_a_page_that_is_not_there_is_damage(tmp_path: Path) -> None:
    with contextlib.closing(wal_database(tmp_path / "db")) as writer:
        writer.execute("PRAGMA writable_schema=ON")
        writer.execute("UPDATE sqlite_master SET rootpage = 99")
    assert "invalid rootpage" in check(tmp_path / "db").reason
    assert check(tmp_path / "db").outcome is Outcome.DAMAGED


def fails_with(code: int) -> Callable[..., sqlite3.Connection]:
    def connect(*_arguments: object, **_options: object) -> sqlite3.Connection:
        problem = sqlite3.OperationalError("what SQLite says")
        problem.sqlite_errorcode = code
        raise problem

    return connect


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY_DIRECTORY,
    ],
)
def test_a_disk_that_is_full_or_fails_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(sqlite3, "connect", fails_with(code))
    with pytest.raises(LocalStorageError, match=r"cannot be checked in .* \(what SQLite says\)"):
        check(tmp_path / "db")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (sqlite3.SQLITE_CORRUPT, Outcome.DAMAGED),
        (sqlite3.SQLITE_IOERR_SHORT_READ, Outcome.DAMAGED),
        (sqlite3.SQLITE_NOTADB, Outcome.NO_DATABASE),
        (sqlite3.SQLITE_ERROR, Outcome.UNKNOWN),
        (sqlite3.SQLITE_BUSY, Outcome.UNKNOWN),
    ],
)
def test_what_sqlites_codes_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, outcome: Outcome) -> None:
    monkeypatch.setattr(sqlite3, "connect", fails_with(code))
    assert check(tmp_path / "db") == Verdict(outcome, "what SQLite says", folded=False)


def test_too_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "connect", raising(MemoryError()))
    with pytest.raises(LocalStorageError, match="not enough memory"):
        check(tmp_path / "db")


def damage(path: Path) -> None:
    with path.open("r+b") as pages:
        pages.seek(4096)
        pages.write(os.urandom(4096))


def base_of(captured: Capture) -> Manifest:
    return manifest(captured.entries)


def test_an_encrypted_file_with_sqlites_header_is_a_file_like_any_other(state: Captures) -> None:
    place = state.root / "secret.enc"
    place.write_bytes(HEADER + b"version ONE" + os.urandom(4000))
    first = state.take()
    assert (first.damaged, first.unverified, by_path(first)["secret.enc"].database) == ([], [], False)
    assert state.take(base_of(first)).clones == {}
    place.write_bytes(HEADER + b"version TWO" + os.urandom(4000))
    second = state.take(base_of(first))
    assert second.damaged == []
    assert second.clones["secret.enc"].read_bytes() == place.read_bytes()


def test_a_database_that_was_good_and_is_none_any_more_is_damaged(state: Captures) -> None:
    wal_database(state.root / "db").close()
    base = state.base()
    (state.root / "db").write_bytes(HEADER + os.urandom(8000))
    captured = state.take(base)
    assert [row.path for row in captured.damaged] == ["db"]
    assert by_path(captured)["db"].sha256 == base.by_path()["db"].sha256


def test_a_text_that_became_a_damaged_database_is_not_brought_back(state: Captures) -> None:
    (state.root / "db").write_text("a text of that name")
    base = state.base()
    wal_database(state.root / "db.new", 500).close()
    (state.root / "db.new").rename(state.root / "db")
    damage(state.root / "db")
    captured = state.take(base)
    assert [row.path for row in captured.damaged] == ["db"]
    assert captured.clones["db"].read_bytes() == (state.root / "db").read_bytes()
    assert by_path(captured)["db"].unverified


def test_a_damaged_database_that_was_never_good_is_stored_with_its_log_whenever_it_changes(state: Captures) -> None:
    with contextlib.closing(wal_database(state.root / "db", 2000)) as writer:
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        damage(state.root / "db")
        writer.execute("CREATE TABLE other(a)")
        first = state.take()
        logs = (state.root / "db-wal").read_bytes()
        assert logs
        assert by_path(first)["db"].unverified
        assert by_path(first)["db"].fingerprint is None
        assert first.clones["db-wal"].read_bytes() == logs
        assert "db-wal" not in [row.path for row in first.skipped]
        again = state.take(base_of(first))
        assert [entry.sha256 for entry in again.entries] == [entry.sha256 for entry in first.entries]
        assert [row.sha256 for row in again.damaged] == [row.sha256 for row in first.damaged]
        writer.execute("CREATE TABLE more(a)")
        second = state.take(base_of(first))
    assert by_path(second)["db"].sha256 == by_path(first)["db"].sha256
    assert second.clones["db-wal"].stat().st_size > len(logs)
    assert second.damaged[0].sha256 != first.damaged[0].sha256


def test_what_cannot_be_judged_is_the_state_and_is_told(state: Captures) -> None:
    with contextlib.closing(of_a_newer_syntax(state.root / "db")) as writer:
        first = state.take()
        assert [row.path for row in first.unverified] == ["db"]
        assert "not understood here" in first.unverified[0].reason
        assert (first.damaged, by_path(first)["db"].unverified) == ([], True)
        assert by_path(first).keys() == {"", "db"}
        assert state.take(base_of(first)).clones == {}
        writer.execute("PRAGMA writable_schema=ON")
        writer.execute("INSERT INTO t VALUES ('later')")
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        second = state.take(base_of(first))
        assert second.clones["db"].read_bytes() == (state.root / "db").read_bytes()


def test_a_log_that_cannot_be_folded_here_is_stored_beside_its_database(state: Captures) -> None:
    with contextlib.closing(wal_database(state.root / "db")) as writer:
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with (state.root / "db").open("r+b") as pages:
            pages.seek(44)
            pages.write(b"\x00\x00\x00\x09")  # a schema format that no SQLite of today knows
        writer.execute("PRAGMA wal_autocheckpoint=0")
        with contextlib.suppress(sqlite3.Error):
            writer.execute("INSERT INTO t VALUES ('later')")
        found = {suffix: (state.root / f"db{suffix}").read_bytes() for suffix in ("", "-wal")}
        captured = state.take()
    assert captured.damaged == []
    assert [row.reason for row in captured.unverified] == ["unsupported file format"]
    assert {suffix: captured.clones[f"db{suffix}"].read_bytes() for suffix in found} == found
    assert by_path(captured)["db"].unverified


def test_a_database_that_nobody_could_judge_is_not_the_last_good_one(state: Captures) -> None:
    of_a_newer_syntax(state.root / "db").close()
    base = base_of(state.take())
    with contextlib.closing(sqlite3.connect(state.root / "db")) as writer:
        writer.execute("PRAGMA writable_schema=ON")
        root = writer.execute("SELECT rootpage FROM sqlite_master WHERE name = 't'").fetchone()[0]
    with (state.root / "db").open("r+b") as pages:
        pages.seek((root - 1) * 4096)
        pages.write(b"\xff" * 4096)
    captured = state.take(base)
    assert [row.path for row in captured.damaged] == ["db"]
    assert captured.clones["db"].read_bytes() == (state.root / "db").read_bytes()


def test_a_whole_database_leaves_one_clone_behind(state: Captures) -> None:
    wal_database(state.root / "db").close()
    state.take()
    assert len(list((state.clones / "1").iterdir())) == 1


def test_folding_for_a_restore_tells_only_of_what_is_wrong(tmp_path: Path) -> None:
    of_a_newer_syntax(tmp_path / "newer").close()
    assert databases.fold(tmp_path / "newer") is None
    wal_database(tmp_path / "whole").close()
    assert databases.fold(tmp_path / "whole") is None
    (tmp_path / "none").write_bytes(HEADER + b"\xff" * 5000)
    assert databases.fold(tmp_path / "none") == "file is not a database"
