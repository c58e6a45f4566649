"""A commit over several databases is in a capture of one instant as a whole, or not at all."""

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from openclaw_agent.capture.capture import Capture
from openclaw_agent.host.freezer import Freezer, NothingToFreeze
from openclaw_agent.sqlite.super_journal import named_in
from tests.agent.capture.test_capture import Captures, state
from tests.support.gateways import Stopped

__all__ = ["state"]

LARGEST_FILE = 100_000
LAYOUTS = [("a.db", "b.db"), ("x/main.sqlite", "y/z/other.sqlite"), ("ä ö.db", "-rf\n.db"), ("b.db", "b.db-2")]


def connected(folder: Path, names: tuple[str, str]) -> sqlite3.Connection:
    writer = sqlite3.connect(folder / names[0], isolation_level=None)
    writer.execute("ATTACH ? AS second", (str(folder / names[1]),))
    # Nothing is written before the commit.
    for schema in ("main", "second"):
        writer.execute(f"PRAGMA {schema}.cache_size=-4000")
    writer.execute("PRAGMA cache_spill=OFF")
    return writer


def make(folder: Path, names: tuple[str, str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(connected(folder, names)) as writer:
        for schema in ("main", "second"):
            writer.execute(f"CREATE TABLE {schema}.t(n, body)")
            writer.execute(f"INSERT INTO {schema}.t VALUES (0, NULL)")


def commit(folder: Path, names: tuple[str, str]) -> None:
    with contextlib.closing(connected(folder, names)) as writer:
        writer.execute("BEGIN")
        writer.execute("UPDATE main.t SET n = 1")
        writer.execute("UPDATE second.t SET n = 1, body = randomblob(2 * ?)", (LARGEST_FILE,))
        writer.execute("COMMIT")


def end_in_the_midst_of_a_commit(folder: Path, names: tuple[str, str]) -> None:
    """The first database is written and the second one in part when the kernel ends the writer."""
    writer = os.fork()
    if writer == 0:
        with contextlib.suppress(BaseException):
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
            commit(folder, names)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) == -signal.SIGXFSZ
    assert len(list(folder.rglob("*-mj*"))) == 1


def rows(captured: Capture, *names: str) -> list[int]:
    found = []
    for name in names:
        with contextlib.closing(sqlite3.connect(captured.clones[name])) as reader:
            found.append(reader.execute("SELECT n FROM t").fetchone()[0])
    return found


@pytest.mark.parametrize("by", [Stopped(), NothingToFreeze()], ids=["one instant", "live"])
@pytest.mark.parametrize("seen_elsewhere", [False, True], ids=["same path", "path of a container"])
@pytest.mark.parametrize("names", LAYOUTS)
def test_a_commit_over_two_databases_that_had_not_happened_is_in_neither(
    state: Captures, names: tuple[str, str], seen_elsewhere: bool, by: Freezer
) -> None:
    folder = state.root.parent / "home/node/.openclaw" if seen_elsewhere else state.root
    folder.mkdir(parents=True, exist_ok=True)
    make(folder, names)
    end_in_the_midst_of_a_commit(folder, names)
    if seen_elsewhere:
        state.root.rmdir()
        folder.rename(state.root)
    captured = state.take(by=by)
    assert rows(captured, *names) == [0, 0]
    assert (captured.damaged, captured.unverified) == ([], [])
    # Nor are the journals in it, which would undo another commit one day.
    assert {entry.path for entry in captured.entries if entry.sha256} == set(names)


@pytest.mark.parametrize("by", [Stopped(), NothingToFreeze()], ids=["one instant", "live"])
@pytest.mark.parametrize("names", LAYOUTS)
def test_a_commit_over_two_databases_that_had_happened_is_in_both_whatever_journals_are_left(
    state: Captures, names: tuple[str, str], by: Freezer
) -> None:
    make(state.root, names)
    whole = state.root.parent / "whole"
    shutil.copytree(state.root, whole)
    end_in_the_midst_of_a_commit(state.root, names)
    # The journals go one after another once the super-journal has gone.
    commit(whole, names)
    next(state.root.rglob("*-mj*")).unlink()
    for name in names:
        shutil.copyfile(whole / name, state.root / name)
    captured = state.take(by=by)
    assert rows(captured, *names) == [1, 1]
    assert (captured.damaged, captured.unverified) == ([], [])


def test_of_a_commit_whose_first_database_is_not_in_the_state_the_other_is_sound(state: Captures) -> None:
    outside = state.root.parent / "outside"
    outside.mkdir()
    make(outside, ("a.db", "b.db"))
    end_in_the_midst_of_a_commit(outside, ("a.db", "b.db"))
    for part in outside.glob("b.db*"):
        part.rename(state.root / part.name)
    captured = state.take()
    assert rows(captured, "b.db") == [0]
    assert (captured.damaged, captured.unverified) == ([], [])


@pytest.mark.parametrize(
    "damage",
    [lambda body: body[:-1], lambda body: body[:-30] + b"?" + body[-29:], lambda body: body[-10:], lambda _body: b""],
    ids=["cut off", "another name", "only an end", "empty"],
)
def test_a_journal_whose_end_is_torn_names_nothing(tmp_path: Path, damage: object) -> None:
    make(tmp_path, ("a.db", "b.db"))
    end_in_the_midst_of_a_commit(tmp_path, ("a.db", "b.db"))
    journal = tmp_path / "b.db-journal"
    assert named_in(journal) == str(next(tmp_path.glob("a.db-mj*")))
    assert callable(damage)
    journal.write_bytes(damage(journal.read_bytes()))
    assert named_in(journal) == ""


def test_a_file_that_only_has_the_name_of_a_super_journal_is_state(state: Captures) -> None:
    make(state.root, ("a.db", "b.db"))
    (state.root / "a.db-mj01234596F").write_text("mine")
    assert "a.db-mj01234596F" in state.take().clones
