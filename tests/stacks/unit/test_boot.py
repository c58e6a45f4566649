"""What the launch template is described by, and what a person is told of a replacement."""

import re
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from openclaw_ec2_spot.boot import LONGEST_DESCRIPTION, Boot, plan_boot
from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.network_plan import ZoneSubnet
from openclaw_ec2_spot.placement import Architecture, DeployedTemplate, Placement
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs
from openclaw_platform.release_files import USER_DATA_TEMPLATE

TEMPLATE = (Path(__file__).parents[3] / USER_DATA_TEMPLATE).read_text()
ZONE = {"availability_zone": "me-central-1a"}
AMI = "ami-0123456789abcdef0"


def placed(settings: InstanceSettings, deployed: DeployedTemplate | None = None, ami: str = AMI) -> Placement:
    zone = settings.availability_zone
    subnet = ZoneSubnet(zone, IPv4Network("10.77.0.0/27"), "instance")
    return Placement(subnet, settings.instance_type, Architecture.ARM64, True, ami, deployed)


class Deployer:
    """Deploys one setting after the other: what is deployed is what the last one was planned to be."""

    def __init__(self, scope: Scope, platform: PlatformOutputs[str]) -> None:
        self.scope, self.platform = scope, platform
        self.deployed: DeployedTemplate | None = None

    def plan(self, template: str = TEMPLATE, ami: str = AMI, **config: str) -> Boot:
        settings = InstanceSettings({**ZONE, **config}.get)
        return plan_boot(template, self.scope, settings, placed(settings, self.deployed, ami), self.platform)

    def deploy(self) -> Boot:
        boot = self.plan()
        self.deployed = DeployedTemplate(AMI, boot.description, boot.user_data)
        return boot


@pytest.fixture
def deployer(scope: Scope, platform: PlatformOutputs[str]) -> Deployer:
    return Deployer(scope, platform)


def test_the_description_names_what_the_instance_boots_with(deployer: Deployer) -> None:
    boot = deployer.plan()

    assert re.fullmatch(
        r"release aaaaaaaaaaaa, image openclaw:2026\.9\.6, ami ami-0123456789abcdef0, types t4g\.small, disk 15 GiB, "
        r"credits standard, zone me-central-1a, settings [0-9a-f]{8}",
        boot.description,
    )
    assert boot.announcement == ""


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"backup_interval_minutes": "30"}, "backup_interval_minutes from 20 to 30"),
        ({"image": "ghcr.io/openclaw/openclaw:2026.10.1"}, "image from openclaw:2026.9.6 to openclaw:2026.10.1"),
        (
            {"image": "ghcr.io/openclaw/openclaw@sha256:" + "0" * 64},
            "image from openclaw:2026.9.6 to openclaw@000000000000",
        ),
        ({"extra_excludes": "logs/,media/"}, "extra_excludes from nothing to logs/,media/"),
        ({"auto_approve_devices": "true"}, "auto_approve_devices from false to true"),
        ({"swap_size_mib": "0"}, "swap_size_mib from 2048 to 0"),
        ({"backup_max_file_gib": "100"}, "backup_max_file_gib from 64 to 100"),
        ({"heartbeat_url": "https://hc-ping.com/key"}, "heartbeat_url from nothing to https://hc-ping.com/key"),
        ({"root_volume_size_gib": "30"}, "disk from 15 GiB to 30 GiB"),
        ({"cpu_credits": "unlimited"}, "credits from standard to unlimited"),
        ({"instance_type": "t4g.medium,t4g.small"}, "types from t4g.small to t4g.medium/t4g.small"),
        ({"availability_zone": "me-central-1b"}, "zone from me-central-1a to me-central-1b"),
        (
            {"swap_size_mib": "0", "cpu_credits": "unlimited"},
            "swap_size_mib from 2048 to 0; credits from standard to unlimited",
        ),
    ],
)
def test_a_change_that_replaces_the_instance_is_told_from_what_to_what(
    deployer: Deployer, config: dict[str, str], said: str
) -> None:
    before = deployer.deploy()

    boot = deployer.plan(**config)

    assert boot.announcement == (
        "The instance is replaced (a final backup, then a new instance that restores it), "
        f"because this changes: {said}."
    )
    assert boot.description != before.description


def test_every_key_that_reaches_the_instance_is_told_by_its_own_name(deployer: Deployer) -> None:
    """A key that is added to the table shows up here, or in the rows above."""
    told = {
        "image",
        "backup_interval_minutes",
        "backup_budget_usd",
        "extra_excludes",
        "auto_approve_devices",
        "swap_size_mib",
    }
    rows = [row for row in InstanceSettings.rows() if row.instance_json]

    assert {row.name for row in rows if not row.told_if_changed} == told
    # These are written for the instance only where they are not the default; one stands for all above.
    assert "backup_max_file_gib" in {row.name for row in rows if row.told_if_changed}


def test_a_changed_release_is_told_by_its_sum_and_is_no_changed_setting(
    deployer: Deployer, platform: PlatformOutputs[str]
) -> None:
    before = deployer.deploy()
    deployer.platform = replace(
        platform, release_sha256="b" * 64, release_key=f"releases/{'b' * 64}/openclaw-release.tar"
    )

    boot = deployer.plan()

    assert "changes: release from aaaaaaaaaaaa to bbbbbbbbbbbb." in boot.announcement
    assert boot.description == before.description.replace("a" * 12, "b" * 12)


def test_a_changed_script_of_the_first_boot_is_told(deployer: Deployer) -> None:
    before = deployer.deploy()

    boot = deployer.plan(template=f"{TEMPLATE}# more\n")

    assert boot.announcement.endswith("because this changes: the script of its first boot.")
    assert boot.description != before.description


def test_another_machine_image_alone_is_told_elsewhere(deployer: Deployer) -> None:
    deployer.deploy()

    assert deployer.plan(ami="ami-0fedcba9876543210").announcement == ""


def test_a_template_of_a_version_without_words_is_told_by_what_it_boots(
    deployer: Deployer, platform: PlatformOutputs[str]
) -> None:
    boot = deployer.plan()
    deployer.deployed = DeployedTemplate(AMI, "Instance of openclaw-lab-dev", boot.user_data)
    deployer.platform = replace(platform, release_sha256="b" * 64)

    assert "changes: release from aaaaaaaaaaaa to bbbbbbbbbbbb." in deployer.plan().announcement


@pytest.mark.parametrize("user_data", ["", "#!/bin/sh\n", "content: AAAA\n", "content: W10=\n"])
def test_user_data_of_somebody_else_is_no_error(deployer: Deployer, user_data: str) -> None:
    deployer.deployed = DeployedTemplate(AMI, "by hand", user_data)

    assert deployer.plan().announcement.endswith("because this changes: the script of its first boot.")


def test_long_values_fit_and_still_differ(deployer: Deployer) -> None:
    types = ",".join(f"t4g.{'x' * 12}{number}" for number in range(20))
    image = f"registry.example.com:5000/{'n' * 200}:{'t' * 100}"
    one, other = (deployer.plan(instance_type=types + tail, image=image) for tail in ("", "1"))

    assert len(one.description) <= LONGEST_DESCRIPTION
    assert re.search(r"settings [0-9a-f]{8}$", one.description)
    assert one.description != other.description
