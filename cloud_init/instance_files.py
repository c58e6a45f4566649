"""Files that the installer derives from the instance's settings (/etc/openclaw/instance.json)."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")

KIND_WORDS: Mapping[type, str] = {str: "a text", int: "a whole number", bool: "true or false"}
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
MINUTES_PER_DAY = 24 * 60
SHIPPED_INTERVAL_MINUTES = 20
# Told only where it is another (config_keys.py).
DEFAULT_LOG_MIB_PER_HOUR = 4
GATEWAY_MEMORY_PERCENT = 85
LEAST_GATEWAY_MEMORY_MIB = 512


class SettingsError(Exception):
    """The settings cannot be used; the message is the sentence for the user."""


@dataclass(frozen=True, slots=True)
class InstallerSettings:
    """What the installer itself needs of instance.json."""

    image: str
    backup_interval_minutes: int
    swap_size_mib: int
    auto_approve_devices: bool
    gateway_log_mib_per_hour: int
    region: str
    texts: Mapping[str, str]


def read_settings(path: Path) -> InstallerSettings:
    """Read and check instance.json.

    Raises:
        SettingsError: the file is missing, is no JSON object, or a value is missing or of the wrong kind.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}): user-data must write it first.") from error
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON ({error}): deploy the ec2-spot stack again.") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path} must hold one JSON object, not {type(document).__name__}.")
    return InstallerSettings(
        image=_wanted(document, "image", str, path),
        backup_interval_minutes=_wanted(document, "backup_interval_minutes", int, path),
        swap_size_mib=_wanted(document, "swap_size_mib", int, path),
        auto_approve_devices=_wanted(document, "auto_approve_devices", bool, path),
        gateway_log_mib_per_hour=_wanted(
            {"gateway_log_mib_per_hour": DEFAULT_LOG_MIB_PER_HOUR, **document}, "gateway_log_mib_per_hour", int, path
        ),
        region=_wanted(document, "region", str, path),
        texts={name: value for name, value in document.items() if isinstance(value, str)},
    )


def _wanted(document: Mapping[str, object], name: str, kind: type[Value], path: Path) -> Value:
    value = document.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SettingsError(f"{path}: {name} must be {KIND_WORDS[kind]}, not {json.dumps(value)}.")
    return value


def fill_placeholders(template: str, texts: Mapping[str, str]) -> str:
    """Put settings in place of {{name}} in the strings of a JSON document, whatever characters they hold.

    Raises:
        SettingsError: the template names a setting that does not exist.
    """

    def setting(match: re.Match[str]) -> str:
        if match[1] not in texts:
            raise SettingsError(f"instance.json lacks {match[1]}, which the CloudWatch configuration needs.")
        return texts[match[1]]

    def filled(node: object) -> object:
        if isinstance(node, str):
            return PLACEHOLDER.sub(setting, node)
        if isinstance(node, list):
            return [filled(item) for item in node]
        if isinstance(node, dict):
            return {key: filled(value) for key, value in node.items()}
        return node

    return json.dumps(filled(json.loads(template)), indent=2) + "\n"


def gateway_environment(settings: InstallerSettings, memory_mib: int) -> str:
    """Return the lines of /etc/openclaw/gateway.env: what units and docker-compose.yaml take from the settings.

    The gateway gets most of the machine's memory but not all, so that a leak kills the gateway and not the host.

    Raises:
        SettingsError: the image name holds characters that no image name has.
    """
    if not re.fullmatch(r"[\w./:@-]+", settings.image, re.ASCII):
        raise SettingsError(f"{settings.image!r} is no image name: letters, digits and . / : @ _ - are allowed.")
    limit = max(memory_mib * GATEWAY_MEMORY_PERCENT // 100, LEAST_GATEWAY_MEMORY_MIB)
    lines = {
        "AWS_REGION": settings.region,
        "OPENCLAW_IMAGE": settings.image,
        "OPENCLAW_MEMORY_LIMIT": f"{limit}m",
        "OPENCLAW_MEMORY_AND_SWAP_LIMIT": f"{limit + settings.swap_size_mib}m",
        "OPENCLAW_SWAP_MIB": str(settings.swap_size_mib),
        "OPENCLAW_GATEWAY_LOG_MIB_PER_HOUR": str(settings.gateway_log_mib_per_hour),
        "OPENCLAW_AUTO_APPROVE": "yes" if settings.auto_approve_devices else "no",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def backup_times(interval_minutes: int) -> list[str]:
    """Return the OnCalendar expressions of a backup every so many minutes, counted from 00:00 UTC.

    Raises:
        SettingsError: the interval is not within a day.
    """
    if not 1 <= interval_minutes <= MINUTES_PER_DAY:
        raise SettingsError(f"backup_interval_minutes is {interval_minutes}; 1 to {MINUTES_PER_DAY} is allowed.")
    if interval_minutes < 60 and 60 % interval_minutes == 0:
        return [f"*-*-* *:00/{interval_minutes}:00 UTC"]
    starts = (divmod(minute, 60) for minute in range(0, MINUTES_PER_DAY, interval_minutes))
    return [f"*-*-* {hour:02}:{minute:02}:00 UTC" for hour, minute in starts]


def backup_timer_dropin(interval_minutes: int) -> str | None:
    """Return the drop-in that moves openclaw-s3-backup.timer to another interval, or None if the shipped one fits."""
    times = backup_times(interval_minutes)
    if interval_minutes == SHIPPED_INTERVAL_MINUTES:
        return None
    return "[Timer]\nOnCalendar=\n" + "".join(f"OnCalendar={time}\n" for time in times)


def write_instance_files(settings: InstallerSettings, release: Path, root: Path, memory_mib: int) -> None:
    """Write every derived file below root, and remove a timer drop-in that is no longer wanted."""
    template = (release / "amazon-cloudwatch-agent.json").read_text(encoding="utf-8")
    _write(root / "etc/openclaw/amazon-cloudwatch-agent.json", fill_placeholders(template, settings.texts))
    _write(root / "etc/openclaw/gateway.env", gateway_environment(settings, memory_mib))
    dropin = root / "etc/systemd/system/openclaw-s3-backup.timer.d/interval.conf"
    content = backup_timer_dropin(settings.backup_interval_minutes)
    if content is None:
        dropin.unlink(missing_ok=True)
    else:
        _write(dropin, content)


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    path.chmod(0o644)


def main() -> int:
    """Write the derived files; 0, or 1 with one sentence on standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=Path, default=Path("/etc/openclaw/instance.json"))
    parser.add_argument("--release", type=Path, default=Path(__file__).resolve().parent, help="the unpacked release")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where to write (for tests)")
    arguments = parser.parse_args()
    memory_mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    try:
        write_instance_files(read_settings(arguments.settings), arguments.release, arguments.root, memory_mib)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
