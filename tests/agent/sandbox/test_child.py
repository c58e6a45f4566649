"""Work on hostile bytes: it ends within its limits, has nothing of the agent's, and reaches nothing but its files."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_agent.fs.descriptors import open_descriptors
from openclaw_agent.sandbox.child import Confine, OverLimit, Owner, WorkFailed, run_confined
from openclaw_agent.sandbox.limits import GIB, Limits, limits_for
from openclaw_agent.sandbox.time_lost import TimeLost
from tests.support.privileges import root_only
from tests.support.processes import children

needs_root = root_only("only root gives its children other ids")
GATEWAY = Owner(1000, 1000)
PATIENT = Limits(seconds=60, file_bytes=1024 * 1024)
SHORT = Limits(seconds=0.4, file_bytes=1024 * 1024)


def spin(confine: Confine) -> bytes:
    confine()
    while True:
        pass


def sleep(confine: Confine) -> bytes:
    confine()
    time.sleep(60)
    return b""


def wait_at_a_fifo(confine: Confine) -> bytes:
    confine()
    with contextlib.suppress(FileNotFoundError):
        os.open("fifo", os.O_RDONLY)
    return b""


def ignore_every_signal(confine: Confine) -> bytes:
    confine()
    for number in range(1, signal.NSIG):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True:
        time.sleep(1)


def close_the_pipe_and_go_on(confine: Confine) -> bytes:
    confine()
    os.closerange(3, 100)
    while True:
        time.sleep(1)


def take_memory(confine: Confine) -> bytes:
    confine()
    return bytes(2 * GIB)


def take_memory_bit_by_bit(confine: Confine) -> bytes:
    confine()
    held = []
    while True:
        held.append(bytes(1024 * 1024))


def die(confine: Confine) -> bytes:
    confine()
    os.abort()


def leave(confine: Confine) -> bytes:
    confine()
    os._exit(7)


def fail(confine: Confine) -> bytes:
    confine()
    raise ValueError("not today")


def dig(confine: Confine) -> bytes:
    confine()

    def deeper() -> None:
        deeper()

    deeper()
    return b""


ENDLESS = "it took more than 0 s"
HOSTILE: dict[Callable[[Confine], bytes], tuple[type[Exception], str]] = {
    spin: (OverLimit, ENDLESS),
    sleep: (OverLimit, ENDLESS),
    wait_at_a_fifo: (OverLimit, ENDLESS),
    ignore_every_signal: (OverLimit, ENDLESS),
    close_the_pipe_and_go_on: (WorkFailed, r"ended by signal 9"),
    take_memory: (OverLimit, "MiB of memory"),
    take_memory_bit_by_bit: (OverLimit, "MiB of memory"),
    die: (WorkFailed, "ended by signal"),
    leave: (WorkFailed, "gave no result"),
    fail: (WorkFailed, "not today"),
    dig: (WorkFailed, "RecursionError"),
}


@pytest.mark.parametrize("work", HOSTILE, ids=lambda work: work.__name__)
def test_whatever_the_work_does_it_ends_in_time_and_leaves_no_process(
    work: Callable[[Confine], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo", 0o666)
    tmp_path.chmod(0o755)
    kind, text = HOSTILE[work]
    before, processes, began = open_descriptors(), children(), time.monotonic()
    # What ends by itself may be slow to do so on a busy machine.
    with pytest.raises(kind, match=text):
        run_confined(work, SHORT if text == ENDLESS else PATIENT, GATEWAY)
    assert text != ENDLESS or time.monotonic() - began < 20
    assert open_descriptors() == before
    assert children() == processes


FORBIDDEN: dict[str, Callable[[], object]] = {
    "a socket to anywhere": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "a socket to the machine's services": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "a pair of sockets": socket.socketpair,
    "a process": os.fork,
    "another program": lambda: os.execv("/bin/true", ["true"]),
    "a signal": lambda: os.kill(os.getppid(), 0),
}
FORBIDDEN_TO_USERS: dict[str, Callable[[], object]] = {
    "root again": lambda: os.setresuid(0, 0, 0),
    "root's files": lambda: os.open("/etc/shadow", os.O_RDONLY),
    "files of its own elsewhere": lambda: os.open("/etc/made", os.O_WRONLY | os.O_CREAT),
}


@pytest.mark.parametrize("attempt", FORBIDDEN.values(), ids=FORBIDDEN)
def test_confined_work_gets_no(attempt: Callable[[], object]) -> None:
    with pytest.raises(WorkFailed, match="PermissionError"):
        run_confined(_trying(attempt), PATIENT, GATEWAY)


@needs_root
@pytest.mark.parametrize("attempt", FORBIDDEN_TO_USERS.values(), ids=FORBIDDEN_TO_USERS)
def test_work_for_a_user_gets_no(attempt: Callable[[], object]) -> None:
    with pytest.raises(WorkFailed, match="PermissionError"):
        run_confined(_trying(attempt), PATIENT, GATEWAY)


def _trying(attempt: Callable[[], object]) -> Callable[[Confine], bytes]:
    def work(confine: Confine) -> bytes:
        confine()
        return repr(attempt()).encode()

    return work


@needs_root
def test_confined_work_has_the_owners_ids_and_no_more_groups() -> None:
    def work(confine: Confine) -> bytes:
        confine()
        return f"{os.getresuid()} {os.getresgid()} {os.getgroups()}".encode()

    assert run_confined(work, PATIENT, Owner(1000, 1001)) == b"(1000, 1000, 1000) (1001, 1001, 1001) []"


def test_work_has_nothing_open_of_the_agents_but_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(b"given")
    with (tmp_path / "given").open("rb") as given, (tmp_path / "secret").open("wb"):

        def work(confine: Confine) -> bytes:
            confine()
            places = [str(Path(f"/proc/self/fd/{handle}").readlink()) for handle in open_descriptors()]
            return "\n".join(place for place in places if not place.startswith("pipe:")).encode()

        found = run_confined(work, PATIENT, GATEWAY, keep={given.fileno()}).decode().split("\n")
    assert sorted(set(found)) == ["/dev/null", str(tmp_path / "given")]


def test_files_that_work_writes_stay_within_their_limit(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as out:

        def work(confine: Confine) -> bytes:
            confine()
            os.pwrite(out.fileno(), b"x", SHORT.file_bytes + 1)
            return b""

        with pytest.raises(WorkFailed, match="File too large"):
            run_confined(work, PATIENT, GATEWAY, keep={out.fileno()})
    assert (tmp_path / "file").stat().st_size == 0


def test_an_interrupted_run_leaves_no_child() -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    processes = children()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            run_confined(sleep, Limits(seconds=30, file_bytes=0), GATEWAY)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert children() == processes


def test_the_child_of_an_agent_that_is_killed_goes_with_it() -> None:
    reading, writing = os.pipe()
    agent = os.fork()
    if agent == 0:

        def work(confine: Confine) -> bytes:
            confine()
            os.write(writing, b".")
            time.sleep(60)
            return b""

        run_confined(work, Limits(seconds=60, file_bytes=0), GATEWAY, keep={writing})
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 1) == b"."
    os.kill(agent, signal.SIGKILL)
    os.waitpid(agent, 0)
    # The pipe ends with the last process that holds it.
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_time_grows_with_the_size_and_memory_does_not() -> None:
    small, large = limits_for(0), limits_for(3 * GIB)
    assert large.seconds - small.seconds == 180
    assert large.memory_bytes == small.memory_bytes


def test_much_that_comes_to_nothing_costs_as_little_as_some() -> None:
    time_lost = TimeLost(most_lost=25)
    tries = 0
    while (limits := time_lost.limits(0)) is not None:
        tries += 1
        time_lost.lose(limits.seconds)
    assert tries == 3


def test_a_deadline_over_all_shortens_what_is_left() -> None:
    limits = TimeLost(most=2).limits(GIB)
    assert limits is not None
    assert 1 < limits.seconds <= 2
    assert TimeLost(most=0).limits(0) is None
