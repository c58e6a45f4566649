"""`openclaw-lab backup-now`."""

import argparse

from openclaw_agent.history.tables import counted, size_words
from operator_tools.account.errors import ExitCode
from operator_tools.instance.there import ask_instance
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack

SECONDS = 1800


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: a backup has no choices."""


def run(options: argparse.Namespace, out: Output) -> int:
    """Have the instance back up at once."""
    stack = Stack.of(options)
    instance = stack.instance()
    with out.waiting(f"Backing up on {instance}"):
        document = ask_instance(stack, instance, ["backup-now"], seconds=SECONDS)
    out.document(document)
    out.say(backup_sentence(document))
    out.next(stack.words("snapshots"))
    return ExitCode.DONE


def backup_sentence(document: dict[str, object]) -> str:
    """Return what a backup did, from its document."""
    name = document.get("snapshot")
    if document.get("result") == "unchanged":
        return f"Nothing has changed since the last backup{f' ({name})' if name else ''}."
    facts = []
    if isinstance(files := document.get("files"), int):
        facts.append(counted(files, "file"))
    if isinstance(sent := document.get("bytes_uploaded"), int):
        facts.append(f"{size_words(sent)} sent")
    if isinstance(freeze := document.get("freeze_ms"), int | float):
        facts.append(f"gateway frozen {freeze:.0f} ms")
    if isinstance(cost := document.get("cost_usd"), int | float):
        facts.append(f"${cost:.5f}")
    return f"Backed up as {name}: {', '.join(facts)}."
