"""A drill in which the gateway itself is hostile: a program of its user plants and swaps, whatever root does."""

import shutil
from collections.abc import Callable
from pathlib import Path

from lab.drills.scenario import Scenario
from lab.drills.workload import begin_work
from lab.machine.machine import Machine
from lab.report.record import Severity, Track
from lab.world.gateway_life import BACKUP_UNIT, GATEWAY_UNIT, RESTORE_UNIT
from lab.world.waiting import until
from lab.world.world import STATE, sh, unit_properties, write_note

LAB = Path(__file__).parents[1]
PROGRAM = ("__init__.py", "drills/__init__.py", "drills/hostile_program.py", "drills/hostile_plants.py")
INSTALLED = "/usr/local/libexec/openclaw-lab-hostile"
# Not openclaw-*: cloud_init hardens every service of that prefix.
UNIT = "lab-hostile"
DECOY = "/srv/decoy"
COUNT = f"/run/{UNIT}/count"
SWAPS_EACH = 10_000
CANARY = "canary-93d1 of the host"
# Exit codes of a backup that has everything that it may have.
DONE = ("0", "4")
WORK = "workspace/honest-work.md"
HONEST = {f"workspace/honest/{number}.md": f"honest {number}\n" for number in range(20)}
# What root runs, and what it runs it from.
HOSTS_OWN = "/etc /usr/local /opt/openclaw-agent/current/ /srv"


def hostile_gateway(scenario: Scenario) -> None:
    """For all of a day's cycle a program of the gateway's user swaps against each of root's commands."""
    machine = scenario.ready_machine()
    for path, text in HONEST.items():
        write_note(machine, path, text)
    name = scenario.back_up(machine)
    sh(machine, f"mkdir -p {DECOY}/openclaw && echo '{CANARY}' | tee {DECOY}/secret >{DECOY}/openclaw/key")
    sh(machine, f"chmod -R go= {DECOY}")
    for part in PROGRAM:
        target = machine.path(f"{INSTALLED}/lab/{part}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(LAB / part, target)
    before = picture_of_the_host(machine)
    scenario.disaster("the gateway's user is hostile from now on")
    begin_to_swap(machine)
    for what, command in cycle(scenario, machine, name):
        done = against(machine, command)
        scenario.note(Track.DRILL, f"{done:,} swaps against {what}", Severity.NEUTRAL)
        scenario.check(f"{what}: nothing outside of the state has changed", picture_of_the_host(machine) == before)
    scenario.check("there is a backup with every honest file", *honest_files_are_there(scenario))
    sh(machine, f"systemctl stop {UNIT}")
    sh(machine, f"rm -rf {STATE}/hostile {STATE}/.openclaw {STATE}/manifest.json {STATE}/cron.d")
    sh(machine, f"systemctl reset-failed; systemctl restart --no-block {GATEWAY_UNIT}")
    scenario.wait_until_ready(machine)
    begin_work(machine)
    scenario.check_nothing_is_missing(machine)
    bodies = [scenario.world.body(key) for key in sorted(scenario.world.keys("latest/"))]
    scenario.check("no byte of the host is in the backups", not any(CANARY.encode() in body for body in bodies))
    scenario.record.lost_seconds = 0.0
    scenario.record.what_happened = "nothing outside of the state changed, and every honest file is in the backups"


def begin_to_swap(machine: Machine) -> None:
    """Start the hostile program as the gateway's user."""
    sh(
        machine,
        f"systemd-run --quiet --unit={UNIT} --collect --uid=1000 --gid=1000 --property=RuntimeDirectory={UNIT} "
        f"--property=Restart=always --property=CPUWeight=50 "
        f"--setenv=PYTHONPATH={INSTALLED} /usr/bin/python3.11 -m lab.drills.hostile_program {STATE} {DECOY} {COUNT}",
    )
    until("its first swaps", lambda: swaps(machine) > 0, 30)


def swaps(machine: Machine) -> int:
    """How many there have been."""
    return int(machine.run(["cat", COUNT]).stdout.strip() or 0)


def against(machine: Machine, command: Callable[[], object]) -> int:
    """Run a command again and again until there were enough swaps; return how many."""
    begun = swaps(machine)
    while True:
        command()
        if (done := swaps(machine) - begun) >= SWAPS_EACH:
            return done


def cycle(scenario: Scenario, machine: Machine, name: str) -> list[tuple[str, Callable[[], object]]]:
    """What a day has for root to do. A run may fail over what it finds, and must never go elsewhere."""
    stopped = f"systemctl stop {GATEWAY_UNIT}"

    def run(line: str) -> Callable[[], object]:
        return lambda: machine.run(["sh", "-c", line], timeout_seconds=300)

    def backed_up(text: str) -> Callable[[], object]:
        return lambda: back_up_what_is_honest(scenario, machine, text)

    def restarted() -> None:
        machine.run(["sh", "-c", f"systemctl reset-failed; systemctl restart {GATEWAY_UNIT}"], timeout_seconds=300)
        scenario.wait_until_ready(machine)

    sync = (
        f"aws s3 sync s3://{scenario.world.bucket}/snapshots/{name}/ /opt/openclaw/.openclaw/ "
        f"--region {scenario.world.aws.region} --delete"
    )
    return [
        ("a backup", backed_up("at night")),
        ("a comparison", run("openclaw-s3-restore.py diff latest")),
        ("a check of the backups", run("openclaw-s3-restore.py verify")),
        ("a start of the gateway", restarted),
        ("a restore of some files", run(f"{stopped}; openclaw-s3-restore.py run --path workspace/honest --force")),
        # Against a hostile gateway it may end the gateway's own files, which the next restore brings back.
        ("the notes' own copy, typed as root", run(sync)),
        ("a restore", run(f"{stopped}; openclaw-s3-restore.py run --snapshot {name} --force")),
        ("the units of a boot", run(f"{stopped}; systemctl restart {RESTORE_UNIT}")),
        ("a last start", restarted),
        ("a backup after all that", backed_up("in the morning")),
    ]


def back_up_what_is_honest(scenario: Scenario, machine: Machine, text: str) -> None:
    """Each backup has the honest work of its hour, and ends as done, or as done with gaps."""
    write_note(machine, WORK, f"{text} {swaps(machine)}\n")
    machine.run(["systemctl", "start", BACKUP_UNIT], timeout_seconds=300)
    ended = unit_properties(machine, BACKUP_UNIT, "ExecMainStatus")["ExecMainStatus"]
    scenario.check(
        f"the backup {text} is done, or done with gaps", ended in DONE, machine.journal(BACKUP_UNIT, lines=5)
    )
    stored = scenario.world.body(f"latest/.openclaw/{WORK}").decode()
    scenario.check(
        f"and has the work of that hour ({text})", stored == (machine.path(STATE) / WORK).read_text(), stored
    )


def honest_files_are_there(scenario: Scenario) -> tuple[bool, str]:
    """Whether `latest/` has them all."""
    keys = scenario.world.keys("latest/")
    missing = [path for path in HONEST if f"latest/.openclaw/{path}" not in keys]
    return not missing, ", ".join(missing)


def picture_of_the_host(machine: Machine) -> str:
    """Names, modes, owners, times and targets of what is root's, and the decoy's content."""
    lines = sh(machine, f"find {HOSTS_OWN} -xdev -printf '%p %m %U:%G %T@ %l\\n' | sort", seconds=60)
    return lines + sh(
        machine, f"find {DECOY} -type f | sort | xargs cat; stat --format='%n %a %u:%g %F' /opt/openclaw/*"
    )
