import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_agent.capture.capture import Capture, capture_state
from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath
from openclaw_agent.host.freezer import NothingToFreeze
from openclaw_agent.snapshot.codec import decode_manifest, encode_manifest
from openclaw_agent.sqlite.files import (
    HEADER,
    WAL_INDEX_BYTES,
    WAL_INDEX_VERSION,
    WAL_MAGICS,
    WAL_MODE,
    is_sidecar,
)
from openclaw_agent.sqlite.super_journal import JOURNAL_MAGIC
from openclaw_agent.state_dir.exclusions import Exclusions
from tests.support.entries import manifest
from tests.support.gateways import Stopped

WAL_DATABASE = HEADER + b"\x10\x00" + WAL_MODE
PLAIN_DATABASE = HEADER + b"\x10\x00\x01\x01"


@pytest.mark.parametrize(
    ("database", "suffix", "body", "sidecar"),
    [
        (WAL_DATABASE, "-wal", WAL_MAGICS[0] + b"rest", True),
        (WAL_DATABASE, "-wal", WAL_MAGICS[1] + b"rest", True),
        (WAL_DATABASE, "-wal", b"", True),
        (WAL_DATABASE, "-wal", b"walking", False),
        (WAL_DATABASE, "-wal", PLAIN_DATABASE, False),
        (PLAIN_DATABASE, "-journal", JOURNAL_MAGIC + b"rest", True),
        (PLAIN_DATABASE, "-journal", bytes(28) + b"rest", True),
        (PLAIN_DATABASE, "-journal", b"", True),
        (PLAIN_DATABASE, "-journal", b"dear diary", False),
        (PLAIN_DATABASE, "-journal", PLAIN_DATABASE, False),
        (WAL_DATABASE, "-shm", WAL_INDEX_VERSION + b"rest", True),
        (WAL_DATABASE, "-shm", bytes(WAL_INDEX_BYTES), True),
        (WAL_DATABASE, "-shm", b"", True),
        (WAL_DATABASE, "-shm", b"shmoo", False),
        (WAL_DATABASE, "-shm", bytes(100) + b"x", False),
        (PLAIN_DATABASE, "-shm", WAL_INDEX_VERSION, False),
    ],
)
def test_a_sidecar_is_known_by_its_content(
    tmp_path: Path, database: bytes, suffix: str, body: bytes, sidecar: bool
) -> None:
    (tmp_path / "db").write_bytes(database)
    (tmp_path / f"db{suffix}").write_bytes(body)
    assert is_sidecar(tmp_path / "db", suffix) is sidecar
    with ConfinedDir(tmp_path) as top:
        assert is_sidecar(ConfinedPath(top, "db"), suffix) is sidecar


@pytest.mark.parametrize("kind", ["folder", "symlink", "missing"])
def test_what_is_no_regular_file_is_no_sidecar(tmp_path: Path, kind: str) -> None:
    (tmp_path / "db").write_bytes(WAL_DATABASE)
    if kind == "folder":
        (tmp_path / "db-wal").mkdir()
    elif kind == "symlink":
        (tmp_path / "log").write_bytes(WAL_MAGICS[0])
        (tmp_path / "db-wal").symlink_to("log")
    assert not is_sidecar(tmp_path / "db", "-wal")


@contextlib.contextmanager
def open_database(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=wal")
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("CREATE TABLE t(a)")
        writer.execute("INSERT INTO t VALUES ('committed')")
        yield writer


@pytest.fixture(params=[Stopped(), NothingToFreeze()], ids=["stopped", "live"])
def gateway(request: pytest.FixtureRequest) -> Stopped | NothingToFreeze:
    freezer: Stopped | NothingToFreeze = request.param
    return freezer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def take(root: Path, gateway: Stopped | NothingToFreeze, *excludes: str) -> Capture:
    clones = root.parent / "clones"
    clones.mkdir()
    return capture_state(root, None, Exclusions(excludes), gateway, clones, freeze_budget=60)


def paths(capture: Capture) -> set[str]:
    return {entry.path for entry in capture.entries if entry.path}


def row_of(clone: Path) -> str:
    with contextlib.closing(sqlite3.connect(f"file:{clone}?immutable=1", uri=True)) as reader:
        return str(reader.execute("SELECT a FROM t").fetchone()[0])


def test_a_folder_with_a_sidecars_name_is_state_and_the_manifest_can_be_read_again(
    root: Path, gateway: Stopped | NothingToFreeze
) -> None:
    with open_database(root / "travel"):
        (root / "travel-journal").mkdir()
        (root / "travel-journal/day1.md").write_text("my diary")
        captured = take(root, gateway)
    assert paths(captured) == {"travel", "travel-journal", "travel-journal/day1.md"}
    assert {row.path for row in captured.skipped} == {"travel-wal", "travel-shm"}
    again = decode_manifest(b"".join(encode_manifest(manifest(captured.entries))).splitlines(keepends=True))
    assert list(again.entries) == captured.entries


def test_files_links_and_databases_with_a_sidecars_name_are_state(
    root: Path, gateway: Stopped | NothingToFreeze
) -> None:
    with open_database(root / "a"):
        (root / "a-journal").write_text("the only copy of my diary")
    with open_database(root / "b"), open_database(root / "b-journal"):
        (root / "c-wal").symlink_to("b")
        captured = take(root, gateway)
    assert paths(captured) == {"a", "a-journal", "b", "b-journal", "c-wal"}
    assert captured.clones["a-journal"].read_text() == "the only copy of my diary"
    assert row_of(captured.clones["a"]) == row_of(captured.clones["b-journal"]) == "committed"


def test_a_rule_never_parts_a_database_from_its_log(root: Path, gateway: Stopped | NothingToFreeze) -> None:
    with open_database(root / "a"):
        (root / "b-wal").write_text("excluded all the same")
        captured = take(root, gateway, "**/*-wal", "**/*-shm")
    assert paths(captured) == {"a"}
    assert row_of(captured.clones["a"]) == "committed"
    assert [row.path for row in captured.excluded] == ["b-wal"]
    assert {row.path for row in captured.skipped} == {"a-wal", "a-shm"}


def test_a_change_in_an_excluded_log_is_a_change(root: Path) -> None:
    with open_database(root / "a") as writer:
        base = manifest(replace(entry) for entry in take(root, Stopped()).entries)
        writer.execute("INSERT INTO t VALUES ('later')")
        clones = root.parent / "more"
        clones.mkdir()
        again = capture_state(root, base, Exclusions(["**/*-wal"]), Stopped(), clones, freeze_budget=60)
    assert set(again.clones) == {"a"}


def test_the_log_of_an_excluded_database_stays_here_too(root: Path, gateway: Stopped | NothingToFreeze) -> None:
    (root / "notes").write_text("text")
    (root / "notes-wal").write_text("text")
    with open_database(root / "private.sqlite"):
        captured = take(root, gateway, "private.sqlite", "notes")
    assert paths(captured) == {"notes-wal"}
    assert {(row.path, row.reason) for row in captured.excluded} == {
        (f"private.sqlite{suffix}", "excluded by the configuration") for suffix in ("", "-wal", "-shm")
    } | {("notes", "excluded by the configuration")}
