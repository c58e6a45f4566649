"""Freezing the gateway for the length of a block, under the eyes of a watchdog process.

A frozen gateway is thawed on every way out: at the end of the freeze, by the watchdog when the agent dies or overruns,
and by the backup unit's ExecStopPost (`openclaw-s3-backup.py --thaw`) when the whole unit is killed.
"""

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from openclaw_agent.errors import AgentError
from openclaw_agent.fs.descriptors import close_inherited
from openclaw_agent.host.freezer import Gateway, run_program, thaw

FREEZE_TIMEOUT_SECONDS = 20.0
LATE_FREEZE_SECONDS = 2
FROZEN_SINCE = "since "
LONGEST_REPORT = 4096


class FreezeUnavailable(AgentError):
    """The gateway runs but cannot be frozen; the capture is then made live.

    `thaw_problem` says why it may be frozen all the same, "" when it runs.
    """

    thaw_problem = ""


@dataclass(slots=True)
class Freeze:
    """A freeze under way: its budget in seconds, and how long it took once it is over.

    `thaw_problem` says why the gateway may still be frozen then, "" when it runs.
    """

    budget: float
    began: float
    milliseconds: float = 0.0
    thaw_problem: str = ""

    def spent(self) -> bool:
        """Whether the budget is used up."""
        return time.monotonic() - self.began >= self.budget


@contextlib.contextmanager
def frozen(gateway: Gateway, budget: float) -> Iterator[Freeze]:
    """Freeze the gateway for the length of the block, and thaw it whatever happens.

    Raises:
        FreezeUnavailable: when the gateway cannot be frozen; it is running then.
    """
    began = time.monotonic()
    with _watcher(gateway, budget) as wait_until_frozen:
        freeze = Freeze(budget, began)
        unavailable: FreezeUnavailable | None = None
        try:
            # The budget is for what is done while the gateway is frozen, not for the request to stop it; and it runs
            # from when that began, not from when a hanging agent got to hear of it.
            freeze.budget += wait_until_frozen() - began
            yield freeze
        except FreezeUnavailable as problem:
            unavailable = problem
            raise
        finally:
            try:
                thaw(gateway)
            except AgentError as problem:
                # The backup is made all the same; the run says so at its end.
                freeze.thaw_problem = str(problem)
                if unavailable is not None:
                    unavailable.thaw_problem = str(problem)
            freeze.milliseconds = (time.monotonic() - began) * 1000


@contextlib.contextmanager
def _watcher(gateway: Gateway, budget: float) -> Iterator[Callable[[], float]]:
    # The watcher is the one that freezes, so that its clock runs from that very moment, however the agent fares. It
    # notices the agent's death by the end of the pipe, whatever killed it, and thaws in its place.
    alive, end_of_agent = os.pipe()
    report, telling = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setsid()
            close_inherited({alive, telling})
            _freeze_and_watch(gateway, alive, telling, budget)
        os._exit(0)
    os.close(alive)
    os.close(telling)

    def wait_until_frozen() -> float:
        """Wait until the gateway is frozen; return since when, on the monotonic clock."""
        ready, _, _ = select.select([report], [], [], FREEZE_TIMEOUT_SECONDS + LATE_FREEZE_SECONDS)
        told = os.read(report, LONGEST_REPORT).decode(errors="replace") if ready else ""
        if told.startswith(FROZEN_SINCE):
            return float(told.removeprefix(FROZEN_SINCE))
        if told:
            raise FreezeUnavailable(told)
        # The watcher died with the freeze on its way: it may take effect after a first thaw.
        with contextlib.suppress(AgentError):
            thaw(gateway)
        time.sleep(LATE_FREEZE_SECONDS)
        raise FreezeUnavailable("The process that freezes the gateway has died.")

    try:
        yield wait_until_frozen
    finally:
        # After an overrun the watcher has thawed, and is gone.
        with contextlib.suppress(BrokenPipeError):
            os.write(end_of_agent, b".")
        os.close(end_of_agent)
        os.close(report)
        os.waitpid(child, 0)


def _freeze_and_watch(gateway: Gateway, alive: int, telling: int, budget: float) -> None:
    try:
        run_program(gateway.freeze_command, FREEZE_TIMEOUT_SECONDS)
    except AgentError as problem:
        os.write(telling, str(problem).encode()[:LONGEST_REPORT])
        return
    with contextlib.suppress(BrokenPipeError):
        os.write(telling, f"{FROZEN_SINCE}{time.monotonic()}".encode())
    if not _told(alive, budget + 1):
        thaw(gateway)


def _told(reading: int, seconds: float) -> bool:
    ready, _, _ = select.select([reading], [], [], seconds)
    return bool(ready) and os.read(reading, 1) != b""
