"""Run the demo: `python -m lab.demo [--keep]`."""

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
from lab.host.capabilities import Feature, capabilities, inspect_host
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
from lab.world.pulumi import EngineError, PulumiEngine, real_engine_or_stand_in
from lab.world.terminal import CheckFailed, Terminal
from lab.world.waiting import until

LAST_RUN = REPOSITORY / ".cache" / "lab" / "last-run"


def main() -> int:
    """Run the demo; 0 when every check that can run here holds."""
    parser = argparse.ArgumentParser(prog="make lab", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the instance running until Ctrl-C")
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    options = parser.parse_args()
    end_cleanly_on_signals()
    terminal = Terminal()
    state_dir = temporary_state_dir()
    try:
        run(terminal, state_dir, keep=options.keep)
    except (CheckFailed, EngineError, InstanceError, ServerFailed) as problem:
        if options.verbose:
            raise
        terminal.console.print(f"[red]make lab failed:[/red] {problem}", soft_wrap=True)
        terminal.console.print(f"Logs of the machines: {LAST_RUN}" if LAST_RUN.exists() else "")
        return 1
    except KeyboardInterrupt:
        terminal.console.print("Interrupted; everything is cleaned up.")
        return 130
    finally:
        shutil.rmtree(state_dir, ignore_errors=True)
    return 0


def run(terminal: Terminal, state_dir: Path, *, keep: bool) -> None:
    """All sections that can run here."""
    booting = next(row for row in capabilities(inspect_host()) if row.feature is Feature.MACHINE)
    # A person who asked for an engine is told why there is none, and gets nothing else.
    if booting.can_run or chosen_engine() is GatewayEngine.DOCKER:
        host = MachineFleet(terminal.step)
        with terminal.section("A machine that can boot the instance"):
            host.open()
        with (
            closing(host),
            EmbeddedAws(host=str(host.host_address)) as aws,
            real_engine_or_stand_in(aws, state_dir, terminal) as engine,
        ):
            _run_booted(terminal, aws, host, engine, keep=keep)
    else:
        terminal.skip("the booted instance", booting.reason)
        with EmbeddedAws() as aws, real_engine_or_stand_in(aws, state_dir, terminal) as engine:
            with terminal.section("Both stacks in the embedded AWS"):
                cloud = deploy(aws, engine, terminal)
            with terminal.section("Backup and restore without a machine"):
                show_backup_and_restore(cloud, terminal)
            _run_the_end(terminal, cloud, aws.endpoint_url)
    terminal.closing(["docs/runbook.md: what to do on the day it is needed", *_logs()])


def _run_booted(terminal: Terminal, aws: EmbeddedAws, host: MachineFleet, engine: PulumiEngine, *, keep: bool) -> None:
    with _section(terminal, "Both stacks in the embedded AWS"):
        cloud = deploy(aws, engine, terminal)
    hypervisor = Hypervisor(aws.client("ec2"), group_name(cloud), host, aws.endpoint_url, on_step=terminal.step)
    instances = Instances(host, hypervisor, terminal)
    shutil.rmtree(LAST_RUN, ignore_errors=True)
    with _section(terminal, "An instance boots from the user-data of its launch template"):
        first = instances.boot()
        with _logs_kept(first, "first"):
            show_boot(first, instances, cloud, terminal)
            write_through_gateway(first, instances, terminal)
            life = back_up(first, terminal)
            show_secret_stays_put(cloud, first, terminal)
    with _section(terminal, "The instance vanishes without a warning, and the group replaces it"):
        hypervisor.power_cut(first.instance_id)
        terminal.step(f"{first.instance_id} is gone: no shutdown, no final backup, no disk")
        until("a replacement", lambda: bool(hypervisor.reconcile().booted), 60)
        second = host.only_machine()
        hold_gateway(second)
        with _logs_kept(second, "second"):
            show_second_life(second, instances, cloud, life, terminal)
            show_secret_stays_put(cloud, second, terminal)
    if keep:
        terminal.step(f"The instance is kept running. Enter it as root: {second.enter_command}")
        terminal.step(f"The embedded AWS: AWS_ENDPOINT_URL={aws.endpoint_url}, bucket {cloud.bucket}")
        terminal.step("It lives as long as this program does: Ctrl-C ends both")
        with suppress(KeyboardInterrupt):
            signal.pause()
    _run_the_end(terminal, cloud, aws.endpoint_url)
    hypervisor.reconcile()


def _run_the_end(terminal: Terminal, cloud: DeployedStacks, endpoint_url: str) -> None:
    with _section(terminal, "A month of snapshots, and the lifecycle"):
        show_lifecycle(cloud, endpoint_url, terminal)
    with _section(terminal, "pulumi destroy"):
        destroy(cloud, terminal)


_section = Terminal.section


class _logs_kept:
    """Copies a machine's journal and logs out of it, however the section ends."""

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
