"""Backups of a state that is written all the while: every one is a prefix of its history."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from openclaw_agent.fs.clone import clone_file
from tests.support import live_writer
from tests.support.agent_process import AgentProcess, Run, command
from tests.support.fault_scenario import BACKUP, FaultScenario
from tests.support.gateways import GatewayProcess
from tests.support.live_writer import FIRST, LINES, SECOND

pytestmark = pytest.mark.subprocess
BACKUPS = int(os.environ.get("OPENCLAW_LIVE_BACKUPS", "6"))
CLOCK = "2026-03-01T00:00:00+00:00"
CLONE_BYTES = 32 * 1024 * 1024
MKFS_XFS = shutil.which("mkfs.xfs")
MAY_MAKE_XFS = os.geteuid() == 0 and MKFS_XFS is not None
needs_xfs = pytest.mark.skipif(not MAY_MAKE_XFS, reason="reflinks need root, to mount, and mkfs.xfs of xfsprogs")


@dataclass(frozen=True, slots=True)
class History:
    """How far each of the three had come, in the order in which they are written."""

    first: int
    second: int
    lines: int

    @property
    def is_consistent(self) -> bool:
        """Nothing without its elder; the writer is at most one number further in one than in another."""
        return self.first >= self.second >= self.lines >= self.first - 1


def history_in(folder: Path) -> History:
    """Read a restored state, and require each of the three to be a prefix of what was written."""
    ends = []
    for name in (FIRST, SECOND):
        with closing(sqlite3.connect(folder / name)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            count, last = database.execute("SELECT count(*), coalesce(max(number), 0) FROM messages").fetchone()
        assert count == last, f"{name} has a gap"
        ends.append(last)
    text = (folder / LINES).read_text()
    numbers = text.splitlines()
    assert text.endswith("\n")
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    return History(ends[0], ends[1], len(numbers))


@contextmanager
def writing(folder: Path) -> Iterator[GatewayProcess]:
    program = Path(live_writer.__file__)
    with subprocess.Popen([sys.executable, str(program), str(folder)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        try:
            assert writer.stdout.readline() == b"writing\n"
            yield GatewayProcess(writer.pid)
            assert writer.poll() is None, "the writer has failed"
        finally:
            # A test that fails must not wait for a writer that never ends.
            writer.kill()


def back_up_while_written(stage: FaultScenario, times: int, *, freeze: bool) -> list[dict[str, object]]:
    """Take backups, require the writer to run on after them, and return the log's lines."""
    with writing(stage.machine.state_dir) as gateway:
        stage.must(Run((BACKUP,) * times, gateway=gateway.pid if freeze else 0, clock=CLOCK))
        assert gateway.runs_again()
        with closing(sqlite3.connect(stage.machine.state_dir / FIRST)) as database:
            before = database.execute("SELECT max(number) FROM messages").fetchone()
            while database.execute("SELECT max(number) FROM messages").fetchone() == before:
                assert gateway.runs_again()
    lines = (stage.machine.log_dir / "backup.log").read_text().splitlines()
    return [json.loads(line) for line in lines]


def histories(stage: FaultScenario, runs: list[dict[str, object]]) -> list[History]:
    """Restore every snapshot, and read it."""
    found = []
    for run in runs:
        target = stage.scratch / "restored"
        name = str(run["snapshot"])
        stage.must(Run((command("restore", "--snapshot", name, "--to", str(target)),)))
        found.append(history_in(target))
        shutil.rmtree(target)
    return found


def require_progress(found: list[History], times: int) -> None:
    assert len(found) == times
    assert found == sorted(found, key=lambda history: history.first)
    assert found[-1].first > found[0].first


def tell(kind: str, found: list[History], runs: list[dict[str, object]]) -> None:
    freezes = sorted(float(str(run["freeze_ms"])) for run in runs)
    torn = sum(not history.is_consistent for history in found)
    print(
        f"\ncovered: live database, {kind}: {len(found)} backups, rows {found[0].first:,} to {found[-1].first:,}, "
        f"{torn} of more than one instant, freeze median {freezes[len(freezes) // 2]:.0f} ms, "
        f"longest {freezes[-1]:.0f} ms"
    )


def test_every_frozen_backup_is_one_instant_of_all_that_is_written(stage: FaultScenario) -> None:
    runs = back_up_while_written(stage, BACKUPS, freeze=True)
    found = histories(stage, runs)
    tell("frozen", found, runs)
    require_progress(found, BACKUPS)
    assert {run["capture"] for run in runs} == {"frozen"}
    assert [history for history in found if not history.is_consistent] == []


def test_every_live_backup_holds_whole_databases_and_prefixes(stage: FaultScenario) -> None:
    runs = back_up_while_written(stage, BACKUPS, freeze=False)
    found = histories(stage, runs)
    tell("not frozen", found, runs)
    require_progress(found, BACKUPS)
    assert {run["capture"] for run in runs} == {"live"}


@pytest.fixture
def xfs_stage(stage: FaultScenario) -> Iterator[FaultScenario]:
    """A machine on a file system that clones files without copying them."""
    assert MKFS_XFS is not None
    image, place = stage.scratch / "disk.img", stage.scratch / "disk"
    with image.open("wb") as disk:
        disk.truncate(512 * 1024 * 1024)
    subprocess.run([MKFS_XFS, "-q", "-m", "reflink=1", str(image)], check=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    try:
        moved = replace(stage, machine=AgentProcess(place / "machine", "lab-xfs"))
        moved.machine.state_dir.parent.mkdir(parents=True)
        yield moved
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@needs_xfs
def test_with_reflinks_a_clone_takes_no_room_and_every_frozen_backup_is_one_instant(xfs_stage: FaultScenario) -> None:
    folder = xfs_stage.machine.root
    (folder / "source").write_bytes(os.urandom(CLONE_BYTES))
    os.sync()
    free = shutil.disk_usage(folder).free
    clone_file(folder / "source", folder / "clone")
    os.sync()
    assert free - shutil.disk_usage(folder).free < CLONE_BYTES // 8
    times = max(6, BACKUPS // 5)
    runs = back_up_while_written(xfs_stage, times, freeze=True)
    found = histories(xfs_stage, runs)
    tell("frozen, on XFS with reflinks", found, runs)
    require_progress(found, times)
    assert [history for history in found if not history.is_consistent] == []
