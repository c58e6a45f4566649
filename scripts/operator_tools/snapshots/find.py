"""`openclaw-lab find`."""

import argparse
from datetime import UTC, datetime

from openclaw_agent.catalog.snapshots import snapshot_names
from openclaw_agent.history.pages import version_table
from openclaw_agent.history.tables import counted
from openclaw_agent.history.versions import find_versions
from openclaw_agent.streams import shell_word
from operator_tools.account.errors import ExitCode
from operator_tools.program.output import Output
from operator_tools.stack.stack import NotThere, Stack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own words."""
    parser.add_argument("file", metavar="FILE", help="a path in the state, a file's name, or a pattern ('*.md')")


def run(options: argparse.Namespace, out: Output) -> int:
    """Read every manifest, and print the versions."""
    stack = Stack.of(options)
    now = datetime.now(UTC)
    with out.waiting(f"Reading the snapshots of {stack.name}"):
        versions = find_versions(stack.store, snapshot_names(stack.store), options.file)
    out.document({"stack": stack.name, "file": options.file, "versions": [row.document() for row in versions]})
    if not versions:
        raise NotThere(
            f"No snapshot of {stack.name} holds a file {options.file!r}. Next: {stack.words('find')} '*PART*'"
        )
    out.table(version_table(versions, now))
    files = {row.path for row in versions}
    out.say(f"{counted(len(versions), 'version')} of {counted(len(files), 'file')}.")
    newest = versions[0]
    out.next(stack.words(f"restore --at {newest.newest} --path {shell_word(newest.path)}"))
    return ExitCode.DONE
