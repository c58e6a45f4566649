"""The drill in which there is no instance for weeks: paused, and resumed when all snapshots are 40 days old."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta

from lab.drills.endings import end_by_the_group
from lab.drills.scenario import Scenario
from lab.machine.machine import Machine
from lab.report.record import Track
from lab.world.deployment import REPOSITORY, STACK
from lab.world.terminal import CheckFailed
from lab.world.world import World, sh
from openclaw_agent.snapshot.codec import decode_manifest, encode_manifest
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, snapshot_manifest_key, snapshot_prefix
from openclaw_agent.snapshot.names import format_snapshot_name, parse_snapshot_name

POWER_COMMAND = REPOSITORY / "scripts" / "ec2-spot-power.py"
LIFECYCLE = "openclaw-s3-lifecycle.py"
PAUSED_FOR = timedelta(days=40)
LOOK = "/root/look-at-what-was-before-the-pause"


def pause_and_resume(scenario: Scenario) -> None:
    """`make pause`, `make resume` 40 days later, and the first two days with their lifecycle."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    time.sleep(2)
    scenario.disaster("make pause")
    said = power(scenario, "pause")
    scenario.terminal.step(" ".join(said.split()))
    end_by_the_group(scenario, machine)
    scenario.lose(machine)
    scenario.world.hypervisor.reconcile()
    scenario.check("there is no instance, and none comes", not scenario.world.host.machines)
    time.sleep(3)
    scenario.check("still none", not scenario.world.hypervisor.reconcile().booted)
    aged = age_the_bucket(scenario.world, PAUSED_FOR)
    scenario.note(Track.DRILL, f"{PAUSED_FOR.days} days pass: each of {len(aged)} snapshots is that much older")
    scenario.note(Track.DRILL, "make resume")
    scenario.terminal.step(" ".join(power(scenario, "resume").split()))
    replacement = scenario.boot_replacement()
    scenario.wait_until_ready(replacement)
    lost = scenario.measure_loss(replacement)
    scenario.check("not one line of work is lost", lost == 0, f"{lost} s")
    scenario.check_nothing_is_missing(replacement)
    check_the_floor(scenario, replacement, aged)
    scenario.record.what_happened = "final backup, no instance for 40 days, and back with everything"


def check_the_floor(scenario: Scenario, machine: Machine, aged: list[str]) -> None:
    """After a backup and the lifecycle of the first day there is still a way back to before the pause."""
    newest = scenario.back_up(machine)
    sh(machine, LIFECYCLE)
    end_of_the_day = (_taken(newest) + timedelta(hours=23, minutes=50)).isoformat()
    sh(machine, f"{LIFECYCLE} --now {end_of_the_day}")
    left = [name for name in scenario.world.complete_snapshots() if name in aged]
    scenario.check(
        f"after the first day the newest snapshot of before the pause is still there, {aged[-1]}",
        aged[-1] in left,
        f"left are {left}",
    )
    sh(machine, f"openclaw-s3-restore.py run --snapshot {aged[-1]} --to {LOOK} && test -s {LOOK}/openclaw.json")
    scenario.check("it restores beside the state", True)
    sh(machine, f"rm -rf {LOOK}")


def age_the_bucket(world: World, by: timedelta) -> list[str]:
    """Make every snapshot, and `latest/`, this much older; returns the complete ones' new names, from old to new.

    A machine under systemd-nspawn has its host's clock: instead of the clock, the past is moved.
    """
    aged = [_age_a_snapshot(world, name, by) for name in world.complete_snapshots()]
    _age_a_manifest(world, LATEST_MANIFEST_KEY, LATEST_MANIFEST_KEY, by)
    return sorted(aged)


def power(scenario: Scenario, what: str) -> str:
    """Run the command behind `make pause` and `make resume`; returns what it says."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, str(POWER_COMMAND), what, "--region", scenario.world.aws.region, "--every", "1", STACK],
        env={**os.environ, **scenario.world.aws.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CheckFailed(f"ec2-spot-power.py {what} failed: {done.stderr}")
    return done.stdout


def _age_a_snapshot(world: World, name: str, by: timedelta) -> str:
    older = format_snapshot_name(_taken(name) - by)
    manifest = snapshot_manifest_key(name)
    keys = world.keys(snapshot_prefix(name))
    for key in keys - {manifest}:
        target = snapshot_prefix(older) + key.removeprefix(snapshot_prefix(name))
        world.s3.copy_object(Bucket=world.bucket, Key=target, CopySource={"Bucket": world.bucket, "Key": key})
    _age_a_manifest(world, manifest, snapshot_manifest_key(older), by)
    for key in keys:
        world.s3.delete_object(Bucket=world.bucket, Key=key)
    return older


def _age_a_manifest(world: World, key: str, target: str, by: timedelta) -> None:
    manifest = decode_manifest(world.body(key).splitlines(keepends=True))
    older = replace(
        manifest,
        snapshot=format_snapshot_name(_taken(manifest.snapshot) - by),
        created=(datetime.fromisoformat(manifest.created) - by).isoformat(),
    )
    world.s3.put_object(Bucket=world.bucket, Key=target, Body=b"".join(encode_manifest(older)))


def _taken(name: str) -> datetime:
    taken = parse_snapshot_name(name)
    if taken is None:
        raise CheckFailed(f"{name!r} is no snapshot's name.")
    return taken
