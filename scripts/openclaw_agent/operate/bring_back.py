"""A whole restore in one word: keep what is there, stop, restore, start, wait until ready, back up.

Nothing is stopped before a person has seen what would change; whatever fails on the way, the gateway is started again.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from openclaw_agent.catalog.completeness import Completeness
from openclaw_agent.errors import AgentError, UsageError
from openclaw_agent.history.changes import Change, changes_between
from openclaw_agent.history.moments import Taken, choose
from openclaw_agent.history.survey import survey
from openclaw_agent.operate.back_up import GOOD, KEPT, back_up, require_kept
from openclaw_agent.operate.gateway import start_gateway, stop_gateway, wait_until_ready
from openclaw_agent.operate.programs import run_program
from openclaw_agent.session import Session
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import read_manifest

_log = logging.getLogger(__name__)

RESTORE_PROGRAM = "openclaw-s3-restore.py"


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done: the snapshot taken, against which one it was compared, and what differs.

    `paths` are the only ones that are brought back; none means all.
    """

    taken: Taken
    present: str
    changes: tuple[Change, ...]
    paths: tuple[str, ...] = ()

    def undo(self, kept: str) -> str:
        """The words that bring back what was there."""
        present = {row.path for row in self.changes if row.size_before is not None}
        words = [f"openclaw-lab restore --at {kept}"]
        if self.paths and all(path in present for path in self.paths):
            words += [f"--path {path}" for path in self.paths]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class BroughtBack:
    """How it went: under which name the state of before is kept, the backup after it, and seconds until ready."""

    plan: Plan
    kept_as: str
    ready_seconds: float | None
    backup: dict[str, Any]

    @property
    def undo(self) -> str:
        """The words that undo it."""
        return self.plan.undo(self.kept_as)


def choose_snapshot(store: Bucket, text: str, now: datetime) -> Taken:
    """Return the snapshot that a text means; a quarantined one is taken where its whole name is given.

    Raises:
        UsageError: there is none.
    """
    rows = survey(store, now)
    exact = text.strip()
    if parse_snapshot_name(exact):
        names = [row.name for row in rows if row.restorable or row.completeness is Completeness.QUARANTINED]
        return choose(exact, names, now)
    return choose(text, [row.name for row in rows if row.restorable], now)


def plan_return(session: Session, text: str, paths: Sequence[str], present: str | None = None) -> Plan:
    """Plan to bring back what a text means, compared with a snapshot of the present state (None: `latest/`).

    Raises:
        UsageError: there is no such snapshot, or it holds none of the paths.
        AgentError: a manifest cannot be read.
    """
    taken = choose_snapshot(session.bucket, text, session.clock())
    return _compared(session, taken, paths, present)


def _compared(session: Session, taken: Taken, paths: Sequence[str], present: str | None) -> Plan:
    wanted = _manifest(session.bucket, snapshot_manifest_key(taken.name), taken.name)
    key = snapshot_manifest_key(present) if present else LATEST_MANIFEST_KEY
    now = _manifest(session.bucket, key, present or "latest/")
    cleaned = tuple(path.strip("/").removeprefix(".openclaw/") for path in paths)
    for path in cleaned:
        if not any(_below(entry.path, path) for entry in wanted.entries):
            raise UsageError(f"The snapshot {taken.name} holds no {path!r}. Next: openclaw-lab find {path}")
    changes = changes_between(now, wanted)
    if cleaned:
        changes = [row for row in changes if any(_below(row.path, path) for path in cleaned)]
    return Plan(taken, now.snapshot, tuple(changes), cleaned)


def keep_present_state(settings: Settings) -> dict[str, Any]:
    """Back up what is there now, so that a restore loses nothing; returns the backup's facts.

    Raises:
        AgentError: the state could not be kept, so nothing else may be done.
    """
    facts = back_up(settings)
    require_kept(facts, KEPT)
    if facts["result"] not in GOOD:
        _log.warning("%s", facts.get("error", ""))
    return facts


def bring_back(session: Session, plan: Plan) -> BroughtBack:
    """Carry out a plan on the instance.

    Raises:
        AgentError: it did not come about; the sentence says what state the gateway runs on.
    """
    settings = session.settings
    stop_gateway()
    try:
        kept = keep_present_state(settings)
        kept_as = str(kept.get("snapshot") or plan.present)
        _log.info("Stopped the gateway; the state of now is kept as %s.", kept_as)
        # What came in since the plan was made is among what changes.
        plan = _compared(session, plan.taken, plan.paths, kept_as)
        _restore(settings, plan, force=kept["result"] not in GOOD)
    except BaseException:
        start_gateway()
        _log.warning("The gateway was started again on the state that was there before.")
        raise
    done = BroughtBack(plan, kept_as, None, {})
    _log.info("Restored %s; starting the gateway.", plan.taken.name)
    try:
        start_gateway()
        done = replace(done, ready_seconds=wait_until_ready())
    except AgentError as problem:
        raise AgentError(f"{plan.taken.name} is restored. {problem} Undo: {done.undo}") from problem
    done = replace(done, backup=back_up(settings))
    try:
        require_kept(done.backup)
    except AgentError as problem:
        raise AgentError(
            f"{plan.taken.name} is restored and the gateway ready, but until the next good backup a lost instance "
            f"comes back with the state from before: {problem} Next: openclaw-lab backup-now. Undo: {done.undo}"
        ) from problem
    return done


def _restore(settings: Settings, plan: Plan, *, force: bool) -> None:
    words = ["run", "--snapshot", plan.taken.name, "--bucket", settings.bucket, "--state-dir", str(settings.state_dir)]
    words += [word for path in plan.paths for word in ("--path", path)]
    # What the backup refused is kept once more, by the restore itself; parts are put aside by it anyway.
    words += ["--force"] if force and not plan.paths else []
    ended = run_program(RESTORE_PROGRAM, *words)
    if not ended.done:
        raise AgentError(ended.sentence or f"{RESTORE_PROGRAM} ended with {ended.code}.")


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _manifest(store: Bucket, key: str, name: str) -> Manifest:
    stored = read_manifest(store, key)
    if stored is None:
        raise AgentError(f"{name} has no manifest: there is nothing to compare with. Next: openclaw-lab backup-now")
    return stored.manifest
