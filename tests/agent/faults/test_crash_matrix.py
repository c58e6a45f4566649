"""The agent is killed around every S3 request and every local step; what is restored then is whole."""

import time
from dataclasses import replace

import pytest

from tests.support.agent_process import AgentProcess, Run, command
from tests.support.bucket_image import BucketKeeper
from tests.support.crash_points import NO_STATE, CrashMatrix, Scenario
from tests.support.fault_scenario import (
    BACKUP,
    BEFORE_START,
    BOOT,
    FIRST,
    KILLED,
    LATER,
    NEXT_BACKUP,
    NEXT_BOOT,
    SECOND,
    FaultScenario,
)
from tests.support.gateways import GatewayProcess
from tests.support.simulated_instance import DIFFERENTIAL

pytestmark = pytest.mark.subprocess


def cover(stage: FaultScenario, scenario: Scenario, name: str) -> None:
    crashes = CrashMatrix(scenario, stage.launcher, stage.proxy, stage.keeper, stage.scratch)
    covered = crashes.cover()
    print(f"\ncovered: crash matrix, {name}: {covered}")
    assert covered.points["requests"]
    assert covered.points["steps"]


def test_a_first_backup_that_is_killed_leaves_nothing_or_all_of_it(
    stage: FaultScenario, gateway: GatewayProcess
) -> None:
    stage.put_state(1)
    cover(
        stage,
        Scenario(
            stage.machine,
            stage.keeper.take(),
            Run((BACKUP,), gateway=gateway.pid, clock=KILLED),
            restorable=(NO_STATE,),
            committed=stage.images[1],
            continues=(NEXT_BACKUP, NEXT_BOOT),
            kept_local=(stage.images[1],),
            gateway=gateway,
        ),
        "a first backup",
    )


def test_a_backup_that_is_killed_leaves_the_last_restore_point_or_the_new_one(
    stage: FaultScenario, gateway: GatewayProcess
) -> None:
    stage.back_up(1, FIRST)
    stage.put_state(2)
    cover(
        stage,
        Scenario(
            stage.machine,
            stage.keeper.take(),
            Run((BACKUP,), gateway=gateway.pid, clock=KILLED),
            restorable=(stage.images[1],),
            committed=stage.images[2],
            continues=(NEXT_BACKUP, NEXT_BOOT),
            kept_local=(stage.images[2],),
            gateway=gateway,
        ),
        "a second backup",
    )


def test_a_differential_backup_that_is_killed_leaves_the_last_restore_point_or_the_new_one(
    stage: FaultScenario, gateway: GatewayProcess
) -> None:
    stage.back_up(1, FIRST, DIFFERENTIAL)
    stage.back_up(2, SECOND, DIFFERENTIAL)
    stage.put_state(3)
    next_backup, next_boot = (replace(run, environment=DIFFERENTIAL) for run in (NEXT_BACKUP, NEXT_BOOT))
    cover(
        stage,
        Scenario(
            stage.machine,
            stage.keeper.take(),
            Run((BACKUP,), gateway=gateway.pid, clock=KILLED, environment=DIFFERENTIAL),
            restorable=(stage.images[2],),
            committed=stage.images[3],
            continues=(next_backup, next_boot),
            kept_local=(stage.images[3],),
            gateway=gateway,
        ),
        "a differential backup",
    )


def test_a_snapshot_that_is_made_whole_stays_a_restore_point_wherever_that_is_killed(stage: FaultScenario) -> None:
    stage.back_up(1, FIRST, DIFFERENTIAL)
    stage.back_up(2, SECOND, DIFFERENTIAL)
    # It is the only one of its state, and what leans on it comes after it.
    for key in [key for key in stage.keeper.take() if key.startswith("latest/")]:
        stage.keeper.delete(key)
    make_whole = command("restore", "make-whole", "2026-03-02-10-20")
    cover(
        stage,
        Scenario(
            stage.machine,
            stage.keeper.take(),
            Run((make_whole,)),
            restorable=(stage.images[2],),
            continues=(Run((make_whole, command("restore", "verify", "--snapshot", "2026-03-02-10-20"))),),
            kept_local=(stage.images[2],),
        ),
        "a snapshot made whole",
    )


