"""Where the agent works: bucket, region and folders, from one file that the installer wrote, overridden by flags."""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openclaw_agent.errors import UsageError

SETTINGS_FILE = Path("/etc/openclaw/instance.json")
# Root's own folder around it is where the agent works; people reach it as /opt/openclaw/.openclaw (docs/adr/0012).
STATE_DIR = Path("/opt/openclaw/state/.openclaw")
AGENT_DIR = Path("/var/lib/openclaw-agent")
LOG_DIR = Path("/var/log/openclaw")
SECRETS_FILE = Path("/run/openclaw/.env")
DEFAULT_FREEZER = "compose:openclaw"
FREEZE_BUDGET_SECONDS = 2.0

# What is restored or removed there would be the machine itself.
SYSTEM_FOLDERS = frozenset(
    f"/{name}"
    for name in (
        *(
            "",
            "bin",
            "boot",
            "dev",
            "etc",
            "home",
            "lib",
            "lib32",
            "lib64",
            "media",
            "mnt",
            "opt",
            "proc",
            "root",
            "run",
        ),
        *(
            "sbin",
            "srv",
            "sys",
            "tmp",
            "usr",
            "usr/bin",
            "usr/lib",
            "usr/local",
            "var",
            "var/lib",
            "var/log",
            "var/tmp",
        ),
    )
)

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@dataclass(frozen=True, slots=True)
class NumberVariable:
    """An environment variable that holds a number, what stands for it when it is not set, and what is allowed."""

    name: str
    default: float
    least: float
    most: float
    whole: bool = False

    def read(self, env: Mapping[str, str]) -> float:
        """The value.

        Raises:
            UsageError: when it is no such number.
        """
        text = env.get(self.name) or f"{self.default:g}"
        try:
            value = float(int(text)) if self.whole else float(text)
        except ValueError:
            value = math.nan
        if not self.least <= value <= self.most:
            kind = "a whole number" if self.whole else "a number"
            raise UsageError(f"{self.name}={text} is not allowed: {kind} from {self.least:g} to {self.most:g}.")
        return value


BACKUP_BUDGET_USD = NumberVariable("OPENCLAW_BACKUP_BUDGET_USD", 0.5, least=0, most=100_000)
S3_ATTEMPTS = NumberVariable("OPENCLAW_S3_ATTEMPTS", 6, least=1, most=100, whole=True)
S3_STALL_SECONDS = NumberVariable("OPENCLAW_S3_STALL_SECONDS", 30, least=0.1, most=3600)


@dataclass(frozen=True, slots=True)
class LimitSetting:
    """A whole number of the settings file that bounds a backup, what stands for it, and what is allowed."""

    name: str
    default: int
    least: int
    most: int

    def read(self, written: Mapping[str, Any], path: Path) -> int:
        """The value.

        Raises:
            UsageError: when it is no such number.
        """
        value = written.get(self.name, self.default)
        if type(value) is not int or not self.least <= value <= self.most:
            raise UsageError(
                f"{self.name} in {path} must be a whole number from {self.least} to {self.most}, not {value!r}."
            )
        return value


