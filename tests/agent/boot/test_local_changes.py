"""New work is told by what a file is, whatever it is called; what SQLite leaves beside a database is none."""

import contextlib
import os
import sqlite3
from pathlib import Path
from unittest import mock

import pytest

from tests.support.simulated_instance import FreshBucket, SimulatedInstance

NO_SIDECARS = ["notes-wal", "list-shm", "diary-journal", "cipher.db-wal", "cipher.db-shm", "plain.txt-mj0123456F9"]


def database(place: Path, journal: str) -> sqlite3.Connection:
    writer = sqlite3.connect(place, isolation_level=None)
    writer.execute(f"PRAGMA journal_mode={journal}")
    writer.execute("CREATE TABLE t(a)")
    writer.execute("INSERT INTO t VALUES (1)")
    return writer


@pytest.fixture
def refusing(world: FreshBucket) -> SimulatedInstance:
    machine = world.booted()
    for name in NO_SIDECARS:
        machine.write(name, "of yesterday")
    machine.write("plain.txt")
    (machine.state / "cipher.db").write_bytes(os.urandom(4096))
    for journal in ("delete", "persist", "wal"):
        database(machine.state / f"{journal}.db", journal).close()
    assert machine.backup().code == 0
    return machine


def test_new_work_needs_force_whatever_its_file_is_called(refusing: SimulatedInstance) -> None:
    for name in NO_SIDECARS:
        place = refusing.state / name
        before = place.stat()
        place.write_text("a day's work")
        run = refusing.restore("run", "--snapshot", "latest")
        assert (run.code, repr(name) in run.err) == (3, True), run.err
        assert place.read_text() == "a day's work"
        place.write_text("of yesterday")
        os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert refusing.restore("run", "--snapshot", "latest").code == 0


def test_what_sqlite_leaves_beside_a_database_is_no_new_work(refusing: SimulatedInstance) -> None:
    with contextlib.ExitStack() as stays_open:
        for journal in ("delete", "persist", "wal"):
            reader = stays_open.enter_context(
                contextlib.closing(sqlite3.connect(refusing.state / f"{journal}.db", isolation_level=None))
            )
            reader.execute("SELECT count(*) FROM t").fetchone()
        assert {"persist.db-journal", "wal.db-wal", "wal.db-shm"} <= {place.name for place in refusing.state.iterdir()}
        assert refusing.restore("run", "--snapshot", "latest").code == 0


def test_rows_that_are_in_the_log_alone_are_new_work_also_where_a_rule_leaves_logs_out(world: FreshBucket) -> None:
    machine = world.booted()
    settings = machine.disk / "instance.json"
    with contextlib.closing(database(machine.state / "x.db", "wal")) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        settings.write_text('{"excludes": ["**/*-wal"]}')
        machine.environment |= {"OPENCLAW_FREEZER": "none"}
        assert machine.backup().code == 0
        writer.execute("INSERT INTO t VALUES (2)")
        # With a settings file it is an instance, whose gateway is stopped here.
        with mock.patch("openclaw_agent.host.units.subprocess.run", return_value=mock.Mock(returncode=3)):
            run = machine.restore("run", "--snapshot", "latest")
    assert (run.code, "'x.db'" in run.err) == (3, True), run.err
