"""Standing the gateway still for a moment: one small interface, for compose containers and for a systemd unit.

A frozen gateway is thawed on every way out: at the end of the freeze, by a watcher process when the agent dies or
overruns, and by the backup unit's ExecStopPost (`openclaw-s3-backup.py --thaw`) when the whole unit is killed.
"""

import contextlib
import os
import re
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from openclaw_agent.errors import AgentError
from openclaw_agent.fs.descriptors import close_inherited

FREEZE_TIMEOUT_SECONDS = 20.0
# To ask and to thaw, as ExecStopPost does, must both fit into the backup unit's TimeoutStopSec (15 s).
ASK_TIMEOUT_SECONDS = 5.0
THAW_TIMEOUT_SECONDS = 9.0
THAW_ATTEMPT_SECONDS = 4.0
THAW_PAUSE_SECONDS = 0.3
LATE_FREEZE_SECONDS = 2
STANDS_STILL = "since "
LONGEST_REPORT = 4096
# What docker and systemctl say of a gateway that needs no thaw: a unit with a pending job is about to be stopped, and
# systemd thaws what it stops (unit.c, unit_stop).
_NEEDS_NO_THAW = re.compile(
    r"is not paused|is not running|[Nn]o such container|is inactive|has a pending job|not loaded|not be found|not found"
)
_STATES_OF_A_RUNNING_UNIT = frozenset({"active", "activating", "deactivating", "reloading", "refreshing"})


class FreezeUnavailable(AgentError):
    """The gateway runs but cannot be frozen; the capture is then made live.

    `thaw_problem` says why it may stand still all the same, "" when it runs.
    """

    thaw_problem = ""


class GatewayUnknown(AgentError):
    """Nobody can say whether the gateway runs."""


class CommandFailed(AgentError):
    """A command ended badly; `complaint` is what it wrote to standard error."""

    def __init__(self, sentence: str, complaint: str = "") -> None:
        super().__init__(sentence)
        self.complaint = complaint


class Freezer(Protocol):
    """Freezes and thaws the gateway."""

    def is_running(self) -> bool:
        """Whether there is anything to freeze.

        Raises:
            GatewayUnknown: when it cannot be told.
        """

    def freeze_command(self) -> Sequence[str]:
        """The command that returns once the gateway stands still."""

    def thaw_command(self) -> Sequence[str]:
        """The command that lets it go on; harmless when it is not frozen."""


class NothingToFreeze:
    """No gateway on this machine: the state folder is taken as it is."""

    def is_running(self) -> bool:
        """Nothing runs."""
        return False

    def freeze_command(self) -> Sequence[str]:
        """Do nothing."""
        return ("true",)

    def thaw_command(self) -> Sequence[str]:
        """Do nothing."""
        return ("true",)


@dataclass(frozen=True, slots=True)
class UnitFreezer:
    """A systemd unit's cgroup (needs cgroup v2)."""

    unit: str

    def is_running(self) -> bool:
        """Whether the unit is active, or on its way there or back."""
        # It exits with 3 or 4 for a unit that is not active; the word on its output tells more.
        return _ask(("systemctl", "is-active", self.unit), (0, 3, 4)).strip() in _STATES_OF_A_RUNNING_UNIT

    def freeze_command(self) -> Sequence[str]:
        """Freeze the unit's cgroup."""
        return ("systemctl", "freeze", self.unit)

    def thaw_command(self) -> Sequence[str]:
        """Thaw the unit's cgroup."""
        return ("systemctl", "thaw", self.unit)


@dataclass(slots=True)
class ComposeFreezer:
    """The running containers of a compose project."""

    project: str
    containers: tuple[str, ...] = ()

    def is_running(self) -> bool:
        """Whether the project has running or paused containers; remembers which."""
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
        self.containers = tuple(listed.split())
        return bool(self.containers)

    def freeze_command(self) -> Sequence[str]:
        """Pause the containers."""
        return ("docker", "pause", *self.containers)

    def thaw_command(self) -> Sequence[str]:
        """Unpause the containers."""
        return ("docker", "unpause", *self.containers) if self.containers else ("true",)


def freezer_for(specification: str) -> Freezer:
    """The freezer that a setting names: `none`, `compose:<project>` or `systemd:<unit>`."""
    kind, _, name = specification.partition(":")
    if kind == "systemd":
        return UnitFreezer(name)
    if kind == "compose":
        return ComposeFreezer(name)
    return NothingToFreeze()


@dataclass(slots=True)
class Freeze:
    """A freeze under way: its budget in seconds, and how long it took once it is over.

    `thaw_problem` says why the gateway may still stand still then, "" when it runs.
    """

    budget: float
    began: float
    milliseconds: float = 0.0
    thaw_problem: str = ""

    def spent(self) -> bool:
        """Whether the budget is used up."""
        return time.monotonic() - self.began >= self.budget


