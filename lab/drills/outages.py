"""Drills in which S3 cannot be reached: at a boot, and for hours while the gateway runs."""

import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lab.drills.scenario import Scenario
from lab.report.record import Severity, Track
from lab.world.gateway_life import BACKUP_UNIT, is_active, last_run
from lab.world.waiting import until
from lab.world.world import STATE, last_restore, sh, write_note

QUICK_TRIES = Path(__file__).with_name("quick-tries.conf")
RUNTIME_DROP_IN = f"/run/systemd/system/{BACKUP_UNIT}.d"
SECONDS_WITHOUT_S3 = 20
# What the timer of 20 minutes does in two hours.
CYCLES_IN_TWO_HOURS = 6
NOTE = "workspace/written-during-the-outage.md"
ALARM = "no-good-backup"


def at_boot(scenario: Scenario) -> None:
    """A replacement boots, and S3 is away."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    scenario.disaster("the instance vanishes, and S3 with it")
    scenario.lose(machine)
    replacement = scenario.boot_replacement()
    replacement.partition()
    said = "cannot fetch s3://"
    until("the first try", lambda: said in replacement.console_log.read_text(errors="replace"), 120)
    scenario.note(Track.S3, "unreachable; the boot says so and tries again", Severity.BAD)
    before = scenario.world.history()
    time.sleep(SECONDS_WITHOUT_S3)
    scenario.check("no gateway has started on an empty state", not replacement.path(STATE).exists())
    scenario.check("nothing was written to the bucket", scenario.world.history() == before)
    check_alarm_is_due(scenario)
    replacement.heal()
    scenario.note(Track.S3, "reachable again", Severity.GOOD)
    scenario.wait_until_ready(replacement)
    scenario.measure_loss(replacement)
    scenario.check_nothing_is_missing(replacement)
    scenario.record.lost_seconds = None
    scenario.record.what_happened = "no gateway without its state; it came up by itself when S3 was back"


def while_running(scenario: Scenario) -> None:
    """Two hours without S3: six backups of the timer fail, one after the other."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    drop_in = machine.path(RUNTIME_DROP_IN)
    drop_in.mkdir(parents=True, exist_ok=True)
    shutil.copy(QUICK_TRIES, drop_in)
    sh(machine, "systemctl daemon-reload")
    latest = scenario.world.history("latest/")
    scenario.disaster("the network is gone")
    machine.partition()
    write_note(machine, NOTE, f"written at {time.time()}\n")
    loud = 0
    for _cycle in range(CYCLES_IN_TWO_HOURS):
        done = machine.run(["systemctl", "start", BACKUP_UNIT], timeout_seconds=180)
        line = last_run(machine, "backup")
        loud += done.exit_code != 0 and "cannot be reached" in str(line.get("error"))
        sh(machine, f"systemctl reset-failed {BACKUP_UNIT}")
    scenario.check(f"all {CYCLES_IN_TWO_HOURS} backups failed, and said why", loud == CYCLES_IN_TWO_HOURS, f"{loud}")
    check_alarm_is_due(scenario)
    scenario.check("the gateway runs, and has never stopped to answer", not scenario.timeline.outages())
    machine.heal()
    drop_in.joinpath(QUICK_TRIES.name).unlink()
    sh(machine, "systemctl daemon-reload")
    scenario.note(Track.S3, "reachable again", Severity.GOOD)
    name = scenario.back_up(machine)
    scenario.check(
        "the first backup after it is complete, and has what was written meanwhile",
        name in scenario.world.complete_snapshots()
        and scenario.world.body(f"latest/.openclaw/{NOTE}") == machine.path(f"{STATE}/{NOTE}").read_bytes()
        and scenario.world.history("latest/") > latest,
    )
    sh(machine, "openclaw-s3-restore.py verify", seconds=180)
    scenario.check("it passes --verify", last_restore(machine)["result"] == "verified")
    scenario.wait_until_ready(machine, 10)
    scenario.check_nothing_is_missing(machine)
    scenario.check("the gateway is active", is_active(machine))
    scenario.record.lost_seconds = 0.0
    scenario.record.what_happened = (
        f"{loud} backups failed loudly, the gateway never noticed, the next one was complete"
    )


def check_alarm_is_due(scenario: Scenario) -> None:
    """The alarm on missing backups, by what is in CloudWatch: an hour after the last good one it fires."""
    alarms = scenario.world.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    (alarm,) = [row for row in alarms if ALARM in row["AlarmName"]]
    last = last_good_backup(scenario, alarm)
    window = timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"])
    due = alarm["TreatMissingData"] == "breaching" and alarm["ActionsEnabled"] and bool(alarm["AlarmActions"])
    sentence = f"the alarm {alarm['AlarmName']} fires {window.total_seconds() / 60:.0f} min after the last good backup"
    scenario.check(f"{sentence} (no data is a breach)", due and last is not None, str(alarm))


def last_good_backup(scenario: Scenario, alarm: dict[str, Any]) -> datetime | None:
    """When the metric of the alarm was last counted up."""
    now = datetime.now().astimezone()
    points = scenario.world.aws.client("cloudwatch").get_metric_statistics(
        Namespace=alarm["Namespace"],
        MetricName=alarm["MetricName"],
        Dimensions=alarm.get("Dimensions", []),
        StartTime=now - timedelta(hours=3),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    moments: list[datetime] = [row["Timestamp"] for row in points if row["Sum"] > 0]
    return max(moments, default=None)
