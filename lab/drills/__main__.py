"""Run drills and report what they cost: `python -m lab.drills [NAME…]`."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.drills.catalogue import DRILLS, Drill, chosen
from lab.drills.scenario import running_scenario
from lab.drills.seed_data import SeedData
from lab.host.capabilities import Feature, capabilities, inspect_host
from lab.host.errors import InstanceError
from lab.host.signals import end_cleanly_on_signals
from lab.moto.errors import ServerFailed
from lab.report.record import DrillRecord, encode_records
from lab.report.render import write_report
from lab.world.deployment import REPOSITORY, temporary_state_dir
from lab.world.pulumi import EngineError
from lab.world.terminal import Terminal
from lab.world.world import World, deployed_world

REPORT_FOLDER = REPOSITORY / ".cache" / "drills"
SECONDS_IN_THE_TABLE = "{:.0f} s"


def main() -> int:
    """Run the chosen drills; 0 when every check holds."""
    parser = argparse.ArgumentParser(prog="make drills", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="drills to run (default: all; see --list)")
    parser.add_argument("--list", action="store_true", help="name the drills and run none")
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    options = parser.parse_args()
    try:
        drills = chosen([name for name in options.names if name])
    except ValueError as problem:
        print(f"make drills: {problem}", file=sys.stderr)
        return 2
    if options.list:
        print("\n".join(f"{drill.number:>3}  {drill.name:<18} {drill.title}" for drill in DRILLS))
        return 0
    booting = next(row for row in capabilities(inspect_host()) if row.feature is Feature.MACHINE)
    if not booting.can_run:
        print(f"make drills: nothing can be booted here: {booting.reason}.", file=sys.stderr)
        return 1
    end_cleanly_on_signals()
    return _run(drills, verbose=options.verbose)


def _run(drills: Sequence[Drill], *, verbose: bool) -> int:
    terminal = Terminal()
    scratch = temporary_state_dir()
    records: list[DrillRecord] = []
    gateway = ""
    try:
        with deployed_world(terminal, scratch) as world:
            gateway = world.host.image.gateway.value
            seed_data = SeedData(world.host.image.gateway)
            for drill in drills:
                records.append(run_drill(drill, world, seed_data, terminal, verbose=verbose))
    except (EngineError, InstanceError, ServerFailed) as problem:
        if verbose:
            raise
        terminal.console.print(f"[red]make drills failed:[/red] {problem}", soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        terminal.console.print("Interrupted; everything is cleaned up.")
        return 130
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if records:
            _report(records, gateway, terminal.console)
    return 0 if all(record.passed for record in records) else 1


def run_drill(
    drill: Drill, world: World, seed_data: SeedData, terminal: Terminal, *, verbose: bool = False
) -> DrillRecord:
    """Run one drill, whatever became of those before; what fails is in the record."""
    record = DrillRecord(drill.number, drill.name, drill.title)
    with terminal.section(f"Drill {drill.number}: {drill.title}"):
        try:
            with running_scenario(world, terminal, record, seed_data) as scenario:
                drill.run(scenario)
        except Exception as problem:  # noqa: BLE001 - the next drill is run whatever went wrong in this one
            terminal.console.print(f"[red]failed:[/red] {record.failure or problem}", soft_wrap=True)
            if verbose:
                terminal.console.print_exception()
            seed_data.is_there = False
            _leave_nothing(world)
    return record


def _leave_nothing(world: World) -> None:
    # The next drill begins with one machine of its own.
    world.resize_group(1)
    world.lose_machine()


def _report(records: Sequence[DrillRecord], gateway: str, console: Console) -> None:
    REPORT_FOLDER.mkdir(parents=True, exist_ok=True)
    (REPORT_FOLDER / "records.json").write_text(encode_records(records))
    report: Path = REPORT_FOLDER / "report.html"
    write_report(records, report, made_at=datetime.now(UTC), gateway=gateway)
    table = Table("", "drill", "what happened", "work lost", "to ready", "", highlight=False)
    for record in records:
        table.add_row(
            str(record.number),
            record.title,
            record.failure or record.skipped or record.what_happened,
            _seconds(record.lost_seconds),
            _seconds(record.ready_seconds),
            "[green]ok[/green]" if record.passed else "[red]failed[/red]",
        )
    console.print(table)
    console.print(f"The timeline of each drill: {report}", soft_wrap=True)


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else SECONDS_IN_THE_TABLE.format(seconds)


if __name__ == "__main__":
    sys.exit(main())
