"""Drills in which another instance takes the place of the first: rolled out, or cut off from the other."""

import json
import shutil
from pathlib import Path

from lab.drills.endings import end_by_the_group
from lab.drills.scenario import Scenario
from lab.machine.machine import Machine
from lab.report.record import Severity, Track
from lab.world.deployment import REPOSITORY, STACK, ZONE_SUFFIX
from lab.world.gateway_life import BACKUP_UNIT, RESTORE_UNIT, is_active, last_run
from lab.world.terminal import CheckFailed
from lab.world.waiting import until
from lab.world.world import BACKUP_PROGRAM, STATE, last_restore, sh, write_note

SHORT_OWNER_WAIT = Path(__file__).with_name("short-owner-wait.conf")
PARTS_OF_A_DEPLOYMENT = ("platform", "ec2_spot", "cloud_init", "scripts")
VERSION_FILE = "scripts/openclaw_agent/__init__.py"
LATE = "workspace/written-by-the-old-one.md"


def new_release(scenario: Scenario) -> None:
    """A script is changed, and `pulumi up` rolls the instance."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    owner = scenario.world.owner()
    version = sh(machine, f"{BACKUP_PROGRAM} --version").strip()
    scenario.disaster("pulumi up with a changed script")
    deploy_changed_copy(scenario, version)
    # The refresh ends the old instance, and only then is the new one's turn.
    end_by_the_group(scenario, machine)
    last_snapshot = scenario.world.complete_snapshots()[-1]
    scenario.lose(machine)
    replacement = scenario.boot_replacement()
    scenario.wait_until_ready(replacement)
    lost = scenario.measure_loss(replacement)
    scenario.check("not one line of work is lost", lost == 0, f"{lost} s")
    new_version = sh(replacement, f"{BACKUP_PROGRAM} --version").strip()
    scenario.check(f"the new instance runs the new release, {new_version}", new_version == f"{version}.1", new_version)
    now = scenario.world.owner()
    scenario.check(
        "there was one writer after the other: one epoch later, and restored from the old one's final backup",
        now["epoch"] == owner["epoch"] + 1 and last_restore(replacement)["snapshot"] == last_snapshot,
        f"{owner} then {now}, {last_run(replacement, 'restore')}",
    )
    scenario.check_nothing_is_missing(replacement)
    scenario.record.what_happened = "rolled by pulumi up: final backup, release, replacement with the new scripts"


def two_instances(scenario: Scenario) -> None:
    """The old instance is cut off from the network, not dead; another one takes its place, and then it is back."""
    old = scenario.ready_machine()
    scenario.back_up(old)
    scenario.disaster("partition: the old instance runs on, and reaches nothing")
    old.partition()
    scenario.world.hypervisor.before_power_on = shorten_owner_wait
    scenario.world.resize_group(2)
    try:
        until("a second instance", lambda: bool(scenario.world.hypervisor.reconcile().booted))
    finally:
        scenario.world.hypervisor.before_power_on = lambda _machine: None
    try:
        one_is_fenced(scenario, old)
    finally:
        # A group of two would give every later drill two instances.
        scenario.world.resize_group(1)
    scenario.record.what_happened = "the old one was fenced; what it wrote late is a snapshot of its own"


def one_is_fenced(scenario: Scenario, old: Machine) -> None:
    """From the new instance's power-on to the end of the old one."""
    new = next(row for row in scenario.world.host.machines.values() if row.instance_id != old.instance_id)
    scenario.note(Track.REPLACEMENT, f"{new.instance_id} is powered on beside it")
    until("the new instance's restore", lambda: _restored(new), 180, every=0.5)
    scenario.note(Track.REPLACEMENT, "it has waited for the owner in vain, and taken the bucket", Severity.NEUTRAL)
    write_note(old, LATE, "late, and by the old one\n")
    new.wait_for_gateway()
    scenario.watch(new)
    write_note(new, "workspace/by-the-new-one.md", "by the new one\n")
    scenario.back_up(new)
    latest, owner = scenario.world.history("latest/"), scenario.world.owner()
    scenario.check("the bucket is the new one's", owner["instance_id"] == new.instance_id, str(owner))
    old.heal()
    scenario.note(Track.INSTANCE, "the old instance is back on the network", Severity.NEUTRAL)
    done = old.run(["systemctl", "start", BACKUP_UNIT], timeout_seconds=120)
    line = last_run(old, "backup")
    scenario.check("the old one is fenced", (done.exit_code != 0, line["result"]) == (True, "fenced"), str(line))
    until("the stop of the old gateway", lambda: not is_active(old), 90)
    scenario.note(Track.INSTANCE, "the old instance is fenced and has stopped its gateway", Severity.GOOD)
    scenario.check(
        "latest/ and the lease are untouched by it: no write, no deletion",
        (scenario.world.history("latest/"), scenario.world.owner()) == (latest, owner),
    )
    kept = f"snapshots/{line.get('snapshot')}/.openclaw/{LATE}"
    scenario.check(
        f"its late writes are kept as snapshot {line.get('snapshot')}",
        kept in scenario.world.keys("snapshots/") and scenario.world.body(kept) == b"late, and by the old one\n",
    )
    # The group is told to be of one before it could replace the old one too.
    scenario.world.resize_group(1)
    scenario.lose(old)
    scenario.wait_until_ready(new)
    scenario.record.lost_seconds = 0.0
    scenario.check_nothing_is_missing(new)


def deploy_changed_copy(scenario: Scenario, version: str) -> None:
    """Change one script in a copy of the programs, and deploy both stacks from there."""
    copy = scenario.world.scratch / "changed"
    shutil.rmtree(copy, ignore_errors=True)
    for part in PARTS_OF_A_DEPLOYMENT:
        shutil.copytree(REPOSITORY / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in REPOSITORY.glob("requirements*.txt"):
        shutil.copy(name, copy)
    changed = copy / VERSION_FILE
    text = changed.read_text()
    if f'"{version}"' not in text:
        raise CheckFailed(f"{VERSION_FILE} does not name the version {version}.")
    changed.write_text(text.replace(f'"{version}"', f'"{version}.1"'))
    engine, region = scenario.world.cloud.engine, scenario.world.aws.region
    scenario.terminal.step("pulumi up in platform/")
    scenario.world.cloud.platform = engine.up(copy / "platform", STACK, {})
    scenario.terminal.step("pulumi up in ec2_spot/")
    scenario.world.cloud.instance = engine.up(copy / "ec2_spot", STACK, {"availability_zone": region + ZONE_SUFFIX})


def shorten_owner_wait(machine: object) -> None:
    """Put the drill's drop-in on a new machine's disk."""
    assert isinstance(machine, Machine)  # noqa: S101 - the lab's host makes no other
    target = machine.disk.written / f"etc/systemd/system/{RESTORE_UNIT}.d" / SHORT_OWNER_WAIT.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SHORT_OWNER_WAIT, target)


def _restored(machine: Machine) -> bool:
    if not machine.path("/run/cloud-init/result.json").exists():
        return False
    errors = json.loads(machine.path("/run/cloud-init/result.json").read_text())["v1"]["errors"]
    if errors:
        raise CheckFailed(f"cloud-init failed: {errors}")
    return is_active(machine, RESTORE_UNIT) and machine.path(STATE).is_dir()
