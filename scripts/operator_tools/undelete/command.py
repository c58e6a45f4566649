"""The command line of ec2-spot-undelete: parse, plan, ask, carry out."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from operator_tools import edge
from operator_tools.account.errors import AccountError, ExitCode
from operator_tools.undelete.moments import FORMS, parse_moment

_EPILOG = (
    "exit status: 0 done (or a dry run), 1 AWS refused something (run it again), 2 the command line is wrong or nobody "
    f"said yes, {edge.INTERRUPTED} Ctrl-C. No version is ever deleted: undelete again to undo it."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; errors are one sentence on standard error."""
    options = parser().parse_intermixed_args(arguments)
    return edge.run(undelete, options, when_interrupted="Interrupted. Run it again: what is done stays done.")


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    made = argparse.ArgumentParser(
        prog="ec2-spot-undelete.py",
        description="Bring latest/, snapshots/ and the lease record of a stack's backup bucket back as they stood at a "
        "moment, out of the versions that S3 keeps for undelete_days.",
        epilog=_EPILOG,
    )
    made.add_argument("stack", nargs="?", default="dev", help="the stack's name (default: dev)")
    made.add_argument("--region", help="AWS region (default: the stack's, by the Pulumi CLI; else AWS_REGION)")
    made.add_argument("--json", action="store_true", help="print a JSON document instead of sentences")
    made.add_argument("--verbose", action="store_true", help="say what is asked; show the traceback of an error")
    add_flags(made)
    return made


def add_flags(made: argparse.ArgumentParser) -> None:
    """Add which moment, and whether to ask."""
    made.add_argument(
        "--at", metavar="TIME", type=_moment, help=f"{FORMS} (default: the newest at which latest/ was whole)"
    )
    made.add_argument("--bucket", help="the backup bucket (default: the stack's, in this account)")
    made.add_argument("--dry-run", action="store_true", help="only say what would be done")
    made.add_argument("--yes", action="store_true", help="do not ask")


def _moment(text: str) -> datetime:
    try:
        return parse_moment(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def undelete(options: argparse.Namespace) -> int:
    """Plan, ask and carry out, as the options say.

    Raises:
        AccountError: AWS refused, an instance may still write, or nobody said yes.
    """
    try:
        from operator_tools.account.account import Account
        from operator_tools.undelete.bucket_calls import BucketCalls
    except ImportError as error:
        raise AccountError(
            f"The Python at {sys.executable} has no {error.name}; install it with: pip install boto3"
        ) from error
    from operator_tools.power.stack_place import find_place
    from operator_tools.undelete.stack_bucket import backup_bucket, require_paused
    from operator_tools.undelete.undelete_report import closing_lines, plan_lines, undelete_document
    from operator_tools.undelete.undeleting import Undelete

    say: Callable[[str], None] = (lambda _line: None) if options.json else partial(print, flush=True)
    place = find_place(options.stack, options.region)
    account = Account(place.region)
    bucket = options.bucket or backup_bucket(account, place)
    work = Undelete(bucket, BucketCalls(account, bucket), say)
    if not options.dry_run:
        # Before the versions are read, which may take minutes.
        require_paused(account, place)
    plan = work.plan(options.at)
    for line in plan_lines(bucket, plan):
        say(line)
    refused = None
    if plan.waves and not options.dry_run:
        if not options.yes and not _agreed():
            raise NotAgreed("Nothing was changed: say yes, or give --yes (YES=1), or --dry-run (DRY_RUN=1).")
        refused = work.carry_out(plan)
        for line in closing_lines(options.stack, plan, refused):
            say(line)
    if options.json:
        print(json.dumps(undelete_document(bucket, plan, refused), indent=2), flush=True)
    return ExitCode.FAILED if refused or plan.archived else ExitCode.DONE


class NotAgreed(AccountError):
    """Nobody said yes."""

    exit_code = ExitCode.USAGE


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    print("Bring it back? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
