"""The configuration keys of the ec2-spot project, and the settings that they make."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from openclaw_platform.config_table import (
    ConfigKey,
    GivenConfig,
    Kind,
    boolean,
    comma_list,
    integer_among,
    integer_between,
    text_matching,
)

MAX_INSTANCE_TYPES = 20
"""How many instance types a stack may list; the group's own limit is 40."""

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
    if "/" not in text or not 16 <= network.prefixlen <= 28:
        raise ValueError(text)
    if not any(network.subnet_of(private) for private in _PRIVATE_NETWORKS):
        raise ValueError(text)
    return network


def _relative_pattern(text: str) -> str:
    if not re.fullmatch(r"[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]{0,199}", text) or ".." in text.split("/"):
        raise ValueError(text)
    return text


INSTANCE_TYPE = ConfigKey(
    name="instance_type",
    kind=Kind.STRING,
    default="t4g.small",
    allowed=f"1 to {MAX_INSTANCE_TYPES} different EC2 instance types of one architecture, separated by commas",
    meaning="What the instance runs on, first choice first.",
    parse=_instance_types,
)
AVAILABILITY_ZONE = ConfigKey(
    name="availability_zone",
    kind=Kind.STRING,
    default=None,
    allowed="an availability zone of the stack's region, such as us-east-1a",
    meaning="The one zone the instance runs in; `make ec2-spot-prices` shows what each costs.",
    parse=text_matching(r"[a-z]{2}(-[a-z]+)+-[0-9][a-z]"),
)
ROOT_VOLUME_SIZE_GIB = ConfigKey(
    name="root_volume_size_gib",
    kind=Kind.INTEGER,
    default="15",
    allowed="a whole number from 8 to 1024",
    meaning="Size of the root volume in GiB; it holds the state, the image and the swap file.",
    parse=integer_between(8, 1024),
)
SWAP_SIZE_MIB = ConfigKey(
    name="swap_size_mib",
    kind=Kind.INTEGER,
    default="2048",
    allowed="a whole number from 0 (no swap) to 16384, and at most a quarter of the root volume",
    meaning="Size of the swap file in MiB; hosts of 2 GB hang without one.",
    parse=integer_between(0, 16384),
)
IMAGE = ConfigKey(
    name="image",
    kind=Kind.STRING,
    default="ghcr.io/openclaw/openclaw:2026.9.6",
    allowed="a container image with a tag other than latest, or with a digest",
    meaning="OpenClaw's image; `latest` is refused because a restart would then change the version unasked.",
    parse=text_matching(
        rf"[a-z0-9]+([._:/-]+[a-z0-9]+)*(:(?!latest$){_TAG}|(:{_TAG})?@sha256:[0-9a-f]{{64}})",
    ),
)
BACKUP_INTERVAL_MINUTES = ConfigKey(
    name="backup_interval_minutes",
    kind=Kind.INTEGER,
    default="20",
    allowed="one of " + ", ".join(str(minutes) for minutes in _BACKUP_INTERVALS),
    meaning="Minutes between two backups, and so the most that is lost when the instance vanishes without notice.",
    parse=integer_among(_BACKUP_INTERVALS),
)
EXTRA_EXCLUDES = ConfigKey(
    name="extra_excludes",
    kind=Kind.STRING,
    default="",
    allowed="different patterns separated by commas, each relative to the state folder, at most 200 characters",
    meaning="What backups leave out besides what OpenClaw can rebuild, such as `logs/,media/**/*.tmp`.",
    parse=comma_list(_relative_pattern),
)
AUTO_APPROVE_DEVICES = ConfigKey(
    name="auto_approve_devices",
    kind=Kind.BOOLEAN,
    default="false",
    allowed="true or false",
    meaning="Whether devices that ask to be paired are approved without a question.",
    parse=boolean,
)
CIDR = ConfigKey(
    name="cidr",
    kind=Kind.STRING,
    default="10.77.0.0/24",
    allowed="a private IPv4 network (in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16) from /16 to /28",
    meaning="Addresses of the stack's own network.",
    parse=_private_network,
)
EXTRA_EGRESS_PORTS = ConfigKey(
    name="extra_egress_ports",
    kind=Kind.STRING,
    default="",
    allowed="different TCP ports from 1 to 65535 separated by commas",
    meaning="Ports the instance may reach besides 80 and 443, such as `22,587,993` for git over SSH and for mail.",
    parse=comma_list(integer_between(1, 65535)),
)
AMI_ID = ConfigKey(
    name="ami_id",
    kind=Kind.STRING,
    default="",
    allowed="the id of an Amazon Linux 2023 image such as ami-0123456789abcdef0, or nothing",
    meaning="Pins the machine image; without it every `pulumi up` takes the newest Amazon Linux 2023.",
    parse=text_matching(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", or_empty=True),
)
PLATFORM_ORGANIZATION = ConfigKey(
    name="platform_organization",
    kind=Kind.STRING,
    default="",
    allowed="the name of a Pulumi organization, or nothing",
    meaning="Where the platform stack is found, if not in the organization of this stack.",
    parse=text_matching(r"[A-Za-z0-9_.-]{1,100}", or_empty=True),
)

INSTANCE_KEYS: tuple[ConfigKey[Any], ...] = (
    INSTANCE_TYPE,
    AVAILABILITY_ZONE,
    ROOT_VOLUME_SIZE_GIB,
    SWAP_SIZE_MIB,
    IMAGE,
    BACKUP_INTERVAL_MINUTES,
    EXTRA_EXCLUDES,
    AUTO_APPROVE_DEVICES,
    CIDR,
    EXTRA_EGRESS_PORTS,
    AMI_ID,
)
"""Every key that shapes the instance, in the order of the README's table."""

EC2_SPOT_KEYS: tuple[ConfigKey[Any], ...] = (*INSTANCE_KEYS, PLATFORM_ORGANIZATION)
"""Every key of the ec2-spot project; the root project needs no organization, since it builds the platform itself."""


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """What the user has decided about the instance; sizes in GiB and MiB, the interval in minutes."""

    instance_types: tuple[str, ...]
    availability_zone: str
    root_volume_size_gib: int
    swap_size_mib: int
    image: str
    backup_interval_minutes: int
    extra_excludes: tuple[str, ...]
    auto_approve_devices: bool
    cidr: IPv4Network
    extra_egress_ports: tuple[int, ...]
    ami_id: str


def instance_settings(given: GivenConfig) -> InstanceSettings:
    """Read the instance's settings.

    Raises:
        ConfigRefused: for the first value that is not allowed by itself or beside the others.
    """
    settings = InstanceSettings(
        instance_types=INSTANCE_TYPE.read(given),
        availability_zone=AVAILABILITY_ZONE.read(given),
        root_volume_size_gib=ROOT_VOLUME_SIZE_GIB.read(given),
        swap_size_mib=SWAP_SIZE_MIB.read(given),
        image=IMAGE.read(given),
        backup_interval_minutes=BACKUP_INTERVAL_MINUTES.read(given),
        extra_excludes=EXTRA_EXCLUDES.read(given),
        auto_approve_devices=AUTO_APPROVE_DEVICES.read(given),
        cidr=CIDR.read(given),
        extra_egress_ports=EXTRA_EGRESS_PORTS.read(given),
        ami_id=AMI_ID.read(given),
    )
    if settings.swap_size_mib * 4 > settings.root_volume_size_gib * 1024:
        raise SWAP_SIZE_MIB.refusal(str(settings.swap_size_mib))
    return settings
