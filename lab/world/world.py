"""What drills and booted tests share: both stacks in one embedded AWS, and the machine that runs the group's instance.

Whatever does not come about raises CheckFailed.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.host.commands import Outcome, require_success
from lab.host.gateway_engine import GatewayEngine
from lab.machine.fleet import MachineFleet
from lab.machine.hypervisor import Hypervisor
from lab.machine.machine import Machine
from lab.machine.ssm_agent import SsmAgents
from lab.moto.lifecycle_actions import TERMINATING
from lab.moto.server import EmbeddedAws
from lab.moto.versions import versions
from lab.world.deployment import DeployedStacks, deploy, group_name
from lab.world.gateway_life import BACKUP_UNIT, GATEWAY_UNIT, HOLD, last_run
from lab.world.pulumi import stand_in
from lab.world.terminal import Terminal
from lab.world.waiting import require, until

OWNER_KEY = "owner.json"
STATE = "/opt/openclaw/state/.openclaw"
BACKUP_PROGRAM = "/usr/local/bin/openclaw-s3-backup.py"
RESTORE_PROGRAM = "/usr/local/bin/openclaw-s3-restore.py"
SECONDS_FOR_EACH_BACKUP = 1.1
GATEWAY_SECONDS = 120
SECONDS_FOR_A_SCRIPT = 600
CGROUPS = "/sys/fs/cgroup/system.slice"


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line of a journal: microseconds on the kernel's monotonic clock, the unit it is about, and what it says."""

    at: int
    unit: str
    text: str


@dataclass(slots=True)
class World:
    """One embedded AWS with both stacks, and the group's instance on this host."""

    host: MachineFleet
    aws: EmbeddedAws
    cloud: DeployedStacks
    hypervisor: Hypervisor
    scratch: Path

    @property
    def s3(self) -> Any:
        """A boto3 S3 client."""
        return self.aws.client("s3")

    @property
    def bucket(self) -> str:
        """The backup bucket."""
        return self.cloud.bucket

    def ready_machine(self) -> Machine:
        """The group's instance with its gateway ready, booted if need be."""
        if not self.host.machines or not _may_get_ready(self.host.only_machine()):
            self.lose_machine()
            self.boot_replacement()
        machine = self.host.only_machine()
        if not machine.is_running:
            machine.start()
        require(machine.wait_for_cloud_init().succeeded, machine.console_end())
        machine.path(HOLD).unlink(missing_ok=True)
        machine.wait_for_gateway(GATEWAY_SECONDS)
        return machine

    def boot_replacement(self) -> Machine:
        """Boot what the group has put in the place of an instance that is gone; returns once its init runs."""
        until("a replacement", lambda: bool(self.hypervisor.reconcile().booted))
        return self.host.only_machine()

    def lose_machine(self) -> None:
        """Let the instance vanish without a warning."""
        for instance_id in self.host.machines:
            self.hypervisor.power_cut(instance_id)

    def resize_group(self, size: int) -> None:
        """Let the stack's group hold this many instances (two is what its template never would)."""
        self.aws.client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=group_name(self.cloud), MaxSize=max(size, 1), DesiredCapacity=size
        )

    def told_by(self, machine: Machine) -> str:
        """What an ending instance has told its group of the lifecycle action that holds it ("" for nothing yet)."""
        found = self.aws.client("ec2").describe_tags(
            Filters=[{"Name": "resource-id", "Values": [machine.instance_id]}, {"Name": "key", "Values": [TERMINATING]}]
        )
        return "".join(row["Value"] for row in found["Tags"])

    def keys(self, prefix: str = "") -> set[str]:
        """The keys of the backup bucket below a prefix."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return {row["Key"] for page in pages for row in page.get("Contents", [])}

    def history(self, prefix: str = "") -> set[tuple[str, str, str]]:
        """Every write and every deletion there has been: key, version and ETag (the bucket keeps them for days)."""
        return {(row["Key"], row["VersionId"], row["ETag"]) for row in versions(self.s3, self.bucket, prefix)}

    def body(self, key: str) -> bytes:
        """An object's bytes."""
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def owner(self) -> dict[str, Any]:
        """The owner record."""
        record: dict[str, Any] = json.loads(self.body(OWNER_KEY))
        return record

    def complete_snapshots(self) -> list[str]:
        """Names of the snapshots that have a manifest, from old to new."""
        return sorted(key.split("/")[1] for key in self.keys("snapshots/") if key.endswith("/manifest.json"))


