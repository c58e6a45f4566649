"""The configuration keys of the ec2-spot project: a row a key, and nothing else to write for a new one."""

import re
from ipaddress import IPv4Network

from openclaw_platform.config_table import (
    ConfigKey,
    ConfigTable,
    Kind,
    boolean,
    comma_list,
    integer_among,
    integer_between,
    text_matching,
)

OPENCLAW_VERSION = "2026.9.6"
"""What is deployed where nobody chose another image, and what the lab runs."""

MOST_BUDGET_USD = 1000
"""What whole snapshots may cost a month at most before the agent must save."""

MAX_INSTANCE_TYPES = 20
"""How many instance types a stack may list; the group's own limit is 40."""

NARROWEST_NETWORK = 25
"""The longest prefix of a network that is cut into a part for each zone; `network_plan` holds to it."""

NEWEST_IMAGE = "newest"
"""The value of `ami_id` with which each deployment takes the newest image."""

_BACKUP_INTERVALS = (5, 10, 15, 20, 30, 60)
_PRIVATE_NETWORKS = tuple(IPv4Network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"


def _instance_types(text: str) -> tuple[str, ...]:
    types = comma_list(text_matching(r"[a-z][a-z0-9-]*\.[a-z0-9-]+"))(text)
    if not 1 <= len(types) <= MAX_INSTANCE_TYPES:
        raise ValueError(text)
    return types


def _private_network(text: str) -> IPv4Network:
    network = IPv4Network(text)
    # Version 0.1.0 took networks down to /28, and a stack that it deployed is to go on.
    if "/" not in text or not 16 <= network.prefixlen <= 28:
        raise ValueError(text)
    if not any(network.subnet_of(private) for private in _PRIVATE_NETWORKS):
        raise ValueError(text)
    return network


def _relative_pattern(text: str) -> str:
    names = [name for name in text.split("/") if name not in ("", ".")]
    # What git or a shell gives a meaning to, and the agent does not: it would match nothing that was meant.
    if not re.fullmatch(r"[^\s/!#\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,199}", text) or re.search(r"[][{}\\]", text):
        raise ValueError(text)
    if not names or ".." in names or names[0] == "~" or (names[0][0] in "~$" and len(names) > 1):
        raise ValueError(text)
    return text


def _dollars(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,2})?", text) or float(text) > MOST_BUDGET_USD:
        raise ValueError(text)
    return float(text)


