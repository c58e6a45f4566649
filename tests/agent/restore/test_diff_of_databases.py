"""What a backup took of a database is no difference to it, whatever journal it has; one more row is."""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator

import pytest

from openclaw_agent.host.freezer import Freezer, NothingToFreeze
from openclaw_agent.restore.diff import Difference, differences
from openclaw_agent.state_dir.exclusions import Exclusions
from tests.agent.capture.test_capture import Captures, state
from tests.support.entries import manifest
from tests.support.gateways import Stopped

__all__ = ["state"]

JOURNALS = ("delete", "truncate", "persist", "memory", "off", "wal")
AS_CAPTURED = {"live": NothingToFreeze(), "one instant": Stopped()}
# Of the database at the backup and at the question: is it open somewhere?
OPEN = list(itertools.product([True, False], repeat=2))


@contextlib.contextmanager
def written(state: Captures, journal: str, rows: int = 300) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(state.root / "x.db", isolation_level=None)) as writer:
        writer.execute(f"PRAGMA journal_mode={journal}")
        writer.execute("CREATE TABLE IF NOT EXISTS t(a, b)")
        writer.executemany("INSERT INTO t VALUES (?, ?)", [(number, "x" * 100) for number in range(rows)])
        yield writer


@pytest.mark.parametrize("by", AS_CAPTURED.values(), ids=AS_CAPTURED)
@pytest.mark.parametrize(("open_then", "open_now"), OPEN)
@pytest.mark.parametrize("journal", JOURNALS)
def test_a_database_is_no_different_from_its_backup_until_it_is_written(
    state: Captures, journal: str, open_then: bool, open_now: bool, by: Freezer
) -> None:
    with contextlib.ExitStack() as stays_open:
        writer = stays_open.enter_context(written(state, journal))
        if not open_then:
            stays_open.close()
        taken = manifest(state.take(by=by).entries)
        if open_then and not open_now:
            stays_open.close()
        if open_now and not open_then:
            writer = stays_open.enter_context(contextlib.closing(sqlite3.connect(state.root / "x.db")))
            writer.execute("SELECT count(*) FROM t").fetchone()
        assert differences(taken, state.root, Exclusions()) == []
        with contextlib.closing(sqlite3.connect(state.root / "x.db")) as another, another:
            another.execute("UPDATE t SET b = 'y' WHERE a = 7")
        assert differences(taken, state.root, Exclusions()) == [Difference("change", "x.db", "content")]


@pytest.mark.parametrize("name", ["x.db-wal", "x.db-shm", "x.db-journal", "x.db-mj0123456F9", "notes-wal"])
def test_a_file_that_only_has_the_name_of_a_sidecar_is_told(state: Captures, name: str) -> None:
    with written(state, "delete"):
        pass
    taken = manifest(state.take().entries)
    (state.root / name).write_text("mine")
    assert differences(taken, state.root, Exclusions()) == [Difference("remove", name)]


def test_of_a_folder_that_is_gone_everything_is_added(state: Captures) -> None:
    with written(state, "delete"):
        pass
    taken = manifest(state.take().entries)
    (state.root / "x.db").unlink()
    state.root.rmdir()
    assert differences(taken, state.root, Exclusions()) == [Difference("add", ""), Difference("add", "x.db")]
