"""The units of systemd that the agent knows, and every command that it gives to systemctl."""

import subprocess
from collections.abc import Sequence

GATEWAY_UNIT = "openclaw.service"
FINAL_UNIT = "openclaw-s3-final.service"
BACKUP_UNIT = "openclaw-s3-backup.service"


def start_command(unit: str, *, wait: bool = True) -> Sequence[str]:
    """Start a unit; without `wait` only ask for it."""
    return ("systemctl", "start", unit) if wait else ("systemctl", "start", "--no-block", unit)


def stop_command(unit: str, *, wait: bool = True) -> Sequence[str]:
    """Stop a unit; without `wait` only ask for it."""
    return ("systemctl", "stop", unit) if wait else ("systemctl", "stop", "--no-block", unit)


def state_command(unit: str) -> Sequence[str]:
    """Print a unit's state in one word; exits with 3 or 4 for one that is not active."""
    return ("systemctl", "is-active", unit)


def freeze_command(unit: str) -> Sequence[str]:
    """Freeze a unit's cgroup."""
    return ("systemctl", "freeze", unit)


def thaw_command(unit: str) -> Sequence[str]:
    """Thaw a unit's cgroup."""
    return ("systemctl", "thaw", unit)


def is_active(unit: str) -> bool:
    """Whether a unit is active now."""
    return subprocess.run(("systemctl", "is-active", "--quiet", unit), check=False).returncode == 0  # noqa: S603, S607


def request_stop(unit: str) -> None:
    """Ask systemd to stop a unit, and do not wait for it."""
    subprocess.run(stop_command(unit, wait=False), check=False)  # noqa: S603 - fixed programs and units
