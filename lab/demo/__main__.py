"""Tell the story: `python -m lab.demo [--keep]`."""

import argparse
import shutil
import signal
import sys
from contextlib import closing, suppress
from pathlib import Path

from lab.demo.life import (
    Instances,
    back_up,
    show_boot,
    show_second_life,
    show_secret_stays_put,
    write_through_gateway,
)
from lab.demo.retention import show_lifecycle
from lab.demo.without_machine import show_backup_and_restore
from lab.host.capabilities import Piece, capabilities, inspect_host
from lab.host.errors import InstanceError
from lab.host.gateway_engine import GatewayEngine, chosen_engine
from lab.host.signals import end_cleanly_on_signals
from lab.machine.fleet import MachineFleet
from lab.machine.hypervisor import Hypervisor
from lab.machine.machine import Machine
from lab.moto.errors import ServerFailed
from lab.moto.server import EmbeddedAws
from lab.world.deployment import (
    REPOSITORY,
    DeployedStacks,
    deploy,
    destroy,
    group_name,
    temporary_state_dir,
)
from lab.world.gateway_life import hold_gateway
from lab.world.narration import CheckFailed, Terminal
from lab.world.pulumi import EngineError
from lab.world.waiting import until

LAST_RUN = REPOSITORY / ".cache" / "lab" / "last-run"


def main() -> int:
    """Run the whole story; 0 when everything that could run here holds."""
    parser = argparse.ArgumentParser(prog="make lab", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the instance running until Ctrl-C")
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    options = parser.parse_args()
    end_cleanly_on_signals()
    say = Terminal()
    state_dir = temporary_state_dir()
    try:
        tell(say, state_dir, keep=options.keep)
    except (CheckFailed, EngineError, InstanceError, ServerFailed) as problem:
        if options.verbose:
            raise
        say.console.print(f"[red]make lab failed:[/red] {problem}", soft_wrap=True)
        say.console.print(f"Logs of the machines: {LAST_RUN}" if LAST_RUN.exists() else "")
        return 1
    except KeyboardInterrupt:
        say.console.print("Interrupted; everything is cleaned up.")
        return 130
    finally:
        shutil.rmtree(state_dir, ignore_errors=True)
    return 0


def tell(say: Terminal, state_dir: Path, *, keep: bool) -> None:
    """All chapters that can run here."""
    machine_ability = next(row for row in capabilities(inspect_host()) if row.piece is Piece.MACHINE)
    # A person who asked for an engine is told why there is none, and not shown something else.
    if machine_ability.can_run or chosen_engine() is GatewayEngine.DOCKER:
        host = MachineFleet(say.step)
        with say.chapter("A machine that can boot the instance"):
            host.open()
        with closing(host), EmbeddedAws(host=str(host.host_address)) as aws:
            _tell_booted(say, aws, host, state_dir, keep=keep)
    else:
        say.skip("the booted instance", machine_ability.reason)
        with EmbeddedAws() as aws:
            with say.chapter("Both stacks in the embedded AWS"):
                cloud = deploy(aws, state_dir, say)
            with say.chapter("Backup and restore without a machine"):
                show_backup_and_restore(cloud, say)
            _tell_the_end(say, cloud, aws.endpoint_url)
    say.closing(["docs/runbook.md: what to do on the day it is needed", *_logs()])


def _tell_booted(say: Terminal, aws: EmbeddedAws, host: MachineFleet, state_dir: Path, *, keep: bool) -> None:
    with _chapter(say, "Both stacks in the embedded AWS"):
        cloud = deploy(aws, state_dir, say)
    hypervisor = Hypervisor(aws.client("ec2"), group_name(cloud), host, aws.endpoint_url, say=say.step)
    instances = Instances(host, hypervisor, say)
    shutil.rmtree(LAST_RUN, ignore_errors=True)
    with _chapter(say, "An instance boots from the user-data of its launch template"):
        first = instances.boot()
        with _logs_kept(first, "first"):
            show_boot(first, instances, cloud, say)
            write_through_gateway(first, instances, say)
            life = back_up(first, say)
            show_secret_stays_put(cloud, first, say)
    with _chapter(say, "The instance vanishes without a warning, and the group replaces it"):
        hypervisor.power_cut(first.instance_id)
        say.step(f"{first.instance_id} is gone: no shutdown, no final backup, no disk")
        until("a replacement", lambda: bool(hypervisor.reconcile().booted), 60)
        second = host.only_machine()
        hold_gateway(second)
        with _logs_kept(second, "second"):
            show_second_life(second, instances, cloud, life, say)
            show_secret_stays_put(cloud, second, say)
    if keep:
        say.step(f"The instance is kept running. Enter it as root: {second.enter_command}")
        say.step(f"The embedded AWS: AWS_ENDPOINT_URL={aws.endpoint_url}, bucket {cloud.bucket}")
        say.step("It lives as long as this program does: Ctrl-C ends both")
        with suppress(KeyboardInterrupt):
            signal.pause()
    _tell_the_end(say, cloud, aws.endpoint_url)
    hypervisor.reconcile()


def _tell_the_end(say: Terminal, cloud: DeployedStacks, endpoint_url: str) -> None:
    with _chapter(say, "A month of snapshots, and the lifecycle"):
        show_lifecycle(cloud, endpoint_url, say)
    with _chapter(say, "pulumi destroy"):
        destroy(cloud, say)


_chapter = Terminal.chapter


class _logs_kept:
    """Copies a machine's journal and logs out of it, however the chapter ends."""

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine = machine
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        target = LAST_RUN / self._name
        target.mkdir(parents=True, exist_ok=True)
        if self._machine.is_running:
            journal = self._machine.run(["journalctl", "--no-pager", "--output=short-precise"], timeout_seconds=60)
            (target / "journal.txt").write_text(journal.stdout)
            for source in self._machine.path("/var/log/openclaw").glob("*.log"):
                shutil.copyfile(source, target / source.name)
        if self._machine.console_log.exists():
            shutil.copyfile(self._machine.console_log, target / "console.txt")


def _logs() -> list[str]:
    folders = sorted(folder for folder in LAST_RUN.glob("*") if folder.is_dir())
    return [f"{folder}: journal, console and the agent's logs" for folder in folders]


if __name__ == "__main__":
    sys.exit(main())
