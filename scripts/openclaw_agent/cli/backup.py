"""`openclaw-s3-backup.py`: back the state folder up."""

import argparse
import logging
from functools import cache

from openclaw_agent.agent_dir.folder import AgentDir
from openclaw_agent.backup.final import back_up, stop_fenced_gateway, thaw_after_crash
from openclaw_agent.backup.outcome import metrics_of
from openclaw_agent.backup.run import BackupOptions
from openclaw_agent.cli.frame import Result, parser_for, run_command
from openclaw_agent.errors import AgentError, UsageError
from openclaw_agent.host.freezer import freezer_for
from openclaw_agent.host.heartbeat import send_heartbeat
from openclaw_agent.run_record import RunRecord
from openclaw_agent.session import Clock, open_session, utc_now
from openclaw_agent.settings import Settings

_log = logging.getLogger(__name__)


@cache
def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = parser_for("openclaw-s3-backup.py", "Back the state folder up into a snapshot and into latest/.")
    made.add_argument("--state-dir", help="the state folder (default: /opt/openclaw/state/.openclaw)")
    made.add_argument("--full", action="store_true", help="read every file again instead of trusting size and times")
    made.add_argument("--accept-shrink", action="store_true", help="back up a state that has lost most of its files")
    made.add_argument(
        "--overwrite-latest", action="store_true", help="replace a latest/ that somebody else has changed"
    )
    made.add_argument(
        "--accept-gap",
        action="append",
        default=[],
        metavar="PATH",
        help="what cannot be backed up at PATH (relative to the state folder), or in that folder, is known, and fails "
        "no backup any more, on this instance or the next, until it can be read again; may be given several times",
    )
    made.add_argument("--final", action="store_true", help="back up, then release the lease to the next instance")
    made.add_argument("--thaw", action="store_true", help="only thaw the gateway, in case it was left frozen")
    return made


def main(arguments: list[str] | None = None, *, clock: Clock = utc_now) -> int:
    """Run the command and return its exit code."""
    thaws = False

    def action(options: argparse.Namespace, settings: Settings, record: RunRecord) -> Result:
        nonlocal thaws
        thaws = bool(options.thaw)
        freezer = freezer_for(settings.freezer)
        if options.thaw:
            # Without a session: a gateway is thawed also where S3 cannot be asked.
            thawed = thaw_after_crash(AgentDir(settings.agent_dir), freezer)
            return Result("thawed" if thawed else "busy", logged=False, metrics=())
        with open_session(settings, record, clock, patient=options.final) as session:
            wishes = BackupOptions(
                full=options.full,
                accept_shrink=options.accept_shrink,
                overwrite_latest=options.overwrite_latest,
                accept_gaps=tuple(_path_in_state(path, settings) for path in options.accept_gap),
                final=options.final,
            )
            result = back_up(session, freezer, wishes, final=options.final)
            return Result(result.outcome.value, metrics=tuple(metrics_of(None, result.gaps)))

    def at_the_end(settings: Settings, error: AgentError | None) -> None:
        stop_fenced_gateway(settings, error)
        # A thaw follows each backup, and says nothing of how that ended.
        if not thaws and (problem := send_heartbeat(settings, good=error is None)):
            _log.warning(problem)

    return run_command(
        parser(),
        "backup",
        action,
        arguments=arguments,
        metrics=lambda _options, error: metrics_of(error),
        final_hook=at_the_end,
    )


def _path_in_state(path: str, settings: Settings) -> str:
    """The path as a manifest has it; one that begins with the state folder's own is meant in the same way."""
    inside = path.removeprefix(f"{settings.state_dir}/")
    parts = [part for part in inside.split("/") if part not in ("", ".")]
    if inside.startswith("/") or ".." in parts or not parts:
        raise UsageError(
            f"--accept-gap {path!r} is not allowed: it must be relative to the state folder, like workspace/notes.md."
        )
    return "/".join(parts)