MAX_FILE_GIB = LimitSetting("backup_max_file_gib", 64, least=1, most=5120)
MAX_ENTRIES = LimitSetting("backup_max_entries", 300_000, least=100, most=5_000_000)
MAX_DEPTH = LimitSetting("backup_max_depth", 1900, least=10, most=1900)
DAILY_LIMIT_USD = LimitSetting("backup_daily_limit_usd", 50, least=1, most=100_000)
DAILY_LIMIT_GIB = LimitSetting("backup_daily_limit_gib", 4096, least=1, most=10_000_000)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command needs to know; durations in seconds.

    `state_dir_is_given` is true where a person named the state folder, by a flag or a variable.
    `on_instance` is true where the installer's settings file exists: only there are units stopped and metrics sent.
    `freezer` is `none`, `compose:<project>` or `systemd:<unit>`.
    A request to S3 is made at most `s3_attempts` times, and given up after `s3_stall_seconds` without a byte.
    While whole snapshots cost at most `backup_budget_usd` a month, every snapshot is whole.
    """

    bucket: str
    region: str
    state_dir: Path
    agent_dir: Path
    log_dir: Path
    stack: str = "local"
    excludes: tuple[str, ...] = ()
    freezer: str = "none"
    freeze_budget: float = FREEZE_BUDGET_SECONDS
    metric_namespace: str = ""
    secrets_path: str = ""
    heartbeat_url: str = ""
    scaling_group: str = ""
    lifecycle_hook: str = ""
    on_instance: bool = False
    s3_attempts: int = int(S3_ATTEMPTS.default)
    s3_stall_seconds: float = S3_STALL_SECONDS.default
    state_dir_is_given: bool = False
    max_file_gib: int = MAX_FILE_GIB.default
    max_entries: int = MAX_ENTRIES.default
    max_depth: int = MAX_DEPTH.default
    daily_limit_usd: int = DAILY_LIMIT_USD.default
    daily_limit_gib: int = DAILY_LIMIT_GIB.default
    backup_interval_minutes: int = 20
    backup_budget_usd: float = BACKUP_BUDGET_USD.default


def load_settings(
    *,
    bucket: str | None = None,
    region: str | None = None,
    state_dir: str | None = None,
    environment: dict[str, str] | None = None,
    needs_bucket: bool = True,
) -> Settings:
    """Combine flags, environment and the settings file, in that order of precedence; an empty flag is a mistake.

    Raises:
        UsageError: naming the value that is missing or malformed.
    """
    env = dict(os.environ) if environment is None else environment
    settings_file = _place(env, "OPENCLAW_AGENT_SETTINGS", SETTINGS_FILE)
    written = _read_settings_file(settings_file)
    s3_attempts, s3_stall_seconds = int(S3_ATTEMPTS.read(env)), S3_STALL_SECONDS.read(env)
    for flag, value in (("--bucket", bucket), ("--region", region), ("--state-dir", state_dir)):
        if value == "":
            raise UsageError(f"{flag} '' is not allowed: give a value, or leave the flag out.")
    chosen_bucket = bucket or _text(written, "backup_bucket", settings_file)
    if needs_bucket and not chosen_bucket:
        raise UsageError(f"No bucket: pass --bucket NAME, or write backup_bucket into {settings_file}.")
    if chosen_bucket and not _BUCKET.fullmatch(chosen_bucket):
        raise UsageError(
            f"The bucket name {chosen_bucket!r} is not allowed: 3 to 63 of a-z, 0-9, hyphen and dot, "
            "beginning and ending with a letter or digit."
        )
    chosen_region = (
        region
        or _text(written, "region", settings_file)
        or env.get("AWS_REGION")
        or env.get("AWS_DEFAULT_REGION")
        or "us-east-1"
    )
    if not _REGION.fullmatch(chosen_region):
        raise UsageError(f"The region {chosen_region!r} is not allowed: it must look like us-east-1.")
    # A symlink to the state folder is followed once, here, so that a restore swaps the real folder under it.
    folder = Path(os.path.realpath(state_dir or _place(env, "OPENCLAW_STATE_DIR", STATE_DIR)))
    agent_dir = _place(env, "OPENCLAW_AGENT_DIR", AGENT_DIR)
    log_dir = _place(env, "OPENCLAW_LOG_DIR", _default_log_dir(env))
    _require_apart(folder, agent_dir, log_dir)
    excludes = written.get("excludes", [])
    if not isinstance(excludes, list) or not all(isinstance(pattern, str) for pattern in excludes):
        raise UsageError(f"excludes in {settings_file} must be a list of patterns, not {excludes!r}.")
    return Settings(
        bucket=chosen_bucket,
        region=chosen_region,
        state_dir=folder,
        agent_dir=agent_dir,
        log_dir=log_dir,
        stack=_text(written, "stack", settings_file) or "local",
        excludes=tuple(excludes),
        freezer=_freezer(env.get("OPENCLAW_FREEZER", DEFAULT_FREEZER if written else "none")),
        metric_namespace=_text(written, "metric_namespace", settings_file),
        secrets_path=_text(written, "secrets_path", settings_file),
        heartbeat_url=_text(written, "heartbeat_url", settings_file),
        scaling_group=_text(written, "scaling_group", settings_file),
        lifecycle_hook=_text(written, "lifecycle_hook", settings_file),
        on_instance=bool(written),
        s3_attempts=s3_attempts,
        s3_stall_seconds=s3_stall_seconds,
        state_dir_is_given=bool(state_dir or env.get("OPENCLAW_STATE_DIR")),
        max_file_gib=MAX_FILE_GIB.read(written, settings_file),
        max_entries=MAX_ENTRIES.read(written, settings_file),
        max_depth=MAX_DEPTH.read(written, settings_file),
        daily_limit_usd=DAILY_LIMIT_USD.read(written, settings_file),
        daily_limit_gib=DAILY_LIMIT_GIB.read(written, settings_file),
        backup_interval_minutes=int(_number(written, "backup_interval_minutes", 20, 1, settings_file)),
        backup_budget_usd=_budget(env, written, settings_file),
    )


def _budget(env: Mapping[str, str], written: Mapping[str, Any], path: Path) -> float:
    if env.get(BACKUP_BUDGET_USD.name):
        return BACKUP_BUDGET_USD.read(env)
    return _number(written, "backup_budget_usd", BACKUP_BUDGET_USD.default, BACKUP_BUDGET_USD.least, path)


def _default_log_dir(env: dict[str, str]) -> Path:
    # An ordinary user who moved the agent's folder has no /var/log/openclaw: the logs then stay beside its memory.
    return Path(env["OPENCLAW_AGENT_DIR"]) / "log" if env.get("OPENCLAW_AGENT_DIR") else LOG_DIR


def _place(env: Mapping[str, str], name: str, default: Path) -> Path:
    """The place that a variable names; an empty one is none, and never the current folder."""
    text = env.get(name)
    if not text:
        return default
    if not text.startswith("/"):
        raise UsageError(f"{name}={text} is not allowed: give a path that begins with /.")
    return Path(text)


def _require_apart(state_dir: Path, agent_dir: Path, log_dir: Path) -> None:
    """Refuse places in which a run would delete or back up something else than it should."""
    agent, logs = Path(os.path.realpath(agent_dir)), Path(os.path.realpath(log_dir))
    for what, place in (("state folder", state_dir), ("agent's folder", agent)):
        if str(place) in SYSTEM_FOLDERS:
            raise UsageError(f"The {what} {place} is not allowed: it must be a folder of its own, not the system's.")
    if agent == state_dir or state_dir in agent.parents or agent in state_dir.parents:
        raise UsageError(
            f"The agent's folder {agent_dir} is not allowed: it and the state folder {state_dir} must lie beside each "
            "other, neither in the other (OPENCLAW_AGENT_DIR)."
        )
    if logs == state_dir or state_dir in logs.parents:
        raise UsageError(
            f"The log folder {log_dir} is not allowed: it must not lie in the state folder {state_dir} "
            "(OPENCLAW_LOG_DIR)."
        )


def _freezer(value: str) -> str:
    kind, _, name = value.partition(":")
    if value != "none" and not (kind in ("compose", "systemd") and name):
        raise UsageError(f"The freezer {value!r} is not allowed: none, compose:<project> or systemd:<unit>.")
    return value


def _read_settings_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as problem:
        raise UsageError(f"The settings file {path} cannot be read ({problem.strerror}).") from problem
    except UnicodeDecodeError as problem:
        raise UsageError(f"The settings file {path} is no UTF-8 text ({problem}).") from problem
    try:
        written = json.loads(text)
    except ValueError as problem:
        raise UsageError(f"The settings file {path} is no valid JSON ({problem}).") from problem
    if not isinstance(written, dict):
        raise UsageError(f"The settings file {path} must hold one JSON object.")
    return written


def _number(written: Mapping[str, Any], name: str, default: float, least: float, path: Path) -> float:
    value = written.get(name, default)
    if type(value) not in (int, float) or not least <= value < math.inf:
        raise UsageError(f"{name} in {path} must be a number of at least {least:g}, not {value!r}.")
    return float(value)


def _text(written: dict[str, Any], name: str, path: Path) -> str:
    value = written.get(name, "")
    if not isinstance(value, str):
        raise UsageError(f"{name} in {path} must be a text, not {value!r}.")
    return value
