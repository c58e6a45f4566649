"""What every command shares: flags, the error edge, the log line and the exit code."""

import argparse
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from openclaw_agent import AGENT_VERSION
from openclaw_agent.cli.termination import Termination
from openclaw_agent.errors import AgentError, Terminated, UsageError
from openclaw_agent.exit_codes import EXIT_CODE_MEANINGS, ExitCode
from openclaw_agent.host.metrics import count_metrics
from openclaw_agent.run_record import RunRecord
from openclaw_agent.settings import Settings, load_settings
from openclaw_agent.streams import flush_streams, log_to_stderr, open_missing_streams, print_error, print_result

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Result:
    """Outcome of a run: its code, what it prints, and what `--json` prints instead of the log line.

    `metrics` are counted in CloudWatch.
    """

    code: str = "done"
    document: object | None = None
    text: str = ""
    logged: bool = True
    metrics: tuple[str, ...] = ()


Workflow = Callable[[argparse.Namespace, Settings, RunRecord], Result]
ErrorMetrics = Callable[[argparse.Namespace, AgentError], list[str]]
Parse = Callable[[Sequence[str] | None], argparse.Namespace]
FinalHook = Callable[[Settings, AgentError | None], None]


def parser_for(command: str, description: str) -> argparse.ArgumentParser:
    """A parser with the flags and the exit codes that all commands share."""
    codes = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in EXIT_CODE_MEANINGS.items())
    parser = argparse.ArgumentParser(
        prog=command,
        description=description,
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_shared_flags(parser)
    parser.add_argument("--version", action="version", version=AGENT_VERSION)
    return parser


def add_shared_flags(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """The flags of every command; for a sub-command `argparse.SUPPRESS` keeps what was given before its name."""
    switch = False if default is None else default
    parser.add_argument("--bucket", default=default, help="the backup bucket (default: the installer's settings file)")
    parser.add_argument("--region", default=default, help="its region (default: the settings file, then AWS_REGION)")
    parser.add_argument("--json", default=switch, action="store_true", help="print the result as one JSON object")
    parser.add_argument("--verbose", default=switch, action="store_true", help="show the traceback of an error")


def run_command(
    parser: argparse.ArgumentParser,
    log_name: str,
    action: Workflow,
    *,
    arguments: Sequence[str] | None = None,
    needs_bucket: bool = True,
    parse: Parse | None = None,
    metrics: ErrorMetrics = lambda _options, _error: [],
    final_hook: FinalHook = lambda _settings, _error: None,
) -> int:
    """Parse, run the action, log the run, call the final hook, print the result, and return the exit code.

    `metrics` says what an error counts.
    """
    open_missing_streams()
    options = (parse or parser.parse_args)(arguments)
    try:
        settings = load_settings(
            bucket=options.bucket,
            region=options.region,
            state_dir=getattr(options, "state_dir", None),
            needs_bucket=needs_bucket,
        )
    except UsageError as problem:
        print_error(f"{parser.prog}: {problem}")
        return problem.exit_code
    log_to_stderr(verbose=bool(options.verbose))
    record = RunRecord(log_name, settings)
    with Termination() as termination:
        result, error = _run(action, options, settings, record, termination)
        if error is not None:
            _log.debug("".join(traceback.format_exception(error)))
            _log.error("%s: %s", parser.prog, error)
            record.add(error=str(error))
        code = result.code if result else _code(error)
        line = record.write(code) if result is None or result.logged else record.line(code)
        names = metrics(options, error) if error else list(result.metrics) if result else []
        unsent = count_metrics(settings, names, record.counts)
        if unsent:
            _log.warning(unsent)
        final_hook(settings, error)
        # Last, because stdout may be broken: nothing of the run hangs on it.
        if options.json:
            print_result(json.dumps(result.document if result and result.document is not None else line, indent=2))
        elif result is not None and result.text:
            print_result(result.text)
    return ExitCode.DONE if error is None else error.exit_code


def _run(
    action: Workflow, options: argparse.Namespace, settings: Settings, record: RunRecord, termination: Termination
) -> tuple[Result | None, AgentError | None]:
    try:
        return action(options, settings, record), None
    except AgentError as problem:
        return None, problem
    except KeyboardInterrupt:
        if termination.received:
            return None, Terminated("Asked to end (SIGTERM); nothing that was complete before is lost.")
        return None, AgentError("Interrupted; nothing that was complete before is lost.")
    except Exception as problem:  # noqa: BLE001 - the edge: no traceback reaches a user
        error = AgentError(_sentence(problem))
        error.__cause__ = problem
        return None, error
    finally:
        termination.hold()


def _sentence(problem: Exception) -> str:
    # Looked up, not imported: what did not load botocore has no error of it, and SIGTERM must not fall into an import.
    botocore = sys.modules.get("botocore.exceptions")
    if botocore is not None and isinstance(problem, botocore.BotoCoreError):
        return f"AWS cannot be asked: {' '.join(str(problem).split()).rstrip('.')}. Check the AWS_… variables."
    return f"An unexpected error: {type(problem).__name__}: {problem}. --verbose shows where."


def exit_now(code: int) -> NoReturn:
    """End the process with this exit code, at once.

    obstore's threads may still hold Python objects when the interpreter takes itself apart, and then abort it: a run
    that had succeeded ended with SIGABRT in the lab. Everything is on disk and in S3 by now.
    """
    flush_streams()
    if code == ExitCode.TERMINATED:
        # By the signal itself, which a shell calls 143, and by which systemd knows that it ended the run.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    os._exit(code)


def _code(error: AgentError | None) -> str:
    codes = {
        ExitCode.REFUSED: "refused",
        ExitCode.GAPS: "gaps",
        ExitCode.OVER_BUDGET: "over-budget",
        ExitCode.NOT_OWNER: "fenced",
        ExitCode.USAGE: "usage",
        ExitCode.TERMINATED: "terminated",
    }
    return codes.get(error.exit_code, "failed") if error else "done"
