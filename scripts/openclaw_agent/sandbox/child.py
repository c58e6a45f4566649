"""Running work on hostile bytes in a child process, and ending it when it takes too long or too much."""

import contextlib
import ctypes
import errno
import gc
import os
import resource
import select
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn

from openclaw_agent.fs.descriptors import close_inherited
from openclaw_agent.sandbox.limits import Limits
from openclaw_agent.sandbox.syscall_filter import refuse_all_but_files

NOBODY = 65534
LONGEST_RESULT = 64 * 1024
# A process that was killed and does not end hangs in the kernel: nobody waits for it.
KILLED_SECONDS = 5.0
LEAVING_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_DUMPABLE = 4
_DONE = b"\0"

_libc = ctypes.CDLL(None, use_errno=True)


class OverLimit(Exception):
    """The work was ended because it took too long or too much; the text says which."""


class WorkFailed(Exception):
    """The child ended without a result; the text says how."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose ids a child takes, where the agent may give them."""

    uid: int
    gid: int

    def or_nobody(self) -> "Owner":
        """The same, but never root."""
        return Owner(self.uid or NOBODY, self.gid or NOBODY)


Confine = Callable[[], None]
Work = Callable[[Confine], bytes]


def run_confined(work: Work, limits: Limits, owner: Owner, *, keep: Iterable[int] = ()) -> bytes:
    """Run `work` in a child; return its result, of at most LONGEST_RESULT bytes.

    The work is given a function and calls it once, before it looks at what it was opened for: from then on the child
    has the owner's ids (where the agent is root), no capability, no network, and cannot go back. Of what is open here
    it has `keep`.

    Raises:
        OverLimit: it took too long or too much, and was ended.
        WorkFailed: it ended by itself without a result.
    """
    reading, writing = os.pipe()
    agent = os.getpid()
    child = os.fork()
    if child == 0:
        _be_the_child(work, limits, lambda: _confine(owner, agent), writing, keep)
    os.close(writing)
    result = status = None
    try:
        result = _read_result(reading, time.monotonic() + limits.seconds)
        if result is not None:
            status = _ended(child, LEAVING_SECONDS)
    finally:
        os.close(reading)
        # Also where this run is interrupted: nothing of it lives on.
        if status is None:
            _kill(child, owner)
            status = _ended(child, KILLED_SECONDS)
    if result is None:
        raise OverLimit(f"it took more than {limits.seconds:.0f} s")
    if result[:1] == _DONE:
        return result[1:]
    raise _problem(result, status, limits)


def _problem(result: bytes, status: int | None, limits: Limits) -> OverLimit | WorkFailed:
    number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else 0
    if number in (signal.SIGXCPU, signal.SIGALRM):
        return OverLimit(f"it took more than {limits.seconds:.0f} s")
    text = result.decode(errors="replace")
    if text == MemoryError.__name__:
        return OverLimit(f"it took more than {limits.memory_bytes // 2**20} MiB of memory")
    return WorkFailed(text or (f"its process was ended by signal {number}" if number else "its process gave no result"))


def _be_the_child(work: Work, limits: Limits, confine: Confine, writing: int, keep: Iterable[int]) -> NoReturn:
    code = 1
    try:
        try:
            _let_go(writing, keep)
            _limit(limits)
            result = _DONE + work(confine)
            code = 0
        except MemoryError:
            result = MemoryError.__name__.encode()
        except BaseException as problem:  # noqa: BLE001 - the child's edge: nothing of it may run on as the agent
            result = f"{type(problem).__name__}: {problem}".encode(errors="replace")
        with contextlib.suppress(BaseException):
            os.write(writing, result[:LONGEST_RESULT])
    finally:
        os._exit(code)


def _let_go(writing: int, keep: Iterable[int]) -> None:
    # A signal that the agent answers in its own way just ends the child, and nobody's terminal reaches it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
    os.setsid()
    # The collector would copy the agent's memory page by page.
    gc.disable()
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nothing, standard)
    close_inherited({writing, *keep})


def _limit(limits: Limits) -> None:
    started_with = _virtual_bytes()
    seconds = int(limits.seconds) + 1
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, started_with + limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    # SIGXCPU at the first says what it was, before the second kills without a word.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    # By itself too: without CAP_KILL the agent may not end a process of another user.
    signal.setitimer(signal.ITIMER_REAL, limits.seconds + 1)


def _confine(owner: Owner, agent: int) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(owner.gid, owner.gid, owner.gid)
        os.setresuid(owner.uid, owner.uid, owner.uid)
    # After the ids, for their change takes it back. Whoever has the same uid reads nothing out of this process.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _libc.prctl(_PR_SET_DUMPABLE, 0)
    if os.getppid() != agent:
        # It died before this process would have heard of it.
        os._exit(1)
    try:
        refuse_all_but_files()
    except OSError as problem:
        # A kernel or a machine without filters: ids and limits hold all the same.
        if problem.errno not in (errno.ENOSYS, errno.EINVAL):
            raise


def _virtual_bytes() -> int:
    # As bytes: a codec that nobody has needed yet could not be loaded any more.
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - a Path allocates more than this does
        return int(file.read(100).split()[0]) * resource.getpagesize()


def _read_result(reading: int, deadline: float) -> bytes | None:
    """The result once it is whole; None where it does not come until the deadline (on the monotonic clock)."""
    result = b""
    waiting = select.poll()
    waiting.register(reading, select.POLLIN)
    while len(result) <= LONGEST_RESULT:
        left = deadline - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            return None
        part = os.read(reading, LONGEST_RESULT)
        if not part:
            break
        result += part
    return result


def _kill(child: int, owner: Owner) -> None:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:
        # As the user whose process it is, in a process of its own: this one stays what it is.
        killer = os.fork()
        if killer == 0:
            with contextlib.suppress(BaseException):
                os.setresuid(owner.uid, owner.uid, owner.uid)
                os.kill(child, signal.SIGKILL)
            os._exit(0)
        _ended(killer, KILLED_SECONDS)


def _ended(child: int, seconds: float) -> int | None:
    """The wait status of a child that ends within so many seconds; None for one that does not."""
    try:
        handle = os.pidfd_open(child)
    except ProcessLookupError:
        return None
    try:
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        if not waiting.poll(seconds * 1000):
            return None
        return os.waitpid(child, 0)[1]
    finally:
        os.close(handle)
