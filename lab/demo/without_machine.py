"""The section that needs no root: the same backup and restore commands on a scratch state folder."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from lab.world.deployment import REPOSITORY, DeployedStacks
from lab.world.evidence import account_of, differences
from lab.world.terminal import CheckFailed, Terminal


def show_backup_and_restore(cloud: DeployedStacks, terminal: Terminal) -> None:
    """Back a scratch state up, lose it, restore it, and compare."""
    with tempfile.TemporaryDirectory(prefix="openclaw-lab-") as folder:
        state = Path(folder) / "state"
        _make_state(state)
        before = account_of(state, frozenset())
        _run("openclaw-s3-backup.py", cloud, Path(folder), state)
        state.rename(Path(folder) / "lost")
        _run("openclaw-s3-restore.py", cloud, Path(folder), state, "run")
        rows = differences(before, account_of(state, frozenset()))
        terminal.check(f"a scratch state of {len(before)} paths is back bit for bit", not rows, "; ".join(rows))


def _make_state(state: Path) -> None:
    (state / "workspace").mkdir(parents=True)
    (state / "workspace" / "notes.md").write_text("remember me\n")
    (state / "empty").mkdir()
    (state / "workspace" / "latest").symlink_to("notes.md")
    with closing(sqlite3.connect(state / "openclaw.sqlite")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE facts (fact TEXT)")
        database.execute("INSERT INTO facts VALUES ('remember me')")
        database.commit()


def _run(command: str, cloud: DeployedStacks, folder: Path, state: Path, *words: str) -> None:
    environment = {
        **os.environ,
        "AWS_ENDPOINT_URL": cloud.aws.endpoint_url,
        "OPENCLAW_AGENT_DIR": str(folder / "agent"),
        # No metadata service is asked: the host name is the instance.
        "OPENCLAW_INSTANCE_ID": "laptop",
    }
    done = subprocess.run(  # noqa: S603 - our own command
        [
            *(sys.executable, str(REPOSITORY / "scripts" / command)),
            *("--bucket", cloud.bucket, "--region", cloud.aws.region, "--state-dir", str(state), *words),
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CheckFailed(f"{command} failed: {done.stderr}")
