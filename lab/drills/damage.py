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


def corrupted_latest(stage: Scenario) -> None:
    """Somebody has overwritten latest/ in the bucket; then the instance vanishes."""
    machine = stage.ready_machine()
    stage.back_up(machine)
    name = stage.world.complete_snapshots()[-1]
    for key in (LATEST_MANIFEST, "latest/.openclaw/state/openclaw.sqlite"):
        stage.world.s3.put_object(Bucket=stage.world.bucket, Key=key, Body=b"not what it was")
    stage.disaster("latest/ is corrupted in S3, and the instance vanishes")
    stage.lose(machine)
    replacement = stage.boot_replacement()
    stage.wait_until_ready(replacement)
    line = last_restore(replacement)
    stage.prove(
        f"the restore took the newest complete snapshot, {name}",
        (line["source"], line["snapshot"]) == ("snapshot", name),
        str(line),
    )
    said = replacement.journal(RESTORE_UNIT)
    stage.prove("and says so", "latest/ cannot be used" in said and f"Restored from snapshot {name}" in said, said)
    stage.measure_loss(replacement)
    stage.prove_nothing_is_missing(replacement)
    stage.back_up(replacement)
    sh(replacement, "openclaw-s3-restore.py verify", seconds=180)
    stage.prove("the next backup has mended latest/", last_restore(replacement)["source"] == "latest")
    stage.record.what_happened = f"restored from {name}; the next backup mended latest/"


def deleted_state(stage: Scenario) -> None:
    """An operator deletes the state folder by mistake, and restarts the gateway."""
    machine = stage.ready_machine()
    stage.back_up(machine)
    latest = stage.world.history("latest/")
    stage.note_last_work(machine.path("/"))
    stage.disaster(f"rm -rf {STATE}, and a restart")
    sh(machine, f"rm -rf {STATE}")
    machine.run(["systemctl", "restart", GATEWAY_UNIT], timeout_seconds=120)
    said = f"The gateway must not start: the state folder {STATE} is empty or missing"
    until("the refusal", lambda: said in machine.journal(GATEWAY_UNIT, lines=30), 30)
    stage.prove("the gateway does not start on nothing, and says which command brings the state back", True)
    done = machine.run([BACKUP_PROGRAM], timeout_seconds=120)
    stage.prove(
        "a backup of nothing is refused",
        done.exit_code == EXIT_REFUSED or "does not exist" in done.stderr,
        f"exit code {done.exit_code}: {done.stderr}",
    )
    stage.prove("latest/ is untouched", stage.world.history("latest/") == latest)
    stage.tell(Track.RESTORE, "sudo openclaw-s3-restore.py run")
    sh(machine, "sudo openclaw-s3-restore.py run", seconds=180)
    # systemd tries the gateway again every 20 s: there is no second command to be typed.
    stage.wait_until_ready(machine)
    stage.measure_loss(machine)
    stage.prove_nothing_is_missing(machine)
    stage.back_up(machine)
    stage.record.what_happened = "nothing was overwritten; one command brought it back as of the last backup"


def runbook_restore(stage: Scenario) -> None:
    """The runbook's two restores by hand: a chosen snapshot, and an archive bucket synced into the active one."""
    machine = stage.ready_machine()
    region = stage.world.aws.region
    write_note(machine, NOTE, "the state that is wanted\n")
    name = stage.back_up(machine)
    write_note(machine, NOTE, "the state that is not\n")
    stage.back_up(machine)
    stage.disaster(f"a person wants snapshot {name} back")
    sh(
        machine,
        f"sudo aws s3 sync s3://{stage.world.bucket}/snapshots/{name}/ /opt/openclaw/.openclaw/ "
        f"--region {region} --delete && sudo systemctl restart {GATEWAY_UNIT}",
        seconds=300,
    )
    stage.wait_until_ready(machine)
    begin_work(machine)
    stage.prove(f"the state is that of {name}", _note(machine) == "the state that is wanted\n", _note(machine))
    stage.prove_nothing_is_missing(machine)
    stage.back_up(machine)

    stage.world.s3.create_bucket(Bucket=ARCHIVE)
    sh(machine, f"aws s3 sync s3://{stage.world.bucket}/ s3://{ARCHIVE}/ --region {region}", seconds=300)
    stage.world.s3.delete_object(Bucket=ARCHIVE, Key=OWNER_KEY)
    write_note(machine, NOTE, "newer than the archive\n")
    stage.back_up(machine)
    stage.tell(Track.S3, "the archive bucket is synced into the active one", Severity.NEUTRAL)
    sh(machine, f"aws s3 sync s3://{ARCHIVE}/ s3://{stage.world.bucket}/ --region {region}", seconds=300)
    machine.shutdown()
    stage.forget(machine)
    machine.start()
    stage.wait_until_ready(machine)
    begin_work(machine)
    stage.prove("after a reboot the archive's state is in place", _note(machine) == "the state that is wanted\n")
    kept = [key for key in stage.world.keys("snapshots/") if key.endswith("/quarantined")]
    stage.prove("what it replaced is kept as a snapshot", bool(kept))
    stage.prove_nothing_is_missing(machine)
    time.sleep(1)
    back_up(machine)
    stage.prove("the gateway is active", is_active(machine))
    stage.record.what_happened = f"{name} came back as typed in the runbook, and so did an archive bucket"


def _note(machine: Machine) -> str:
    return machine.path(f"{STATE}/{NOTE}").read_text()
