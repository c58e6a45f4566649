"""The booted part of the story: an instance works, is backed up, vanishes, and its replacement has everything."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.image.root_image import Gateway
from lab.machine.machine import Machine
from lab.world.deployment import DeployedStacks, Fleet, wait_for
from lab.world.evidence import Account, account_of, differences
from lab.world.narration import CheckFailed, Terminal

STATE_DIR = "/opt/openclaw/.openclaw"
GATEWAY_UNIT = "openclaw.service"
BACKUP_UNIT = "openclaw-s3-backup.service"
RESTORE_UNIT = "openclaw-s3-restore.service"
AS_GATEWAY = "/usr/local/libexec/openclaw-as-gateway"
STAND_STILL = "/usr/local/libexec/openclaw-stand-still"
NOTE = "workspace/notes.md"
CRON_JOB = "told-by-the-lab"
# While this file exists the gateway's unit waits before the gateway itself starts, so that the state can be looked at
# exactly as the restore left it. An instrument of the story; nothing of the deployed system knows it.
HOLD = "/etc/openclaw-lab-hold"
HOLD_DROP_IN = "/etc/systemd/system/openclaw.service.d/zz-hold.conf"
HOLD_TEXT = Path(__file__).with_name("hold.conf")


@dataclass(slots=True)
class FirstLife:
    """What the first instance leaves behind for the comparison."""

    accounts: dict[str, Account]
    snapshot: str


def show_boot(machine: Machine, fleet: Fleet, cloud: DeployedStacks, say: Terminal) -> None:
    """The instance booted by itself from the user-data that the stack made."""
    fleet.wait_for_install(machine)
    say.step("cloud-init has run the installer")
    fleet.wait_for_gateway(machine)
    verdict = machine.wait_until_booted()
    failed = machine.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend"]).stdout
    say.prove("systemctl is-system-running says running", verdict == "running", f"{verdict}: {failed}")
    kind = "the real OpenClaw" if fleet.host.image.gateway is Gateway.OPENCLAW else "a stand-in for OpenClaw (no npm)"
    say.prove(f"the gateway, {kind}, answers /readyz with ready", True)
    secrets_file = machine.run(["stat", "--format=%a %U", "/run/openclaw/.env"]).stdout.strip()
    text = machine.path("/run/openclaw/.env").read_text()
    say.prove(
        "its token came from SSM into /run/openclaw/.env, readable by root only",
        cloud.gateway_token in text and secrets_file in ("600 root", "640 root"),
        secrets_file,
    )


def write_through_gateway(machine: Machine, fleet: Fleet, say: Terminal) -> None:
    """Make what is at stake: something the gateway keeps in its database, and a file of the workspace."""
    if fleet.host.image.gateway is Gateway.OPENCLAW:
        gateway_cli(
            machine,
            ["cron", "add", "--name", CRON_JOB, "--every", "12h", "--system-event", "hello", "--disabled", "--json"],
        )
        say.step(f"the gateway's own CLI has added the cron job {CRON_JOB}")
    script = f"install -d -o 1000 -g 1000 {STATE_DIR}/workspace && printf 'remember me\\n' > {STATE_DIR}/{NOTE}"
    _require(machine, ["/bin/sh", "-c", f"{script} && chown 1000:1000 {STATE_DIR}/{NOTE}"])
    say.step(f"a file of the workspace is written: {NOTE}")


def gateway_cli(machine: Machine, arguments: list[str], *, given: str | None = None) -> str:
    """Run the gateway's CLI as the gateway's user and in its environment, and return what it prints.

    `given` is what it reads from standard input.
    """
    # In the unit's own mounts, because the home with the state exists only there.
    shown = _require(machine, ["systemctl", "show", "--property=MainPID", "--value", GATEWAY_UNIT])
    entering = ["nsenter", "--target", shown.strip(), "--mount", "--"]
    return _require(machine, [*entering, AS_GATEWAY, "openclaw", *arguments], seconds=90, given=given)


def back_up(machine: Machine, say: Terminal) -> FirstLife:
    """Stand the gateway still, take our own account of the state, back up, and see it run on."""
    _require(machine, [STAND_STILL, "freeze"])
    try:
        state = machine.path(STATE_DIR)
        everything = account_of(state, frozenset())
        began = time.monotonic()
        _require(machine, ["systemctl", "start", BACKUP_UNIT], seconds=120)
        seconds = time.monotonic() - began
    finally:
        machine.run([STAND_STILL, "thaw"])
    line = last_run(machine, "backup")
    say.step(
        f"backed up as {line['snapshot']} in {seconds:.1f} s: {line['files']} files, gateway frozen for "
        f"{line['freeze_ms']} ms, {sum(line['requests'].values())} requests, ${line['cost_usd']:.6f}"
    )
    say.prove("a backup of the running gateway succeeds", line["result"] == "done", json.dumps(line))
    answer = machine.gateway_answer()
    say.prove("the gateway goes on after the backup", answer is not None and answer.get("ready") is True, str(answer))
    return FirstLife(everything, str(line["snapshot"]))


def left_out_paths(manifest_text: bytes) -> frozenset[str]:
    """What the snapshot's manifest says it left out."""
    manifest = json.loads(manifest_text)
    return frozenset(row["path"] for row in (*manifest["excluded"], *manifest["skipped"]))


