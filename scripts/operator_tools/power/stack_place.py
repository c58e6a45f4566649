"""Where a stack's group is: by the stack's outputs where the Pulumi CLI has them, else by the naming rule."""

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openclaw_platform.names import Scope
from openclaw_platform.refusals import ConfigRefused
from operator_tools.account.errors import AccountError, ExitCode

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).absolute().parents[3]
PROJECTS = ("ec2_spot", ".")
"""The folders whose stacks have the group among their outputs: the disposable half, and both halves in one."""

PULUMI_SECONDS = 60


class WrongStack(AccountError):
    """The stack's name is none that a stack can have."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Place:
    """A stack's group and the region it is in; the region is None where nothing but the environment names one."""

    stack: str
    stack_name: str
    group: str
    region: str | None


def find_place(stack: str, region: str | None, projects: Sequence[Path] | None = None) -> Place:
    """Find where a stack's group is; a region that is given is not doubted.

    Raises:
        WrongStack: no stack can be called so.
    """
    try:
        stack_name = Scope(stack, region or "", "").name
    except ConfigRefused as error:
        raise WrongStack(str(error)) from error
    if not region:
        for folder in projects or [REPOSITORY / project for project in PROJECTS]:
            outputs = _outputs(folder, stack)
            if "group_name" in outputs and "region" in outputs:
                return Place(stack, stack_name, outputs["group_name"], outputs["region"])
    return Place(stack, stack_name, stack_name, region)


def _outputs(folder: Path, stack: str) -> dict[str, str]:
    """Ask the Pulumi CLI; whatever it lacks (itself, a login, the stack) leaves the naming rule."""
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        logger.info("There is no Pulumi CLI; the group's name follows from the stack's.")
        return {}
    command = [pulumi, "stack", "output", "--json", "--non-interactive", "--stack", stack]
    try:
        answer = subprocess.run(  # noqa: S603 - the CLI on the user's path; the stack's name was checked
            command,
            cwd=folder,
            env=os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PULUMI_SECONDS,
            check=False,
        )
        known = json.loads(answer.stdout) if answer.returncode == 0 else {}
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        logger.info("The Pulumi CLI does not know the stack %s in %s: %s", stack, folder, error)
        return {}
    if answer.returncode:
        logger.info("The Pulumi CLI does not know the stack %s in %s: %s", stack, folder, answer.stderr.strip())
    return {name: value for name, value in known.items() if isinstance(value, str)} if isinstance(known, dict) else {}
