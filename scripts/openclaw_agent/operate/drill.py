"""A restore drill: the newest snapshot is built in a scratch folder, and its databases are opened by their owner."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openclaw_agent.catalog.choice import NEWEST
from openclaw_agent.catalog.reader import CatalogReader
from openclaw_agent.errors import AgentError
from openclaw_agent.operate.programs import run_program
from openclaw_agent.session import Session
from openclaw_agent.snapshot.manifest import Entry, Manifest

RESTORE_PROGRAM = "openclaw-s3-restore.py"
SCRATCH_PARENT = Path("/var/tmp")  # noqa: S108 - below it a folder of our own, with a name that nobody knows before
OPEN_SECONDS = 600
OPEN_CPU_SECONDS = 300
OPEN_MEMORY_BYTES = 512 * 1024**2
# Runs in a process of its own: what it opens is the gateway's, who may have meant harm.
_OPEN = """
import json, sqlite3, sys
for path in json.load(sys.stdin):
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as opened:
        (tables,) = opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (verdict,) = opened.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            sys.exit(verdict)
        print(json.dumps([path, tables]))
"""


@dataclass(frozen=True, slots=True)
class Proven:
    """What a drill has brought back: the snapshot, its files and bytes, and the databases that opened."""

    snapshot: str
    files: int
    bytes: int
    databases: int


def drill(session: Session, scratch_parent: Path = SCRATCH_PARENT) -> Proven:
    """Restore what a lost instance would come back with, and open it; the scratch folder is removed.

    Raises:
        AgentError: there is nothing to restore, it could not be restored, or a database does not open.
    """
    point = CatalogReader(session.bucket, session.record).with_manifest(NEWEST)
    manifest = point.manifest
    with tempfile.TemporaryDirectory(prefix="openclaw-drill-", dir=scratch_parent) as scratch:
        place = Path(scratch)
        # The databases' owner goes through it; nobody else knows its name.
        place.chmod(0o711)
        target = place / "state"
        words = ("run", "--snapshot", manifest.snapshot, "--to", str(target), "--bucket", session.bucket.bucket)
        ended = run_program(RESTORE_PROGRAM, *words)
        if not ended.done:
            raise AgentError(f"{manifest.snapshot} could not be restored: {ended.sentence}")
        databases = _sound_databases(manifest)
        _open(target, databases)
    totals = manifest.totals()
    return Proven(manifest.snapshot, totals.files, totals.bytes, len(databases))


def _sound_databases(manifest: Manifest) -> list[Entry]:
    """Those that passed their check when they were backed up."""
    return [entry for entry in manifest.files() if entry.is_good_database]


def _open(target: Path, databases: Sequence[Entry]) -> None:
    for owner in sorted({(entry.uid, entry.gid) for entry in databases}):
        paths = [str(target / entry.path) for entry in databases if (entry.uid, entry.gid) == owner]
        _open_as(owner, paths)


def _open_as(owner: tuple[int, int], paths: Sequence[str]) -> None:
    # Only root may become another; an ordinary user's files are their own.
    user, group = owner if os.geteuid() == 0 else (None, None)
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-I", "-c", _OPEN],
            input=json.dumps(list(paths)),
            capture_output=True,
            text=True,
            check=False,
            timeout=OPEN_SECONDS,
            preexec_fn=_limit,
            cwd="/",
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
    except subprocess.TimeoutExpired as expired:
        raise AgentError(f"A database of the newest backup did not open within {OPEN_SECONDS} s.") from expired
    if done.returncode:
        name = Path(paths[min(len(done.stdout.splitlines()), len(paths) - 1)]).name
        why = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise AgentError(f"The database {name!r} of the newest backup was restored and does not open: {why}.")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (OPEN_CPU_SECONDS, OPEN_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (OPEN_MEMORY_BYTES, OPEN_MEMORY_BYTES))
