"""The work whose loss is measured: a clock that writes into the workspace while the gateway runs."""

import shutil
from pathlib import Path

from lab.machine.machine import Machine
from lab.world.gateway_life import GATEWAY_UNIT
from lab.world.waiting import require
from lab.world.world import STATE, sh

DIARY = f"{STATE}/workspace/diary.log"
SCRIPT = Path(__file__).with_name("work.sh")
PROGRAM = "/usr/local/libexec/openclaw-lab-work"
# Not openclaw-*: cloud_init hardens every service of that prefix.
UNIT = "lab-work.service"


def begin_work(machine: Machine) -> None:
    """Let somebody work: a unit that is stopped before the gateway is, and with it."""
    program = machine.path(PROGRAM)
    shutil.copyfile(SCRIPT, program)
    program.chmod(0o755)
    sh(machine, f"install -d -o 1000 -g 1000 {STATE}/workspace; systemctl stop {UNIT} 2>/dev/null || :")
    sh(
        machine,
        f"systemd-run --quiet --unit={UNIT} --collect --uid=1000 --property=BindsTo={GATEWAY_UNIT} "
        f"--property=After={GATEWAY_UNIT} {PROGRAM} {DIARY}",
    )


def last_work(disk: Path) -> float:
    """When the last line of work that is on a machine's disk was written, in seconds since the epoch."""
    diary = disk / DIARY.lstrip("/")
    require(diary.exists(), f"There is no work on the disk: {DIARY} is missing.")
    # A line that was being written when the power went is no work yet.
    whole = diary.read_text().rsplit("\n", 1)[0]
    return float(whole.splitlines()[-1])