class InstanceSettings(ConfigTable):
    """What the user has decided about the instance; sizes in GiB and MiB, the interval in minutes."""

    __slots__ = ()

    instance_type = ConfigKey(
        kind=Kind.STRING,
        default="t4g.small",
        allowed=f"1 to {MAX_INSTANCE_TYPES} different EC2 instance types of one architecture, separated by commas",
        meaning="What the instance runs on, first choice first.",
        parse=_instance_types,
    )
    availability_zone = ConfigKey(
        kind=Kind.STRING,
        default=None,
        allowed="an availability zone of the stack's region, such as us-east-1a",
        meaning="The one zone the instance runs in; `make ec2-spot-prices` shows what each costs.",
        parse=text_matching(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]"),
    )
    root_volume_size_gib = ConfigKey(
        kind=Kind.INTEGER,
        default="15",
        allowed="a whole number from 8 to 1024",
        meaning="Size of the root volume in GiB; it holds the state, the image and the swap file.",
        parse=integer_between(8, 1024),
    )
    swap_size_mib = ConfigKey(
        kind=Kind.INTEGER,
        default="2048",
        allowed="a whole number from 0 (no swap) to 16384, and at most a quarter of the root volume",
        meaning="Size of the swap file in MiB; hosts of 2 GB hang without one.",
        parse=integer_between(0, 16384),
        instance_json="swap_size_mib",
    )
    image = ConfigKey(
        kind=Kind.STRING,
        default=f"ghcr.io/openclaw/openclaw:{OPENCLAW_VERSION}",
        allowed="a container image with a tag other than latest, or with a digest",
        meaning="OpenClaw's image; `latest` is refused because a restart would then change the version unasked.",
        parse=text_matching(
            rf"[a-z0-9]+([._:/-]+[a-z0-9]+)*(:(?!latest$){_TAG}|(:{_TAG})?@sha256:[0-9a-f]{{64}})",
        ),
        instance_json="image",
    )
    backup_interval_minutes = ConfigKey(
        kind=Kind.INTEGER,
        default="20",
        allowed="one of " + ", ".join(str(minutes) for minutes in _BACKUP_INTERVALS),
        meaning="Minutes between two backups, and so the most that is lost when the instance vanishes without notice.",
        parse=integer_among(_BACKUP_INTERVALS),
        instance_json="backup_interval_minutes",
    )
    backup_max_file_gib = ConfigKey(
        kind=Kind.INTEGER,
        default="64",
        allowed="a whole number from 1 to 5120",
        meaning="The largest file that a backup takes, in GiB, and the most that the holes of all files together "
        "may have: states of 40 GB exist, and a file with holes takes no room on the disk, but all of its "
        "size in the bucket. What is over it is a gap.",
        parse=integer_between(1, 5120),
        instance_json="backup_max_file_gib",
        told_if_changed=True,
    )
    backup_max_entries = ConfigKey(
        kind=Kind.INTEGER,
        default="300000",
        allowed="a whole number from 100 to 5000000",
        meaning="How many files, folders and links a backup takes: the agent may use 768 MiB, of which each "
        "100,000 take some 100. Where there are more, what the last backup had is taken, then what lies "
        "near the top; the rest is a gap.",
        parse=integer_between(100, 5_000_000),
        instance_json="backup_max_entries",
        told_if_changed=True,
    )
    backup_max_depth = ConfigKey(
        kind=Kind.INTEGER,
        default="1900",
        allowed="a whole number from 10 to 1900",
        meaning="How many folders deep a backup goes; 1900 is about as many as a path has room for. What lies "
        "deeper is a gap.",
        parse=integer_between(10, 1900),
        instance_json="backup_max_depth",
        told_if_changed=True,
    )
    backup_daily_limit_usd = ConfigKey(
        kind=Kind.INTEGER,
        default="50",
        allowed="a whole number from 1 to 100000",
        meaning="The most that the backups of one UTC day may cost in requests to S3, in USD; over it they are "
        "refused (exit code 5), and the alarm backup-refused tells. A final backup may spend the same "
        "once more.",
        parse=integer_between(1, 100_000),
        instance_json="backup_daily_limit_usd",
        told_if_changed=True,
    )
    backup_daily_limit_gib = ConfigKey(
        kind=Kind.INTEGER,
        default="4096",
        allowed="a whole number from 1 to 10000000",
        meaning="The same for what they send and copy, in GiB: a state of 40 GB that changes all day comes to 2,900.",
        parse=integer_between(1, 10_000_000),
        instance_json="backup_daily_limit_gib",
        told_if_changed=True,
    )
    backup_budget_usd = ConfigKey(
        kind=Kind.STRING,
        default="0.50",
        allowed="US dollars from 0 to 1000, such as 0.50",
        meaning="Until which cost a month every snapshot is a whole folder, requests and storage together; beyond it a "
        "snapshot holds what differs from earlier ones.",
        parse=_dollars,
        instance_json="backup_budget_usd",
    )
    extra_excludes = ConfigKey(
        kind=Kind.STRING,
        default="",
        allowed="different patterns separated by commas, each relative to the state folder, at most 200 characters; "
        "no `[ ] { }` or backslash, no `!` or `#` in front, no `~/` or `$NAME/` (write `?` for one in a name)",
        meaning="What backups exclude besides what OpenClaw can rebuild, such as `logs/,media/**/*.tmp`.",
        parse=comma_list(_relative_pattern),
        instance_json="excludes",
    )
    gateway_log_mib_per_hour = ConfigKey(
        kind=Kind.INTEGER,
        default="4",
        allowed="a whole number from 1 to 1024",
        meaning="How much of what the gateway prints is kept in an hour, in MiB; the rest is dropped, and the log says "
        "how much. CloudWatch takes $0.50 a GB: 4 are at most $1.50 a month.",
        parse=integer_between(1, 1024),
        instance_json="gateway_log_mib_per_hour",
        told_if_changed=True,
    )
    heartbeat_url = ConfigKey(
        kind=Kind.STRING,
        default="",
        allowed="an https URL of at most 500 characters, or nothing",
        meaning="Asked after each good backup, and with `/fail` after a bad one (healthchecks.io and the like): "
        "somebody outside AWS notices silence.",
        parse=text_matching(r"https://[A-Za-z0-9._~:/?#@!$&()*+,;=%-]{1,492}", or_empty=True),
        instance_json="heartbeat_url",
        told_if_changed=True,
    )
    cpu_credits = ConfigKey(
        kind=Kind.STRING,
        default="standard",
        allowed="standard or unlimited",
        meaning="How burstable types (t...) run above their baseline: `standard` costs nothing more, starts without "
        "credits and so boots slowly; `unlimited` boots at full speed and bills for it.",
        parse=text_matching("standard|unlimited"),
    )
    kms_key_arn = ConfigKey(
        kind=Kind.STRING,
        default="",
        allowed="the ARN of a KMS key (no alias) in the stack's region, or nothing",
        meaning="Your own key that the gateway's secrets in SSM are encrypted with, if not the account's `aws/ssm`.",
        parse=text_matching(r"arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,128}", or_empty=True),
    )
    auto_approve_devices = ConfigKey(
        kind=Kind.BOOLEAN,
        default="false",
        allowed="true or false",
        meaning="Whether devices that ask to be paired are approved without a question.",
        parse=boolean,
        instance_json="auto_approve_devices",
    )
    cidr = ConfigKey(
        kind=Kind.STRING,
        default="10.77.0.0/24",
        allowed="a private IPv4 network (in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16) from /16 to /25",
        meaning="Addresses of the stack's own network, an eighth for each zone; fixed while the stack is deployed.",
        parse=_private_network,
    )
    extra_egress_ports = ConfigKey(
        kind=Kind.STRING,
        default="",
        allowed="different TCP ports from 1 to 65535 separated by commas",
        meaning="Ports the instance may reach besides 80 and 443, such as `22,587,993` for git over SSH and for mail.",
        parse=comma_list(integer_between(1, 65535)),
    )
    ami_id = ConfigKey(
        kind=Kind.STRING,
        default="",
        allowed=f"the id of an Amazon Linux 2023 image such as ami-0123456789abcdef0, `{NEWEST_IMAGE}`, or nothing",
        meaning="Pins the machine image; `newest` takes the newest Amazon Linux 2023 at each `pulumi up`; without it "
        "the deployed one stays until `make up REFRESH_AMI=1`. Another image replaces the instance.",
        parse=text_matching(rf"ami-([0-9a-f]{{8}}|[0-9a-f]{{17}})|{NEWEST_IMAGE}", or_empty=True),
    )

    def require_agreement(self) -> None:
        """Refuse a swap file that would take more than a quarter of the root volume."""
        if self.swap_size_mib * 4 > self.root_volume_size_gib * 1024:
            raise InstanceSettings.swap_size_mib.refusal(str(self.swap_size_mib))


class Ec2SpotSettings(InstanceSettings):
    """Every key of the ec2-spot project; the root project builds the platform itself, and so needs no organization."""

    __slots__ = ()

    platform_organization = ConfigKey(
        kind=Kind.STRING,
        default="",
        allowed="the name of a Pulumi organization, or nothing",
        meaning="Where the platform stack is found, if not in the organization of this stack.",
        parse=text_matching(r"[A-Za-z0-9_.-]{1,100}", or_empty=True),
    )
