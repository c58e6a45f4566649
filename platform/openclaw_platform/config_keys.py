"""The configuration keys of the platform project, and the settings that they make."""

from dataclasses import dataclass
from typing import Any

from openclaw_platform.config_table import ConfigKey, GivenConfig, Kind, integer_among, integer_between, text_matching

# The only values that CloudWatch Logs accepts (PutRetentionPolicy).
_LOG_RETENTIONS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)

ALARM_EMAIL = ConfigKey(
    name="alarm_email",
    kind=Kind.STRING,
    default="",
    allowed="an e-mail address, or nothing",
    meaning="Who is told when an alarm fires; AWS sends one message to confirm the address first.",
    parse=text_matching(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+", or_empty=True),
)
LOG_RETENTION_DAYS = ConfigKey(
    name="log_retention_days",
    kind=Kind.INTEGER,
    default="30",
    allowed="a number of days that CloudWatch offers: " + ", ".join(str(days) for days in _LOG_RETENTIONS),
    meaning="How long CloudWatch keeps the stack's logs.",
    parse=integer_among(_LOG_RETENTIONS),
)
UNDELETE_DAYS = ConfigKey(
    name="undelete_days",
    kind=Kind.INTEGER,
    default="3",
    allowed="a whole number from 1 to 30",
    meaning="How many days the backup bucket keeps what was overwritten or deleted in it.",
    parse=integer_between(1, 30),
)
WHEELS_FOLDER = ConfigKey(
    name="wheels_folder",
    kind=Kind.STRING,
    default=".cache/wheels",
    allowed="a folder, absolute or relative to the repository",
    meaning="Where the agent's pinned wheels are kept; missing ones are fetched into it from the package index.",
    parse=text_matching(r"[^\0\n]+"),
)
AGENT_REQUIREMENTS = ConfigKey(
    name="agent_requirements",
    kind=Kind.STRING,
    default="requirements-agent.txt",
    allowed="a requirements file with a SHA-256 for each wheel, absolute or relative to the repository",
    meaning="Which wheels the release holds.",
    parse=text_matching(r"[^\0\n]+"),
)

PLATFORM_KEYS: tuple[ConfigKey[Any], ...] = (
    ALARM_EMAIL,
    LOG_RETENTION_DAYS,
    UNDELETE_DAYS,
    WHEELS_FOLDER,
    AGENT_REQUIREMENTS,
)
"""Every key of the platform project, in the order of the README's table."""


@dataclass(frozen=True, slots=True)
class PlatformSettings:
    """What the user has decided about the platform; the two paths may be relative to the repository's root."""

    alarm_email: str
    log_retention_days: int
    undelete_days: int
    wheels_folder: str
    agent_requirements: str


def platform_settings(given: GivenConfig) -> PlatformSettings:
    """Read the platform's settings.

    Raises:
        ConfigRefused: for the first value that is not allowed.
    """
    return PlatformSettings(
        alarm_email=ALARM_EMAIL.read(given),
        log_retention_days=LOG_RETENTION_DAYS.read(given),
        undelete_days=UNDELETE_DAYS.read(given),
        wheels_folder=WHEELS_FOLDER.read(given),
        agent_requirements=AGENT_REQUIREMENTS.read(given),
    )
