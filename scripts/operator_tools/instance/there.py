"""The words of `openclaw-lab` as the instance itself carries them out: sent, and their JSON document read back."""

import json
from collections.abc import Sequence
from typing import Any

from operator_tools.account.errors import AccountError
from operator_tools.instance.run_command import run_on_instance
from operator_tools.stack.stack import Stack

PROGRAM = "/usr/local/bin/openclaw-lab"
NOT_FOUND = 127


class EndedThere(AccountError):
    """The command failed on the instance; its own sentence is the message, its own status the exit status."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.exit_code = code  # type: ignore[assignment]  # the agent's codes are a set of their own


def ask_instance(stack: Stack, instance_id: str, words: Sequence[str], *, seconds: int = 300) -> dict[str, Any]:
    """Run `openclaw-lab WORDS --json` on the instance, and return its document.

    Raises:
        EndedThere: it failed there.
        AccountError: it was not reached.
    """
    ended = run_on_instance(stack, instance_id, [PROGRAM, *words, "--json"], seconds=seconds)
    if ended.code == NOT_FOUND:
        raise AccountError(
            f"{instance_id} runs a release without openclaw-lab: deploy this one first. Next: {stack.words('up')}"
        )
    if ended.code:
        raise EndedThere(_last_sentence(ended.err) or f"It ended with {ended.code} on {instance_id}.", ended.code)
    try:
        document = json.loads(ended.out)
    except ValueError as error:
        raise AccountError(f"{instance_id} answered what is no JSON document: {ended.out[:100]!r}.") from error
    if not isinstance(document, dict):
        raise AccountError(f"{instance_id} answered a {type(document).__name__}, and no JSON object.")
    return document


def _last_sentence(said: str) -> str:
    # SSM's own agent adds lines of its own after what a failed command has said.
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("failed to run commands")]
    return lines[-1].removeprefix("openclaw-lab: ") if lines else ""