def hold_gateway(machine: Machine) -> None:
    """Let the next start of the gateway wait after the restore."""
    machine.path(HOLD).touch()
    drop_in = machine.path(HOLD_DROP_IN)
    drop_in.parent.mkdir(parents=True, exist_ok=True)
    drop_in.write_text(HOLD_TEXT.read_text())


def show_second_life(machine: Machine, fleet: Fleet, cloud: DeployedStacks, first: FirstLife, say: Terminal) -> None:
    """The replacement has every file bit for bit, and its gateway knows what the first one was told."""
    fleet.wait_for_install(machine)
    wait_for("the restore", lambda: is_active(machine, RESTORE_UNIT), 120)
    line = last_run(machine, "restore")
    say.step(f"restored from {line.get('source')} {line.get('snapshot')}, because {line.get('because')}")
    bucket = cloud.aws.client("s3")
    body = bucket.get_object(Bucket=cloud.bucket, Key=f"snapshots/{first.snapshot}/manifest.json")["Body"].read()
    left_out = left_out_paths(body)
    before = {path: row for path, row in first.accounts.items() if not _is_below(path, left_out)}
    after = account_of(machine.path(STATE_DIR), frozenset())
    rows = differences(before, after)
    files = sum(1 for row in before.values() if row.digest)
    databases = sum(1 for row in after.values() if row.database)
    sentence = f"all {files} files of the state are back bit for bit, with modes, owners and times"
    say.prove(sentence, not rows, "; ".join(rows[:5]))
    say.prove(f"its {databases} databases pass PRAGMA integrity_check", databases > 0, "no database was found")
    machine.path(HOLD).unlink()
    fleet.wait_for_gateway(machine)
    say.prove("the replacement's gateway is ready", True)
    if fleet.host.image.gateway is Gateway.OPENCLAW:
        jobs = gateway_cli(machine, ["cron", "list", "--all", "--json"])
        say.prove(f"the gateway still knows the cron job {CRON_JOB}", CRON_JOB in jobs, jobs[:200])


def show_secret_stays_put(cloud: DeployedStacks, machine: Machine, say: Terminal) -> None:
    """The token is in no object of either bucket, no user-data, and no log."""
    needle = cloud.gateway_token.encode()
    s3 = cloud.aws.client("s3")
    leaks = []
    for bucket in (cloud.bucket, str(cloud.platform["scripts_bucket"])):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for row in page.get("Contents", []):
                if needle in s3.get_object(Bucket=bucket, Key=row["Key"])["Body"].read():
                    leaks.append(f"s3://{bucket}/{row['Key']}")
    user_data = machine.run(["cat", "/var/lib/cloud/seed/nocloud/user-data"]).stdout
    journal = machine.run(["journalctl", "--no-pager", "--all"], timeout_seconds=60).stdout
    logs = machine.run(["sh", "-c", "cat /var/log/openclaw/* /var/log/openclaw-gateway/* /var/log/cloud-init*"]).stdout
    leaks += [
        name
        for name, text in (("user-data", user_data), ("the journal", journal), ("a log", logs))
        if cloud.gateway_token in text
    ]
    say.prove("the token is in no backup, no release, no user-data, no journal and no log", not leaks, ", ".join(leaks))


def _is_below(path: str, left_out: frozenset[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[: depth + 1]) in left_out for depth in range(len(parts)))


def is_active(machine: Machine, unit: str = GATEWAY_UNIT) -> bool:
    """Whether a unit is active."""
    return machine.run(["systemctl", "is-active", "--quiet", unit]).exit_code == 0


def last_run(machine: Machine, command: str) -> dict[str, Any]:
    """The last line of a command's log."""
    line: dict[str, Any] = json.loads(machine.path(f"/var/log/openclaw/{command}.log").read_text().splitlines()[-1])
    return line


def _require(machine: Machine, command: list[str], *, seconds: float = 60, given: str | None = None) -> str:
    outcome = machine.run(command, timeout_seconds=seconds, input_text=given)
    if outcome.exit_code != 0:
        raise CheckFailed(f"{' '.join(command[:6])} failed on {machine.instance_id}: {outcome.stdout}{outcome.stderr}")
    return outcome.stdout
