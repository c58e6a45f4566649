"""The configuration keys of the platform project: a row a key, and nothing else to write for a new one."""

from openclaw_platform.config_table import ConfigKey, ConfigTable, Kind, integer_among, integer_between, text_matching

# The only values that CloudWatch Logs accepts (PutRetentionPolicy).
_LOG_RETENTIONS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class PlatformSettings(ConfigTable):
    """What the user has decided about the platform; the two paths may be relative to the repository's root."""

    __slots__ = ()

    alarm_email = ConfigKey(
        kind=Kind.STRING,
        default="",
        allowed="an e-mail address, or nothing",
        meaning="Who is told when an alarm fires; AWS sends one message to confirm the address first.",
        parse=text_matching(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+", or_empty=True),
    )
    log_retention_days = ConfigKey(
        kind=Kind.INTEGER,
        default="30",
        allowed="a number of days that CloudWatch offers: " + ", ".join(str(days) for days in _LOG_RETENTIONS),
        meaning="How long CloudWatch keeps the stack's logs.",
        parse=integer_among(_LOG_RETENTIONS),
    )
    undelete_days = ConfigKey(
        kind=Kind.INTEGER,
        default="14",
        allowed="a whole number from 1 to 30",
        meaning="How many days the backup bucket keeps what was overwritten or deleted in it, for `make undelete`.",
        parse=integer_between(1, 30),
    )
    backup_kms_key_arn = ConfigKey(
        kind=Kind.STRING,
        default="",
        allowed="the ARN of a KMS key (no alias) in the stack's region, or nothing",
        meaning="Your own key that the backups are encrypted with, if not S3's: $1 a month, and requests to KMS that a "
        "bucket key keeps few. After a restore the next backup sends every file again. Older objects keep S3's.",
        parse=text_matching(r"arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,128}", or_empty=True),
    )
    backup_object_lock_days = ConfigKey(
        kind=Kind.INTEGER,
        default="0",
        allowed="a whole number from 0 (no lock) to 30, and at most undelete_days",
        meaning="For how many days S3's object lock (governance mode) lets nobody without a right of its own delete a "
        "version in the backup bucket, your own keys included. Costs nothing more: versions stay for longer anyway.",
        parse=integer_between(0, 30),
    )
    wheels_folder = ConfigKey(
        kind=Kind.STRING,
        default=".cache/wheels",
        allowed="a folder, absolute or relative to the repository",
        meaning="Where the agent's pinned wheels are kept; missing ones are fetched into it from the package index.",
        parse=text_matching(r"[^\0\n]+"),
    )
    agent_requirements = ConfigKey(
        kind=Kind.STRING,
        default="requirements-agent.txt",
        allowed="a requirements file with a SHA-256 for each wheel, absolute or relative to the repository",
        meaning="Which wheels the release holds.",
        parse=text_matching(r"[^\0\n]+"),
    )

    def require_agreement(self) -> None:
        """Refuse a lock that would keep versions, and their cost, for longer than the undelete window."""
        if self.backup_object_lock_days > self.undelete_days:
            raise PlatformSettings.backup_object_lock_days.refusal(str(self.backup_object_lock_days))
