"""Databases that are made to take for ever, to take all memory, or to fill the disk: not judged, and nothing else."""

import contextlib
import os
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.sandbox import limits
from openclaw_agent.sandbox.child import Owner
from openclaw_agent.sandbox.limits import Limits
from openclaw_agent.sqlite.check import Outcome
from openclaw_agent.sqlite.files import clone_database, fold_and_check
from tests.agent.capture.test_capture import Captures, by_path, state, wal_database
from tests.support.breaking import raising
from tests.support.hostile_databases import indexed_by, wal_that_grows

__all__ = ["state"]

SHORT = Limits(seconds=0.5, file_bytes=16 * 1024 * 1024)
GATEWAY = Owner(1000, 1000)

HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a search that never ends": (indexed_by("instr(zeroblob(x), zeroblob(x/2)||x'01')", 4_000_000), "more than 0 s"),
    "a search in text": (indexed_by("instr(hex(zeroblob(x)), hex(zeroblob(x/2))||'1')", 2_000_000), "more than 0 s"),
    "text of a gigabyte": (indexed_by("length(hex(zeroblob(x)))", 450_000_000), "memory|string or blob too big"),
}


@pytest.mark.parametrize(("make", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_check_that_would_take_for_ever_or_all_there_is_is_given_up(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(tmp_path / "evil")
    clone_database(tmp_path / "evil", tmp_path / "clone")
    began = time.monotonic()
    verdict = fold_and_check(tmp_path / "clone", GATEWAY, SHORT)
    assert time.monotonic() - began < 20
    assert (verdict.outcome, verdict.folded) == (Outcome.NOT_JUDGED, False)
    assert re.search(reason, verdict.reason)


@pytest.mark.parametrize("page", [2**14, 2**20, 2**31])
def test_a_log_that_would_make_a_file_huge_makes_none(tmp_path: Path, page: int) -> None:
    wal_that_grows(page)(tmp_path / "evil")
    clone_database(tmp_path / "evil", tmp_path / "clone")
    assert fold_and_check(tmp_path / "clone", GATEWAY, SHORT).outcome in (Outcome.DAMAGED, Outcome.NOT_JUDGED)
    assert (tmp_path / "clone").stat().st_size <= SHORT.file_bytes


@pytest.mark.parametrize("owner", [Owner(0, 0), GATEWAY], ids=["root's", "the gateway's"])
@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_an_honest_database_is_judged_in_a_folder_that_its_owner_may_not_enter(
    tmp_path: Path, mode: str, owner: Owner
) -> None:
    tmp_path.chmod(0o700)
    with contextlib.closing(sqlite3.connect(tmp_path / "db", isolation_level=None)) as writer:
        writer.execute(f"PRAGMA journal_mode={mode}")
        writer.execute("CREATE TABLE t(a)")
        writer.execute("INSERT INTO t VALUES (1)")
        clone_database(tmp_path / "db", tmp_path / "clone")
    assert fold_and_check(tmp_path / "clone", owner).outcome is Outcome.INTACT
    assert sorted(place.name for place in tmp_path.iterdir() if "clone" in place.name) == ["clone"]


def test_a_disk_that_is_full_is_no_word_about_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    indexed_by("length(x)", 1)(tmp_path / "clone")
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    monkeypatch.setattr(sqlite3, "connect", raising(full))
    assert fold_and_check(tmp_path / "clone").outcome is Outcome.NOT_JUDGED
    monkeypatch.setattr(os, "statvfs", raising(OSError()))
    with pytest.raises(LocalStorageError, match="disk is full"):
        fold_and_check(tmp_path / "clone")


def test_a_database_that_is_not_judged_is_stored_as_it_was_found_and_costs_no_other_its_check(
    state: Captures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS_FOR_ANY", 1.0)
    indexed_by("instr(zeroblob(x), zeroblob(x/2)||x'01')", 4_000_000)(state.root / "a-evil")
    (state.root / "notes.md").write_text("the work of this hour")
    for number in range(3):
        wal_database(state.root / f"honest-{number}").close()
    first = state.take()
    found = (state.root / "a-evil").read_bytes()
    entries = by_path(first)
    assert first.clones["a-evil"].read_bytes() == found
    assert (entries["a-evil"].database, entries["a-evil"].unverified, entries["a-evil"].damaged) == (True, True, False)
    assert [row.path for row in first.not_judged] == ["a-evil"]
    assert not any(entries[f"honest-{number}"].unverified for number in range(3))
    assert "notes.md" in entries
