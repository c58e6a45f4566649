"""Somebody of the gateway's uid swaps folders, files and links all the time, while root works on its state.

The property: whatever is swapped meanwhile, nothing outside of the state folder changes in content, mode, owner or
time, and no byte from there is read into S3.
"""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from openclaw_agent.boot import boot
from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from tests.support.mounts import Mounts, needs_mounts
from tests.support.plain_copies import give_all, plain_copy
from tests.support.privileges import root_only
from tests.support.simulated_instance import SimulatedInstance, picture

pytestmark = root_only("only root has something to lose to the gateway")

# At full size: OPENCLAW_SWAPS=10000 against each command.
SWAPS = int(os.environ.get("OPENCLAW_SWAPS", "300"))
MOST_SECONDS = 5 if SWAPS <= 300 else 600
CANARY = "canary-0f4b7c of the host"
RENAME_EXCHANGE = 2
# In a state that is a volume of its own, restores work in this folder of it.
WORK_FOLDER = ".openclaw-agent"
PLACES = ("workspace", "openclaw.json", "state", "manifest.json", ".openclaw", ".config")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder of root's outside of the state, of which nothing may change and nothing be read."""
    folder = tmp_path / "host"
    for inner in ("openclaw", "state", "agent"):
        (folder / inner).mkdir(parents=True)
    for name in (
        "notes.md",
        "openclaw.json",
        "openclaw/secret",
        "state/openclaw.sqlite",
        "agent/run.sh",
        "manifest.json",
    ):
        (folder / name).write_text(CANARY)
        (folder / name).chmod(0o600)
    os.chown(folder / "agent", 0, 0)
    return folder


@pytest.fixture
def victim(machine: SimulatedInstance, host: Path) -> SimulatedInstance:
    return with_twins(machine, host)


@pytest.fixture
def victim_on_a_volume(machine: SimulatedInstance, host: Path, mounts: Mounts) -> SimulatedInstance:
    mounts.mount("tmpfs", machine.state, machine.state)
    return with_twins(machine, host)


def with_twins(machine: SimulatedInstance, host: Path) -> SimulatedInstance:
    """Give it a state of the gateway's with a twin of each place, of which some lead to the host, and back it up."""
    for number in range(12):
        machine.write(f"workspace/deep/{number}/notes.md", f"note {number}")
    machine.write("workspace/notes.md", "note")
    machine.write("openclaw.json", "{}")
    machine.write("state/openclaw.sqlite", "no database")
    machine.write("manifest.json", '{"format":2}')
    machine.write(".openclaw/openclaw.json", "{}")
    machine.write(".config/openclaw/key", "key")
    twins = machine.state / "twins"
    twins.mkdir()
    for number, place in enumerate(PLACES):
        target = {"openclaw.json": host / "openclaw.json", "manifest.json": host / "manifest.json"}.get(place, host)
        (twins / str(number)).symlink_to(target)
    (twins / "file").symlink_to(host / "notes.md")
    (twins / "work").symlink_to(host)
    for suffix in ("", "-2", "-3"):
        (twins / f"own-work/state.restoring{suffix}").mkdir(parents=True)
        (twins / f"own-work/state.restoring{suffix}/workspace").symlink_to(host)
    os.mkfifo(twins / "pipe")
    give_all(machine.state)
    assert machine.backup().code in (0, 4)
    return machine


def swap_for_ever(state: Path, count: int, to_parent: int) -> None:
    """As the gateway: exchange each place with its twin, and pieces deeper down, until nobody reads any more."""
    # By handle: the folders of a test are its user's alone. What is swapped in for the state is reached all the same.
    around = os.open(state.parent, os.O_PATH | os.O_DIRECTORY)
    os.setgroups([])
    os.setgid(GATEWAY_UID)
    os.setuid(GATEWAY_UID)
    exchange = ctypes.CDLL(None).renameat2
    pairs = [(place, f"twins/{number}") for number, place in enumerate(PLACES)]
    pairs += [(WORK_FOLDER, "twins/work"), (WORK_FOLDER, "twins/own-work")]
    pairs += [("workspace/notes.md", "twins/file"), ("workspace/deep/3", "twins/pipe")]
    names = [[os.fsencode(f"{state.name}/{path}") for path in pair] for pair in pairs]
    done = 0
    while True:
        for one, other in names:
            if exchange(around, one, around, other, RENAME_EXCHANGE) == 0:
                done += 1
                if done == count:
                    os.write(to_parent, b".")


@contextmanager
def swapped(state: Path) -> Iterator[Callable[[], bool]]:
    """Swaps in a process of its own; yields whether there have been enough of them."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            swap_for_ever(state, SWAPS, writing)
        os._exit(1)
    end = time.monotonic() + MOST_SECONDS

    def enough() -> bool:
        with suppress(BlockingIOError):
            if os.read(reading, 1):
                return True
        assert time.monotonic() < end, f"fewer than {SWAPS} swaps in {MOST_SECONDS} s"
        return False

    try:
        yield enough
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def back_up(machine: SimulatedInstance) -> None:
    machine.backup("--full")


def start(machine: SimulatedInstance) -> None:
    machine.restore("before-start")


def restore(machine: SimulatedInstance) -> None:
    machine.restore("run", "--force")


def restore_a_path(machine: SimulatedInstance) -> None:
    machine.restore("run", "--path", "workspace/notes.md", "--path", "workspace/deep", "--force")


def reboot(machine: SimulatedInstance) -> None:
    machine.reboot()


def compare(machine: SimulatedInstance) -> None:
    machine.restore("diff", "latest")


def verify(machine: SimulatedInstance) -> None:
    machine.restore("verify")


def take_the_inbox(machine: SimulatedInstance) -> None:
    name = machine.world.snapshots()[0]
    inbox = machine.state.with_name("state.incoming")
    inbox.mkdir(mode=0o700, exist_ok=True)
    plain_copy(machine.world, f"snapshots/{name}/", inbox)
    machine.restore("before-start")


def settle_a_copy(machine: SimulatedInstance) -> None:
    for place in ("workspace/deep/1/notes.md", "workspace/deep/2/notes.md"):
        with suppress(OSError):
            os.chown(machine.state / place, 0, 0, follow_symlinks=False)
    machine.restore("before-start")


COMMANDS = (back_up, start, restore, restore_a_path, reboot, compare, verify, take_the_inbox, settle_a_copy)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_nothing_outside_of_the_state_changes_and_nothing_of_it_reaches_s3(
    victim: SimulatedInstance, host: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[SimulatedInstance], None]
) -> None:
    monkeypatch.setattr(boot, "MINIMAL_CONFIG", Path(__file__))
    hold_against(victim, host, command)


@needs_mounts
@pytest.mark.parametrize("command", [restore, restore_a_path, take_the_inbox], ids=lambda command: command.__name__)
def test_the_same_where_restores_work_inside_the_gateways_own_folder(
    victim_on_a_volume: SimulatedInstance, host: Path, command: Callable[[SimulatedInstance], None]
) -> None:
    hold_against(victim_on_a_volume, host, command)


def hold_against(machine: SimulatedInstance, host: Path, command: Callable[[SimulatedInstance], None]) -> None:
    before = picture(host)
    with swapped(machine.state) as enough:
        while not enough():
            command(machine)
            assert picture(host) == before
    command(machine)
    assert picture(host) == before
    assert not [key for key in sorted(machine.world.keys()) if CANARY.encode() in machine.world.get(key)]
