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


def at_boot(stage: Scenario) -> None:
    """A replacement boots, and S3 is away."""
    machine = stage.ready_machine()
    stage.back_up(machine)
    stage.disaster("the instance vanishes, and S3 with it")
    stage.lose(machine)
    replacement = stage.boot_replacement()
    replacement.partition()
    said = "cannot fetch s3://"
    until("the first try", lambda: said in replacement.console_log.read_text(errors="replace"), 120)
    stage.tell(Track.S3, "unreachable; the boot says so and tries again", Severity.BAD)
    before = stage.world.history()
    time.sleep(SECONDS_WITHOUT_S3)
    stage.prove("no gateway has started on an empty state", not replacement.path(STATE).exists())
    stage.prove("nothing was written to the bucket", stage.world.history() == before)
    prove_alarm_is_due(stage)
    replacement.heal()
    stage.tell(Track.S3, "reachable again", Severity.GOOD)
    stage.wait_until_ready(replacement)
    stage.measure_loss(replacement)
    stage.prove_nothing_is_missing(replacement)
    stage.record.lost_seconds = None
    stage.record.what_happened = "no gateway without its state; it came up by itself when S3 was back"


def while_running(stage: Scenario) -> None:
    """Two hours without S3: six backups of the timer fail, one after the other."""
    machine = stage.ready_machine()
    stage.back_up(machine)
    drop_in = machine.path(RUNTIME_DROP_IN)
    drop_in.mkdir(parents=True, exist_ok=True)
    shutil.copy(QUICK_TRIES, drop_in)
    sh(machine, "systemctl daemon-reload")
    latest = stage.world.history("latest/")
    stage.disaster("the network is gone")
    machine.partition()
    write_note(machine, NOTE, f"written at {time.time()}\n")
    loud = 0
    for _cycle in range(CYCLES_IN_TWO_HOURS):
        done = machine.run(["systemctl", "start", BACKUP_UNIT], timeout_seconds=180)
        line = last_run(machine, "backup")
        loud += done.exit_code != 0 and "cannot be reached" in str(line.get("error"))
        sh(machine, f"systemctl reset-failed {BACKUP_UNIT}")
    stage.prove(f"all {CYCLES_IN_TWO_HOURS} backups failed, and said why", loud == CYCLES_IN_TWO_HOURS, f"{loud}")
    prove_alarm_is_due(stage)
    stage.prove("the gateway runs, and has never stopped to answer", not stage.timeline.outages())
    machine.heal()
    drop_in.joinpath(QUICK_TRIES.name).unlink()
    sh(machine, "systemctl daemon-reload")
    stage.tell(Track.S3, "reachable again", Severity.GOOD)
    name = stage.back_up(machine)
    stage.prove(
        "the first backup after it is complete, and has what was written meanwhile",
        name in stage.world.complete_snapshots()
        and stage.world.body(f"latest/.openclaw/{NOTE}") == machine.path(f"{STATE}/{NOTE}").read_bytes()
        and stage.world.history("latest/") > latest,
    )
    sh(machine, "openclaw-s3-restore.py verify", seconds=180)
    stage.prove("it passes --verify", last_restore(machine)["result"] == "verified")
    stage.wait_until_ready(machine, 10)
    stage.prove_nothing_is_missing(machine)
    stage.prove("the gateway is active", is_active(machine))
    stage.record.lost_seconds = 0.0
    stage.record.what_happened = f"{loud} backups failed loudly, the gateway never noticed, the next one was complete"


def prove_alarm_is_due(stage: Scenario) -> None:
    """The alarm on missing backups, judged from what is in CloudWatch: an hour after the last good one it fires."""
    alarms = stage.world.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    (alarm,) = [row for row in alarms if ALARM in row["AlarmName"]]
    last = last_good_backup(stage, alarm)
    window = timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"])
    due = alarm["TreatMissingData"] == "breaching" and alarm["ActionsEnabled"] and bool(alarm["AlarmActions"])
    sentence = f"the alarm {alarm['AlarmName']} fires {window.total_seconds() / 60:.0f} min after the last good backup"
    stage.prove(f"{sentence} (no data is a breach)", due and last is not None, str(alarm))


def last_good_backup(stage: Scenario, alarm: dict[str, Any]) -> datetime | None:
    """When the metric of the alarm was last counted up."""
    now = datetime.now().astimezone()
    points = stage.world.aws.client("cloudwatch").get_metric_statistics(
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
