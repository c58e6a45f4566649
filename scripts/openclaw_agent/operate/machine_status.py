"""How the instance stands, as facts for one screen."""

import json
import os
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openclaw_agent.host.units import GATEWAY_UNIT, is_active
from openclaw_agent.operate.gateway import is_ready
from openclaw_agent.operate.programs import last_run
from openclaw_agent.settings import SETTINGS_FILE, Settings

TIMERS = ("openclaw-s3-backup.timer", "openclaw-s3-lifecycle.timer", "openclaw-s3-drill.timer")
CLI = "/usr/local/bin/openclaw"
CLI_SECONDS = 30


def machine_status(settings: Settings, *, devices: bool = True) -> dict[str, Any]:
    """Return the facts: gateway, backups, timers, disk, memory, units that failed; times in ISO 8601, in UTC."""
    active = is_active(GATEWAY_UNIT)
    ready = active and is_ready()
    backup, drill = last_run(settings.log_dir, "backup"), last_run(settings.log_dir, "drill")
    return {
        "stack": settings.stack,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "uptime_seconds": _uptime(),
        "gateway": {"active": active, "ready": ready, "image": _image()},
        "devices": _devices() if ready and devices else None,
        "last_backup": _chosen(backup, "time", "result", "snapshot", "files", "bytes_uploaded", "freeze_ms", "error"),
        "last_drill": _chosen(drill, "time", "result", "snapshot", "files", "error"),
        "next": {timer: _next(timer) for timer in TIMERS if _is_loaded(timer)},
        "failed_units": _failed_units(),
        "disk_percent": _disk_percent(settings.state_dir),
        "memory_percent": _memory_percent(),
    }


def _chosen(line: dict[str, Any], *names: str) -> dict[str, Any] | None:
    return {name: line[name] for name in names if name in line} if line else None


def _image() -> str:
    try:
        return str(json.loads(SETTINGS_FILE.read_text()).get("image", ""))
    except (OSError, ValueError):
        return ""


def _uptime() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME))


def _is_loaded(unit: str) -> bool:
    return _show(unit, "LoadState") == "loaded"


def _next(timer: str) -> str | None:
    microseconds = _show(timer, "NextElapseUSecRealtime")
    try:
        # systemd prints a time of day, in the machine's zone, which is UTC on an instance.
        moment = datetime.strptime(microseconds, "%a %Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment.isoformat()


def _failed_units() -> list[str]:
    listed = _output("systemctl", "list-units", "--failed", "--plain", "--no-legend", "openclaw*")
    return [line.split()[0] for line in listed.splitlines() if line.strip()]


def _devices() -> int | None:
    """How many devices are paired, None where the gateway's CLI does not say."""
    text = _output(CLI, "devices", "list", "--json", seconds=CLI_SECONDS)
    try:
        found = json.loads(text[text.index("{") :])
    except ValueError:
        return None
    paired = found.get("paired") if isinstance(found, dict) else None
    return len(paired) if isinstance(paired, list) else None


def _disk_percent(place: Path) -> float | None:
    try:
        usage = shutil.disk_usage(place if place.exists() else "/")
    except OSError:
        return None
    return round(100 * usage.used / (usage.used + usage.free), 1)


def _memory_percent() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        return round(100 * (1 - found["MemAvailable"] / found["MemTotal"]), 1)
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _show(unit: str, name: str) -> str:
    return _output("systemctl", "show", f"--property={name}", "--value", unit).strip()


def _output(*words: str, seconds: float = 20) -> str:
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs
            words, capture_output=True, text=True, check=False, timeout=seconds, env=environment
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