def test_a_final_backup_that_is_killed_leaves_the_last_restore_point_or_the_new_one(stage: FaultScenario) -> None:
    stage.back_up(1, FIRST)
    stage.put_state(2)
    cover(
        stage,
        Scenario(
            stage.machine,
            stage.keeper.take(),
            Run((command("backup", "--final"),), clock=KILLED),
            restorable=(stage.images[1],),
            committed=stage.images[2],
            continues=(Run((command("backup", "--final"),), clock=LATER), NEXT_BOOT),
            kept_local=(stage.images[2],),
        ),
        "a final backup",
    )


def test_a_boot_that_is_killed_on_a_new_instance_restores_at_its_next_boot(stage: FaultScenario) -> None:
    stage.back_up(1, FIRST)
    stage.back_up(2, SECOND)
    newcomer = AgentProcess(stage.machine.root.with_name("newcomer"), "lab-b")
    newcomer.state_dir.mkdir(parents=True)
    cover(
        stage,
        Scenario(
            newcomer,
            stage.keeper.take(),
            Run((BOOT,)),
            restorable=(stage.images[2],),
            continues=(NEXT_BOOT, replace(NEXT_BOOT, commands=(BOOT, BACKUP))),
            kept_local=(stage.images[2],),
            continued_boot="boot-1",
        ),
        "a boot on a new instance",
    )


def test_a_restore_by_hand_that_is_killed_leaves_the_old_state_or_the_new_one(stage: FaultScenario) -> None:
    stage.back_up(1, FIRST)
    stage.back_up(2, SECOND)
    by_hand = command("restore", "--snapshot", "2026-03-02-10-00", "--force")
    cover(
        stage,
        Scenario(
            stage.machine,
            stage.keeper.take(),
            Run((by_hand,)),
            restorable=(stage.images[2],),
            continues=(NEXT_BOOT, Run((by_hand, BEFORE_START, BACKUP), clock=LATER)),
            kept_local=(stage.images[1], stage.images[2]),
        ),
        "a restore by hand",
    )


def test_a_reboot_that_is_killed_keeps_what_the_disk_has_that_s3_has_not(stage: FaultScenario) -> None:
    stage.back_up(1, FIRST)
    stage.back_up(2, SECOND)
    stage.put_state(3)
    rebooted = replace(stage.machine, boot_id="boot-2")
    cover(
        stage,
        Scenario(
            rebooted,
            stage.keeper.take(),
            Run((BOOT,)),
            restorable=(stage.images[2],),
            continues=(NEXT_BOOT,),
            kept_local=(stage.images[3],),
        ),
        "a reboot",
    )


def test_a_reboot_into_a_bucket_that_an_operator_changed_loses_neither_state(stage: FaultScenario) -> None:
    stage.back_up(1, FIRST)
    stage.back_up(2, SECOND)
    stage.put_state(3)
    put_archive_into_latest(stage.keeper, "2026-03-02-10-00")
    rebooted = replace(stage.machine, boot_id="boot-2")
    cover(
        stage,
        Scenario(
            rebooted,
            stage.keeper.take(),
            Run((BOOT,), clock=KILLED),
            restorable=(stage.images[1],),
            continues=(NEXT_BOOT,),
            kept_local=(stage.images[1],),
        ),
        "a reboot into a changed bucket",
    )


def put_archive_into_latest(keeper: BucketKeeper, snapshot: str) -> None:
    """The runbook's `aws s3 sync snapshots/<name>/ latest/ --delete`."""
    prefix = f"snapshots/{snapshot}/"
    before = keeper.take()
    # S3 keeps time in seconds; an operator does not sync within the second of a backup.
    time.sleep(1.1)
    for key, stored in before.items():
        if key.startswith(prefix):
            keeper.put("latest/" + key.removeprefix(prefix), stored.body)
        elif key.startswith("latest/") and prefix + key.removeprefix("latest/") not in before:
            keeper.delete(key)
