"""What every command shares: flags, the error edge, the log line and the exit code."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from openclaw_agent import AGENT_VERSION
from openclaw_agent.errors import AgentError, UsageError
from openclaw_agent.exit_codes import EXIT_CODE_MEANINGS, ExitCode
from openclaw_agent.run_log import RunLog, count_metrics
from openclaw_agent.settings import Settings, load_settings


@dataclass(slots=True)
class Result:
    """How a run ended: the word for the log, and what `--json` prints instead of the log line."""

    word: str = "done"
    document: object | None = None
    logged: bool = True


Action = Callable[[argparse.Namespace, Settings, RunLog], Result]
Metrics = Callable[[Result | None, AgentError | None], list[str]]
LastAct = Callable[[Settings, RunLog, AgentError | None], None]


def parser_for(command: str, description: str) -> argparse.ArgumentParser:
    """A parser with the flags and the exit codes that all commands share."""
    codes = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in EXIT_CODE_MEANINGS.items())
    parser = argparse.ArgumentParser(
        prog=command,
        description=description,
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bucket", help="the backup bucket (default: the installer's settings file)")
    parser.add_argument("--region", help="its region (default: the settings file, then AWS_REGION)")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object on stdout")
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    parser.add_argument("--version", action="version", version=AGENT_VERSION)
    return parser


def run_command(
    parser: argparse.ArgumentParser,
    log_name: str,
    action: Action,
    *,
    arguments: Sequence[str] | None = None,
    needs_bucket: bool = True,
    metrics: Metrics = lambda _result, _error: [],
    last_act: LastAct = lambda _settings, _log, _error: None,
) -> int:
    """Parse, run the action, log the run, do the last act, and return the exit code."""
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(
            bucket=options.bucket,
            region=options.region,
            state_dir=getattr(options, "state_dir", None),
            needs_bucket=needs_bucket,
        )
    except UsageError as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return problem.exit_code
    log = RunLog(log_name, settings)
    result: Result | None = None
    error: AgentError | None = None
    try:
        result = action(options, settings, log)
    except AgentError as problem:
        error = problem
    except KeyboardInterrupt:
        error = AgentError("Interrupted; nothing that was complete before is lost.")
    except Exception as problem:  # noqa: BLE001 - the edge: no traceback reaches a user
        error = AgentError(f"An unexpected error: {type(problem).__name__}: {problem}. --verbose shows where.")
        error.__cause__ = problem
    if error is not None:
        if options.verbose:
            traceback.print_exception(error)
        print(f"{parser.prog}: {error}", file=sys.stderr)
        log.add(error=str(error))
    word = result.word if result else _word(error)
    line = log.write(word) if result is None or result.logged else log.line(word)
    if options.json:
        print(json.dumps(result.document if result and result.document is not None else line, indent=2))
    unsent = count_metrics(settings, metrics(result, error))
    if unsent:
        log.say(unsent)
    last_act(settings, log, error)
    return ExitCode.DONE if error is None else error.exit_code


def leave(code: int) -> NoReturn:
    """End the process with this exit code, at once.

    obstore's threads may still hold Python objects when the interpreter takes itself apart, and then abort it: a run
    that had succeeded ended with SIGABRT in the lab. Everything is on disk and in S3 by now.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _word(error: AgentError | None) -> str:
    words = {ExitCode.REFUSED: "refused", ExitCode.NOT_OWNER: "fenced", ExitCode.USAGE: "usage"}
    return words.get(error.exit_code, "failed") if error else "done"
