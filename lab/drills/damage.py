"""Drills in which a copy of the state is damaged or gone, and in which a person brings another one back."""

import time

from lab.drills.scenario import Scenario
from lab.drills.workload import begin_work
from lab.machine.machine import Machine
from lab.report.record import Severity, Track
from lab.world.gateway_life import GATEWAY_UNIT, RESTORE_UNIT, is_active
from lab.world.waiting import until
from lab.world.world import BACKUP_PROGRAM, OWNER_KEY, STATE, back_up, last_restore, sh, write_note

LATEST_MANIFEST = "latest/manifest.json"
NOTE = "workspace/notes.md"
ARCHIVE = "the-archive-of-the-drill"
EXIT_REFUSED = 3


def corrupted_latest(scenario: Scenario) -> None:
    """Somebody has overwritten latest/ in the bucket; then the instance vanishes."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    name = scenario.world.complete_snapshots()[-1]
    for key in (LATEST_MANIFEST, "latest/.openclaw/state/openclaw.sqlite"):
        scenario.world.s3.put_object(Bucket=scenario.world.bucket, Key=key, Body=b"not what it was")
    scenario.disaster("latest/ is corrupted in S3, and the instance vanishes")
    scenario.lose(machine)
    replacement = scenario.boot_replacement()
    scenario.wait_until_ready(replacement)
    line = last_restore(replacement)
    scenario.check(
        f"the restore took the newest complete snapshot, {name}",
        (line["source"], line["snapshot"]) == ("snapshot", name),
        str(line),
    )
    said = replacement.journal(RESTORE_UNIT)
    scenario.check("and says so", "latest/ cannot be used" in said and f"Restored from snapshot {name}" in said, said)
    scenario.measure_loss(replacement)
    scenario.check_nothing_is_missing(replacement)
    scenario.back_up(replacement)
    sh(replacement, "openclaw-s3-restore.py verify", seconds=180)
    scenario.check("the next backup has mended latest/", last_restore(replacement)["source"] == "latest")
    scenario.record.what_happened = f"restored from {name}; the next backup mended latest/"


def deleted_state(scenario: Scenario) -> None:
    """An operator deletes the state folder by mistake, and restarts the gateway."""
    machine = scenario.ready_machine()
    scenario.back_up(machine)
    latest = scenario.world.history("latest/")
    scenario.note_last_work(machine.path("/"))
    scenario.disaster(f"rm -rf {STATE}, and a restart")
    sh(machine, f"rm -rf {STATE}")
    machine.run(["systemctl", "restart", GATEWAY_UNIT], timeout_seconds=120)
    said = f"The gateway must not start: the state folder {STATE} is empty or missing"
    until("the refusal", lambda: said in machine.journal(GATEWAY_UNIT, lines=30), 30)
    scenario.check("the gateway does not start on nothing, and says which command brings the state back", True)
    done = machine.run([BACKUP_PROGRAM], timeout_seconds=120)
    scenario.check(
        "a backup of nothing is refused",
        done.exit_code == EXIT_REFUSED or "does not exist" in done.stderr,
        f"exit code {done.exit_code}: {done.stderr}",
    )
    scenario.check("latest/ is untouched", scenario.world.history("latest/") == latest)
    scenario.note(Track.RESTORE, "sudo openclaw-s3-restore.py run")
    sh(machine, "sudo openclaw-s3-restore.py run", seconds=180)
    # systemd tries the gateway again every 20 s: there is no second command to be typed.
    scenario.wait_until_ready(machine)
    scenario.measure_loss(machine)
    scenario.check_nothing_is_missing(machine)
    scenario.back_up(machine)
    scenario.record.what_happened = "nothing was overwritten; one command brought it back as of the last backup"


def runbook_restore(scenario: Scenario) -> None:
    """The runbook's two restores by hand: a chosen snapshot, and an archive bucket synced into the active one."""
    machine = scenario.ready_machine()
    region = scenario.world.aws.region
    write_note(machine, NOTE, "the state that is wanted\n")
    name = scenario.back_up(machine)
    write_note(machine, NOTE, "the state that is not\n")
    scenario.back_up(machine)
    scenario.disaster(f"a person wants snapshot {name} back")
    sh(
        machine,
        f"sudo aws s3 sync s3://{scenario.world.bucket}/snapshots/{name}/ /opt/openclaw/.openclaw/ "
        f"--region {region} --delete && sudo systemctl restart {GATEWAY_UNIT}",
        seconds=300,
    )
    scenario.wait_until_ready(machine)
    begin_work(machine)
    scenario.check(f"the state is that of {name}", _note(machine) == "the state that is wanted\n", _note(machine))
    scenario.check_nothing_is_missing(machine)
    scenario.back_up(machine)

    scenario.world.s3.create_bucket(Bucket=ARCHIVE)
    sh(machine, f"aws s3 sync s3://{scenario.world.bucket}/ s3://{ARCHIVE}/ --region {region}", seconds=300)
    scenario.world.s3.delete_object(Bucket=ARCHIVE, Key=OWNER_KEY)
    write_note(machine, NOTE, "newer than the archive\n")
    scenario.back_up(machine)
    scenario.note(Track.S3, "the archive bucket is synced into the active one", Severity.NEUTRAL)
    sh(machine, f"aws s3 sync s3://{ARCHIVE}/ s3://{scenario.world.bucket}/ --region {region}", seconds=300)
    machine.shutdown()
    scenario.forget(machine)
    machine.start()
    scenario.wait_until_ready(machine)
    begin_work(machine)
    scenario.check("after a reboot the archive's state is in place", _note(machine) == "the state that is wanted\n")
    kept = [key for key in scenario.world.keys("snapshots/") if key.endswith("/quarantined")]
    scenario.check("what it replaced is kept as a snapshot", bool(kept))
    scenario.check_nothing_is_missing(machine)
    time.sleep(1)
    back_up(machine)
    scenario.check("the gateway is active", is_active(machine))
    scenario.record.what_happened = f"{name} came back as typed in the runbook, and so did an archive bucket"


def _note(machine: Machine) -> str:
    return machine.path(f"{STATE}/{NOTE}").read_text()