@contextlib.contextmanager
def frozen(freezer: Freezer, budget: float) -> Iterator[Freeze]:
    """Freeze the gateway for the length of the block, and thaw it whatever happens.

    Raises:
        FreezeUnavailable: when the gateway cannot be frozen; it is running then.
    """
    began = time.monotonic()
    with _watcher(freezer, budget) as stands_still:
        freeze = Freeze(budget, began)
        unavailable: FreezeUnavailable | None = None
        try:
            # The budget is for what is done while the gateway stands still, not for the request to stop it; and it runs
            # from when that began, not from when a hanging agent got to hear of it.
            freeze.budget += stands_still() - began
            yield freeze
        except FreezeUnavailable as problem:
            unavailable = problem
            raise
        finally:
            try:
                thaw(freezer)
            except AgentError as problem:
                # The backup is made all the same; the run says so at its end.
                freeze.thaw_problem = str(problem)
                if unavailable is not None:
                    unavailable.thaw_problem = str(problem)
            freeze.milliseconds = (time.monotonic() - began) * 1000


def thaw(freezer: Freezer) -> None:
    """Let the gateway go on; a gateway that was not frozen, or is gone, is no error.

    Raises:
        AgentError: when it may still stand still, after several attempts.
    """
    deadline = time.monotonic() + THAW_TIMEOUT_SECONDS
    while True:
        try:
            _run(freezer.thaw_command(), min(THAW_ATTEMPT_SECONDS, max(deadline - time.monotonic(), 0.1)))
        except CommandFailed as problem:
            complaints = [line for line in problem.complaint.splitlines() if line.strip()]
            if complaints and all(_NEEDS_NO_THAW.search(line) for line in complaints):
                return
            if time.monotonic() + THAW_PAUSE_SECONDS >= deadline:
                command = " ".join(freezer.thaw_command())
                raise AgentError(f"The gateway may still be frozen ({problem}); thaw it with: {command}") from problem
            time.sleep(THAW_PAUSE_SECONDS)
        else:
            return


@contextlib.contextmanager
def _watcher(freezer: Freezer, budget: float) -> Iterator[Callable[[], float]]:
    # The watcher is the one that freezes, so that its clock runs from that very moment, however the agent fares. It
    # notices the agent's death by the end of the pipe, whatever killed it, and thaws in its place.
    alive, end_of_agent = os.pipe()
    report, telling = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setsid()
            close_inherited({alive, telling})
            _freeze_and_watch(freezer, alive, telling, budget)
        os._exit(0)
    os.close(alive)
    os.close(telling)

    def stands_still() -> float:
        """Wait until the gateway stands still; return since when, on the monotonic clock."""
        ready, _, _ = select.select([report], [], [], FREEZE_TIMEOUT_SECONDS + LATE_FREEZE_SECONDS)
        told = os.read(report, LONGEST_REPORT).decode(errors="replace") if ready else ""
        if told.startswith(STANDS_STILL):
            return float(told.removeprefix(STANDS_STILL))
        if told:
            raise FreezeUnavailable(told)
        # The watcher died with the freeze on its way: it may take effect after a first thaw.
        with contextlib.suppress(AgentError):
            thaw(freezer)
        time.sleep(LATE_FREEZE_SECONDS)
        raise FreezeUnavailable("The process that freezes the gateway has died.")

    try:
        yield stands_still
    finally:
        # After an overrun the watcher has thawed, and is gone.
        with contextlib.suppress(BrokenPipeError):
            os.write(end_of_agent, b".")
        os.close(end_of_agent)
        os.close(report)
        os.waitpid(child, 0)


def _freeze_and_watch(freezer: Freezer, alive: int, telling: int, budget: float) -> None:
    try:
        _run(freezer.freeze_command(), FREEZE_TIMEOUT_SECONDS)
    except AgentError as problem:
        os.write(telling, str(problem).encode()[:LONGEST_REPORT])
        return
    with contextlib.suppress(BrokenPipeError):
        os.write(telling, f"{STANDS_STILL}{time.monotonic()}".encode())
    if not _told(alive, budget + 1):
        thaw(freezer)


def _told(reading: int, seconds: float) -> bool:
    ready, _, _ = select.select([reading], [], [], seconds)
    return bool(ready) and os.read(reading, 1) != b""


def _ask(command: Sequence[str], expected: Sequence[int] = (0,)) -> str:
    try:
        return _run(command, ASK_TIMEOUT_SECONDS, expected)
    except CommandFailed as problem:
        raise GatewayUnknown(f"it cannot be told whether the gateway runs ({problem})") from problem


def _run(command: Sequence[str], timeout: float, expected: Sequence[int] = (0,)) -> str:
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
