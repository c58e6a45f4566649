"""The gateway on a machine and the agent's runs, from outside: units, the CLI, the start held back."""

import json
from pathlib import Path
from typing import Any

from lab.machine.machine import Machine
from lab.world.terminal import CheckFailed

STATE_DIR = "/opt/openclaw/state/.openclaw"
GATEWAY_UNIT = "openclaw.service"
BACKUP_UNIT = "openclaw-s3-backup.service"
RESTORE_UNIT = "openclaw-s3-restore.service"
CLI = "/usr/local/bin/openclaw"
AS_GATEWAY = "/usr/local/libexec/openclaw-as-gateway"
STAND_STILL = "/usr/local/libexec/openclaw-stand-still"
# While this file exists the gateway's unit waits before the gateway itself starts, so that the state can be looked at
# exactly as the restore left it. A tool of the lab; nothing of the deployed system knows it.
HOLD = "/etc/openclaw-lab-hold"
HOLD_DROP_IN = "/etc/systemd/system/openclaw.service.d/zz-hold.conf"
HOLD_TEXT = Path(__file__).with_name("hold.conf")


def gateway_cli(machine: Machine, arguments: list[str], *, given: str | None = None) -> str:
    """Run the gateway's CLI as a person on the instance does, and return what it prints.

    `given` is what it reads from standard input.
    """
    return run_inside(machine, [CLI, *arguments], seconds=90, given=given)


def as_gateway(machine: Machine, command: list[str]) -> str:
    """Run a command as the gateway's user and in its environment, and return what it prints."""
    # In the unit's own mounts, because the home with the state exists only there.
    main_pid = run_inside(machine, ["systemctl", "show", "--property=MainPID", "--value", GATEWAY_UNIT])
    entering = ["nsenter", "--target", main_pid.strip(), "--mount", "--"]
    return run_inside(machine, [*entering, AS_GATEWAY, *command])


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


def is_active(machine: Machine, unit: str = GATEWAY_UNIT) -> bool:
    """Whether a unit is active."""
    return machine.run(["systemctl", "is-active", "--quiet", unit]).exit_code == 0


def last_run(machine: Machine, command: str) -> dict[str, Any]:
    """The last line of a command's log."""
    line: dict[str, Any] = json.loads(machine.path(f"/var/log/openclaw/{command}.log").read_text().splitlines()[-1])
    return line


def run_inside(machine: Machine, command: list[str], *, seconds: float = 60, given: str | None = None) -> str:
    """Run a command that must succeed, and return what it prints; raises CheckFailed otherwise."""
    outcome = machine.run(command, timeout_seconds=seconds, input_text=given)
    if outcome.exit_code != 0:
        raise CheckFailed(f"{' '.join(command[:6])} failed on {machine.instance_id}: {outcome.stdout}{outcome.stderr}")
    return outcome.stdout
