"""The gateways that can be frozen for a moment: one small interface, for compose containers and for a systemd unit."""

import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_agent.errors import AgentError
from openclaw_agent.host import units

# To ask and to thaw, as ExecStopPost does, must both fit into the backup unit's TimeoutStopSec (15 s).
ASK_TIMEOUT_SECONDS = 5.0
THAW_TIMEOUT_SECONDS = 9.0
THAW_ATTEMPT_SECONDS = 4.0
THAW_PAUSE_SECONDS = 0.3
# What docker and systemctl say of a gateway that needs no thaw: a unit with a pending job is about to be stopped, and
# systemd thaws what it stops (unit.c, unit_stop).
_NEEDS_NO_THAW = re.compile(
    r"is not paused|is not running|[Nn]o such container|is inactive|has a pending job|not loaded|not be found|not found"
)
_STATES_OF_A_RUNNING_UNIT = frozenset({"active", "activating", "deactivating", "reloading", "refreshing"})


class GatewayUnknown(AgentError):
    """Nobody can say whether the gateway runs."""


class CommandFailed(AgentError):
    """A command ended badly; `complaint` is what it wrote to standard error."""

    def __init__(self, sentence: str, complaint: str = "") -> None:
        super().__init__(sentence)
        self.complaint = complaint


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway as it was found: the command that returns once it is frozen, and the one that thaws it.

    The latter does no harm to one that is not frozen.
    """

    freeze_command: Sequence[str]
    thaw_command: Sequence[str]


class Freezer(Protocol):
    """Finds the gateway that can be frozen."""

    def running_gateway(self) -> Gateway | None:
        """The gateway, if it runs.

        Raises:
            GatewayUnknown: when it cannot be told.
        """


class NothingToFreeze:
    """No gateway on this machine: the state folder is taken as it is."""

    def running_gateway(self) -> None:
        """Nothing runs."""


@dataclass(frozen=True, slots=True)
class UnitFreezer:
    """A systemd unit's cgroup (needs cgroup v2)."""

    unit: str

    @property
    def gateway(self) -> Gateway:
        """The unit's cgroup, whether it runs or not."""
        return Gateway(units.freeze_command(self.unit), units.thaw_command(self.unit))

    def running_gateway(self) -> Gateway | None:
        """The unit's cgroup, where it is active or on its way there or back."""
        # It exits with 3 or 4 for a unit that is not active; the word on its output tells more.
        state = _ask(units.state_command(self.unit), (0, 3, 4)).strip()
        return self.gateway if state in _STATES_OF_A_RUNNING_UNIT else None


@dataclass(frozen=True, slots=True)
class ComposeFreezer:
    """The running containers of a compose project."""

    project: str

    def running_gateway(self) -> Gateway | None:
        """The project's running or paused containers, where it has any."""
        listed = _ask(
            (
                "docker",
                "ps",
                "--quiet",
                "--no-trunc",
                "--filter",
                f"label=com.docker.compose.project={self.project}",
                "--filter",
                "status=running",
                "--filter",
                "status=paused",
            )
        )
        containers = listed.split()
        return Gateway(("docker", "pause", *containers), ("docker", "unpause", *containers)) if containers else None


def freezer_for(specification: str) -> Freezer:
    """The freezer that a setting names: `none`, `compose:<project>` or `systemd:<unit>`."""
    kind, _, name = specification.partition(":")
    if kind == "systemd":
        return UnitFreezer(name)
    if kind == "compose":
        return ComposeFreezer(name)
    return NothingToFreeze()


def thaw(gateway: Gateway) -> None:
    """Thaw the gateway; one that was not frozen, or is gone, is no error.

    Raises:
        AgentError: when it may still be frozen, after several attempts.
    """
    deadline = time.monotonic() + THAW_TIMEOUT_SECONDS
    while True:
        try:
            run_program(gateway.thaw_command, min(THAW_ATTEMPT_SECONDS, max(deadline - time.monotonic(), 0.1)))
        except CommandFailed as problem:
            complaints = [line for line in problem.complaint.splitlines() if line.strip()]
            if complaints and all(_NEEDS_NO_THAW.search(line) for line in complaints):
                return
            if time.monotonic() + THAW_PAUSE_SECONDS >= deadline:
                command = shlex.join(gateway.thaw_command)
                raise AgentError(f"The gateway may still be frozen ({problem}); thaw it with: {command}") from problem
            time.sleep(THAW_PAUSE_SECONDS)
        else:
            return


def _ask(command: Sequence[str], expected: Sequence[int] = (0,)) -> str:
    try:
        return run_program(command, ASK_TIMEOUT_SECONDS, expected)
    except CommandFailed as problem:
        raise GatewayUnknown(f"it cannot be told whether the gateway runs ({problem})") from problem


def run_program(command: Sequence[str], timeout: float, expected: Sequence[int] = (0,)) -> str:
    """Run a command of a freezer, and return what it printed.

    Raises:
        CommandFailed: when it cannot be run, takes too long, or ends with another exit code than expected.
    """
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs, names from our own settings
            command, capture_output=True, text=True, timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise CommandFailed(f"{' '.join(command[:2])} could not be run ({problem})") from problem
    if done.returncode not in expected:
        detail = " ".join(done.stderr.split())[:200] or f"exit code {done.returncode}"
        raise CommandFailed(f"{' '.join(command[:2])} failed: {detail}", done.stderr)
    return done.stdout
