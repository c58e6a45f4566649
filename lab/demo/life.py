"""The booted sections of the demo: an instance works, is backed up, vanishes, and its replacement has everything."""

import json
import time
from dataclasses import dataclass

from lab.image.root_image import Gateway
from lab.machine.fleet import MachineFleet
from lab.machine.hypervisor import Hypervisor
from lab.machine.machine import Machine
from lab.world.deployment import KEY_NAME, DeployedStacks
from lab.world.evidence import Account, account_of, differences
from lab.world.gateway_life import (
    BACKUP_UNIT,
    HOLD,
    RESTORE_UNIT,
    STAND_STILL,
    STATE_DIR,
    as_gateway,
    gateway_cli,
    is_active,
    last_run,
    left_out_paths,
    run_inside,
)
from lab.world.terminal import CheckFailed, Terminal
from lab.world.waiting import until

NOTE = "workspace/notes.md"
CRON_JOB = "made-by-the-lab"
GATEWAY_SECONDS = 120.0


@dataclass(slots=True)
class FirstLife:
    """What the first instance leaves behind for the comparison."""

    accounts: dict[str, Account]
    snapshot: str


@dataclass(slots=True)
class Instances:
    """The machines of the group."""

    host: MachineFleet
    hypervisor: Hypervisor
    terminal: Terminal

    def boot(self) -> Machine:
        """Boot what the group describes, and wait until cloud-init is through."""
        self.hypervisor.reconcile()
        return self.host.only_machine()

    def wait_for_install(self, machine: Machine) -> None:
        """Wait for cloud-init, which runs the installer; raise CheckFailed with its last words if it failed."""
        result = machine.wait_for_cloud_init()
        if not result.succeeded:
            raise CheckFailed(f"cloud-init failed on {machine.instance_id}: {result}\n{machine.console_end()}")

    def wait_for_gateway(self, machine: Machine) -> float:
        """Wait until the gateway's /readyz says ready; return the seconds it took."""
        seconds = machine.wait_for_gateway(GATEWAY_SECONDS)
        self.terminal.step(f"the gateway on {machine.instance_id} is ready {seconds:.1f} s after power-on")
        return seconds


def show_boot(machine: Machine, instances: Instances, cloud: DeployedStacks, terminal: Terminal) -> None:
    """The instance booted by itself from the user-data that the stack made."""
    instances.wait_for_install(machine)
    terminal.step("cloud-init has run the installer")
    instances.wait_for_gateway(machine)
    verdict = machine.wait_until_booted()
    failed = machine.run(["systemctl", "list-units", "--failed", "--plain", "--no-legend"]).stdout
    terminal.check("systemctl is-system-running says running", verdict == "running", f"{verdict}: {failed}")
    kind = (
        "the real OpenClaw" if instances.host.image.gateway is Gateway.OPENCLAW else "a stand-in for OpenClaw (no npm)"
    )
    terminal.check(f"the gateway, {kind}, answers /readyz with ready", True)
    secrets_file = machine.run(["stat", "--format=%a %U", "/run/openclaw/.env"]).stdout.strip()
    text = machine.path("/run/openclaw/.env").read_text()
    terminal.check(
        "its token came from SSM into /run/openclaw/.env, readable by root only",
        cloud.gateway_token in text and secrets_file in ("600 root", "640 root"),
        secrets_file,
    )
    printed = as_gateway(machine, ["printenv", KEY_NAME])
    terminal.check("a key of several lines is in its environment as it was stored", printed == f"{cloud.private_key}\n")


def write_through_gateway(machine: Machine, instances: Instances, terminal: Terminal) -> None:
    """Make what is at seed_data: something the gateway keeps in its database, and a file of the workspace."""
    if instances.host.image.gateway is Gateway.OPENCLAW:
        gateway_cli(
            machine,
            ["cron", "add", "--name", CRON_JOB, "--every", "12h", "--system-event", "hello", "--disabled", "--json"],
        )
        terminal.step(f"the gateway's own CLI has added the cron job {CRON_JOB}")
    script = f"install -d -o 1000 -g 1000 {STATE_DIR}/workspace && printf 'remember me\\n' > {STATE_DIR}/{NOTE}"
    run_inside(machine, ["/bin/sh", "-c", f"{script} && chown 1000:1000 {STATE_DIR}/{NOTE}"])
    terminal.step(f"a file of the workspace is written: {NOTE}")


def back_up(machine: Machine, terminal: Terminal) -> FirstLife:
    """Stand the gateway still, take our own account of the state, back up, and see it run on."""
    run_inside(machine, [STAND_STILL, "freeze"])
    try:
        state = machine.path(STATE_DIR)
        everything = account_of(state, frozenset())
        began = time.monotonic()
        run_inside(machine, ["systemctl", "start", BACKUP_UNIT], seconds=120)
        seconds = time.monotonic() - began
    finally:
        machine.run([STAND_STILL, "thaw"])
    line = last_run(machine, "backup")
    terminal.step(
        f"backed up as {line['snapshot']} in {seconds:.1f} s: {line['files']} files, gateway frozen for "
        f"{line['freeze_ms']} ms, {sum(line['requests'].values())} requests, ${line['cost_usd']:.6f}"
    )
    terminal.check("a backup of the running gateway succeeds", line["result"] == "done", json.dumps(line))
    answer = machine.gateway_answer()
    terminal.check(
        "the gateway goes on after the backup", answer is not None and answer.get("ready") is True, str(answer)
    )
    return FirstLife(everything, str(line["snapshot"]))


def show_second_life(
    machine: Machine, instances: Instances, cloud: DeployedStacks, first: FirstLife, terminal: Terminal
) -> None:
    """The replacement has every file bit for bit, and its gateway knows what the first one was told."""
    instances.wait_for_install(machine)
    until("the restore", lambda: is_active(machine, RESTORE_UNIT), 120)
    line = last_run(machine, "restore")
    terminal.step(f"restored from {line.get('source')} {line.get('snapshot')}, because {line.get('because')}")
    bucket = cloud.aws.client("s3")
    body = bucket.get_object(Bucket=cloud.bucket, Key=f"snapshots/{first.snapshot}/manifest.json")["Body"].read()
    left_out = left_out_paths(body)
    before = {path: row for path, row in first.accounts.items() if not _is_below(path, left_out)}
    after = account_of(machine.path(STATE_DIR), frozenset())
    rows = differences(before, after)
    files = sum(1 for row in before.values() if row.digest)
    databases = sum(1 for row in after.values() if row.database)
    sentence = f"all {files} files of the state are back bit for bit, with modes, owners and times"
    terminal.check(sentence, not rows, "; ".join(rows[:5]))
    terminal.check(f"its {databases} databases pass PRAGMA integrity_check", databases > 0, "no database was found")
    machine.path(HOLD).unlink()
    instances.wait_for_gateway(machine)
    terminal.check("the replacement's gateway is ready", True)
    if instances.host.image.gateway is Gateway.OPENCLAW:
        jobs = gateway_cli(machine, ["cron", "list", "--all", "--json"])
        terminal.check(f"the gateway still knows the cron job {CRON_JOB}", CRON_JOB in jobs, jobs[:200])


def show_secret_stays_put(cloud: DeployedStacks, machine: Machine, terminal: Terminal) -> None:
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
    terminal.check(
        "the token is in no backup, no release, no user-data, no journal and no log", not leaks, ", ".join(leaks)
    )


def _is_below(path: str, left_out: frozenset[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[: depth + 1]) in left_out for depth in range(len(parts)))
