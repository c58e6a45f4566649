"""`openclaw-lab diff`."""

import argparse
from datetime import UTC, datetime

from openclaw_agent.catalog.snapshots import snapshot_names
from openclaw_agent.errors import AgentError
from openclaw_agent.history.changes import changes_between
from openclaw_agent.history.moments import choose, in_words
from openclaw_agent.history.pages import change_lines
from openclaw_agent.snapshot.keys import snapshot_manifest_key
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import read_manifest
from operator_tools.account.errors import ExitCode
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack

LINES = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own words."""
    parser.add_argument("before", metavar="A", help="a snapshot's name or its beginning, or a time ('2 hours ago')")
    parser.add_argument("after", metavar="B", nargs="?", default="latest", help="the same (default: the newest)")
    parser.add_argument("--all", action="store_true", help=f"print every line, not the first {LINES}")


def run(options: argparse.Namespace, out: Output) -> int:
    """Read both manifests, and print what differs."""
    stack = Stack.of(options)
    now = datetime.now(UTC)
    names = snapshot_names(stack.store)
    first, second = choose(options.before, names, now).name, choose(options.after, names, now).name
    changes = changes_between(_manifest(stack.store, first), _manifest(stack.store, second))
    out.document({"before": first, "after": second, "changes": [row.document() for row in changes]})
    out.say(f"From {first} ({in_words(first, now)}) to {second} ({in_words(second, now)}):")
    out.marked(change_lines(changes, len(changes) if options.all else LINES))
    if changes:
        out.next(stack.words(f"restore --at {first}"))
    return ExitCode.DONE


def _manifest(store: Bucket, name: str) -> Manifest:
    stored = read_manifest(store, snapshot_manifest_key(name))
    if stored is None:
        raise AgentError(f"The snapshot {name} is not complete: it has no manifest, so nothing can be said of it.")
    return stored.manifest