@contextmanager
def deployed_world(terminal: Terminal, scratch: Path, *, engine: GatewayEngine | None = None) -> Iterator[World]:
    """Deploy both stacks, and have a place for the machines; all is gone in the end. `scratch` is an empty folder."""
    with MachineFleet(terminal.step, engine=engine) as host, EmbeddedAws(host=str(host.host_address)) as aws:
        # In process, on any machine and in seconds: what a drill shows is the instance's. `make lab` asks the real one.
        cloud = deploy(aws, stand_in(aws, scratch / "engine"), terminal)
        hypervisor = Hypervisor(aws.client("ec2"), group_name(cloud), host, aws.endpoint_url, on_step=terminal.step)

        def managed() -> list[str]:
            return [name for name, machine in host.machines.items() if machine.is_running]

        def run_script(instance_id: str, script: str) -> Outcome:
            return host.machines[instance_id].run(["bash", "-c", script], timeout_seconds=SECONDS_FOR_A_SCRIPT)

        with SsmAgents(aws.endpoint_url, managed, run_script):
            yield World(host, aws, cloud, hypervisor, scratch)


def _may_get_ready(machine: Machine) -> bool:
    # A test that failed half-way may have left the gateway stopped.
    if not machine.is_running:
        return True
    state = machine.run(["systemctl", "is-active", GATEWAY_UNIT]).stdout.strip()
    return state in ("active", "activating") or not machine.path("/run/cloud-init/result.json").exists()


def sh(machine: Machine, script: str, *, seconds: float = 120) -> str:
    """Run a line of shell inside as a person at a root prompt would; it must succeed; returns what it printed."""
    done = machine.run(["bash", "-c", script], timeout_seconds=seconds)
    require(done.exit_code == 0, f"{script!r} ended with {done.exit_code}: {done.stdout}{done.stderr}")
    return done.stdout


def back_up(machine: Machine) -> dict[str, Any]:
    """Run the backup unit as its timer does; it must succeed; returns the line it logged."""
    began = time.monotonic()
    done = machine.run(["systemctl", "start", BACKUP_UNIT], timeout_seconds=180)
    require(done.exit_code == 0, machine.journal(BACKUP_UNIT, lines=20))
    # Snapshots are named by the second: more than one in each would run out of names before the minute's end.
    time.sleep(max(0.0, SECONDS_FOR_EACH_BACKUP - (time.monotonic() - began)))
    return last_run(machine, "backup")


def last_restore(machine: Machine) -> dict[str, Any]:
    """The log line of the last run that restored or verified something (each start of the gateway logs one too)."""
    lines = machine.path("/var/log/openclaw/restore.log").read_text().splitlines()
    found: list[dict[str, Any]] = [line for line in map(json.loads, lines) if "source" in line]
    require(bool(found), f"{machine.instance_id} has restored nothing: {lines[-3:]}")
    return found[-1]


def unit_properties(machine: Machine, unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit as `systemctl show` has them."""
    listed = sh(machine, f"systemctl show --property={','.join(names)} {unit}")
    return dict(line.split("=", 1) for line in listed.splitlines())


def journal_lines(machine: Machine, *arguments: str) -> list[JournalLine]:
    """The journal of a running machine, parsed; the arguments choose a part of it."""
    done = machine.run(["journalctl", "--no-pager", "--output=json", *arguments], timeout_seconds=120)
    return parsed_journal(done.stdout)


def parsed_journal(json_lines: str) -> list[JournalLine]:
    """The lines of `journalctl --output=json`; those of systemd about a unit count as the unit's."""
    rows = [json.loads(line) for line in json_lines.splitlines() if line.startswith("{")]
    return [
        JournalLine(
            int(row["__MONOTONIC_TIMESTAMP"]), str(row.get("UNIT") or row.get("_SYSTEMD_UNIT")), str(row["MESSAGE"])
        )
        for row in rows
        if "MESSAGE" in row
    ]


def journal_of_a_disk(disk: Path) -> list[JournalLine]:
    """The journal that a machine which is off has left on its disk."""
    read = ["journalctl", f"--directory={disk / 'var/log/journal'}", "--no-pager", "--output=json"]
    return parsed_journal(require_success(read))


def moment(lines: list[JournalLine], unit: str, text: str) -> int:
    """When a unit's journal first said something."""
    found = [line.at for line in lines if line.unit == unit and text in line.text]
    require(bool(found), f"{unit} never said {text!r}: {[line.text for line in lines if line.unit == unit]}")
    return found[0]


def is_frozen(machine: Machine) -> bool:
    """Whether the gateway stands still."""
    return "frozen 1" in machine.path(f"{CGROUPS}/{GATEWAY_UNIT}/cgroup.events").read_text()


def backup_processes(machine: Machine) -> list[int]:
    """The processes of the backup unit, as the host numbers them; none when it has ended."""
    try:
        return sorted(map(int, machine.path(f"{CGROUPS}/{BACKUP_UNIT}/cgroup.procs").read_text().split()))
    except OSError:
        # The unit ended, and its group with it: "no such file" before the look, "no such device" during it.
        return []


def write_note(machine: Machine, path: str, text: str) -> None:
    """Write a small file of the state as the gateway's user does."""
    target = machine.path(f"{STATE}/{path}")
    folder = f"{STATE}/{path}".rsplit("/", 1)[0]
    sh(machine, f"install -d -o 1000 -g 1000 -m 0755 '{folder}'")
    target.write_text(text)
    sh(machine, f"chown 1000:1000 '{STATE}/{path}'")
