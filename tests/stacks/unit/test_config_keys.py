from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_ec2_spot.config_keys import Ec2SpotSettings, InstanceSettings
from openclaw_platform.config_keys import PlatformSettings
from openclaw_platform.config_table import (
    ConfigKey,
    ConfigTable,
    config_table_markdown,
    pulumi_config_schema,
    require_known_keys,
)
from openclaw_platform.refusals import ConfigRefused

REPOSITORY = Path(__file__).parents[3]
NOTHING: dict[str, str] = {}
ZONE = {"availability_zone": "me-central-1a"}


def test_the_zone_is_all_that_must_be_set() -> None:
    settings = InstanceSettings(ZONE.get)

    assert settings.instance_type == ("t4g.small",)
    assert settings.availability_zone == "me-central-1a"
    assert settings.root_volume_size_gib == 15
    assert settings.backup_interval_minutes == 20
    assert settings.backup_budget_usd == 0.5
    assert str(settings.cidr) == "10.77.0.0/24"
    assert PlatformSettings(NOTHING.get).log_retention_days == 30


def test_lists_keep_their_order_and_lose_their_spaces() -> None:
    settings = InstanceSettings(
        {
            **ZONE,
            "instance_type": "t4g.medium, t4g.small",
            "extra_excludes": "logs/, media/**/*.tmp",
            "extra_egress_ports": "993,22",
        }.get
    )

    assert settings.instance_type == ("t4g.medium", "t4g.small")
    assert settings.extra_excludes == ("logs/", "media/**/*.tmp")
    assert settings.extra_egress_ports == (993, 22)


def test_an_empty_value_is_one_that_is_not_set() -> None:
    assert InstanceSettings({**ZONE, "instance_type": ""}.get).instance_type == ("t4g.small",)


@pytest.mark.parametrize(
    "image",
    [
        "ghcr.io/openclaw/openclaw:2026.9.6",
        "ghcr.io/openclaw/openclaw:slim",
        "openclaw:latest-r20260101",
        "localhost:5000/openclaw:1",
        "123456789012.dkr.ecr.me-central-1.amazonaws.com/openclaw-lab-dev:a",
        "ghcr.io/openclaw/openclaw@sha256:" + "0" * 64,
        "ghcr.io/openclaw/openclaw:latest@sha256:" + "0" * 64,
    ],
)
def test_images_that_name_one_version_are_taken(image: str) -> None:
    assert InstanceSettings({**ZONE, "image": image}.get).image == image


REFUSED_INSTANCE_VALUES = [
    ("availability_zone", "me-central-1"),
    ("availability_zone", "ME-CENTRAL-1A"),
    ("availability_zone", "us-west-2-lax-1a"),
    ("instance_type", "t4g"),
    ("instance_type", "t4g.small,"),
    ("instance_type", "t4g.small,t4g.small"),
    ("instance_type", "t4g.small t4g.medium"),
    ("instance_type", ",".join(f"t4g.x{number}" for number in range(21))),
    ("root_volume_size_gib", "7"),
    ("root_volume_size_gib", "1025"),
    ("root_volume_size_gib", "15.5"),
    ("root_volume_size_gib", "-15"),
    ("root_volume_size_gib", "lots"),
    ("swap_size_mib", "16385"),
    ("swap_size_mib", "3841"),
    ("image", "ghcr.io/openclaw/openclaw"),
    ("image", "ghcr.io/openclaw/openclaw:latest"),
    ("image", "ghcr.io/openclaw/openclaw:1 --privileged"),
    ("image", "ghcr.io/openclaw/openclaw@sha256:abc"),
    ("backup_interval_minutes", "0"),
    ("backup_interval_minutes", "25"),
    ("backup_budget_usd", "-1"),
    ("backup_budget_usd", "1000.01"),
    ("backup_budget_usd", "0.505"),
    ("backup_budget_usd", "$1"),
    ("backup_budget_usd", "1e2"),
    ("extra_excludes", "/etc"),
    ("extra_excludes", "logs/,../secrets"),
    ("extra_excludes", "logs/,"),
    ("extra_excludes", "x" * 201),
    ("extra_excludes", "logs/,!logs/keep.log"),
    ("extra_excludes", "~/.openclaw/logs/"),
    ("extra_excludes", "[l]ogs/"),
    ("extra_excludes", "./"),
    ("auto_approve_devices", "yes"),
    ("cidr", "10.77.0.0"),
    ("cidr", "10.77.0.0/29"),
    ("cidr", "10.0.0.0/15"),
    ("cidr", "10.77.0.1/24"),
    ("cidr", "8.8.8.0/24"),
    ("cidr", "fd00::/24"),
    ("cidr", "everything"),
    ("extra_egress_ports", "0"),
    ("extra_egress_ports", "65536"),
    ("extra_egress_ports", "ssh"),
    ("ami_id", "ami-123"),
    ("ami_id", "latest"),
    ("cpu_credits", "none"),
    ("kms_key_arn", "alias/mine"),
    ("kms_key_arn", "arn:aws:kms:us-east-1:123456789012:alias/mine"),
    ("kms_key_arn", "1234abcd-12ab-34cd-56ef-1234567890ab"),
]


@pytest.mark.parametrize(("name", "text"), REFUSED_INSTANCE_VALUES, ids=lambda text: str(text)[:40])
def test_a_value_that_is_not_allowed_is_refused_in_one_sentence(name: str, text: str) -> None:
    key = _key(name, Ec2SpotSettings.rows())

    with pytest.raises(ConfigRefused) as refused:
        InstanceSettings({**ZONE, name: text}.get)

    assert str(refused.value) == f"{name} is {text!r}, but must be {key.allowed}."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("alarm_email", "nobody"),
        ("alarm_email", "a@b.c, d@e.f"),
        ("log_retention_days", "31"),
        ("undelete_days", "0"),
        ("undelete_days", "31"),
        ("wheels_folder", "a\nb"),
    ],
)
def test_a_platform_value_that_is_not_allowed_is_refused_in_one_sentence(name: str, text: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        PlatformSettings({name: text}.get)

    assert str(refused.value) == f"{name} is {text!r}, but must be {_key(name, PlatformSettings.rows()).allowed}."


def test_an_organization_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(ConfigRefused, match="platform_organization is 'my org', but must be the name of a Pulumi org"):
        Ec2SpotSettings({**ZONE, "platform_organization": "my org"}.get)


def test_a_missing_zone_says_how_to_set_it() -> None:
    with pytest.raises(ConfigRefused) as refused:
        InstanceSettings(NOTHING.get)

    assert str(refused.value) == (
        "availability_zone is not set, but must be an availability zone of the stack's region, such as us-east-1a; "
        "set it with `pulumi config set availability_zone VALUE`."
    )


@pytest.mark.parametrize("key", [*PlatformSettings.rows(), *Ec2SpotSettings.rows()], ids=lambda key: key.name)
def test_every_default_is_itself_allowed(key: ConfigKey[Any]) -> None:
    if key.default is not None:
        key.parse(key.default)


def test_the_table_has_a_row_for_every_key() -> None:
    table = config_table_markdown(Ec2SpotSettings.rows())

    assert table.splitlines()[0] == "| Key | Default | Allowed | Meaning |"
    assert [line.split("|")[1].strip(" `") for line in table.splitlines()[2:]] == [
        key.name for key in Ec2SpotSettings.rows()
    ]
    assert "| `availability_zone` | **required** |" in table
    assert "| `ami_id` | none |" in table
    assert all(line.count("|") == 5 for line in table.splitlines())


@pytest.mark.parametrize(
    ("program", "keys"),
    [
        (".", (*InstanceSettings.rows(), *PlatformSettings.rows())),
        ("platform", PlatformSettings.rows()),
        ("ec2_spot", Ec2SpotSettings.rows()),
    ],
    ids=["root", "platform", "ec2_spot"],
)
def test_pulumi_yaml_declares_the_keys_of_the_code(program: str, keys: tuple[ConfigKey[Any], ...]) -> None:
    project: Mapping[str, Any] = yaml.safe_load((REPOSITORY / program / "Pulumi.yaml").read_text())

    assert project["config"] == pulumi_config_schema(keys)


def _key(name: str, keys: tuple[ConfigKey[Any], ...]) -> ConfigKey[Any]:
    return next(key for key in keys if key.name == name)


@given(st.text("ab.*?[]{}\\!#~$ ,/é\u3000", min_size=1, max_size=12))
def test_the_agent_takes_every_pattern_that_extra_excludes_takes(text: str) -> None:
    try:
        settings = InstanceSettings({"availability_zone": "me-central-1a", "extra_excludes": text}.get)
        patterns = settings.extra_excludes
    except ConfigRefused:
        return
    assert Exclusions(patterns).reason_for("workspace", is_folder=True) in {None, "excluded by the configuration"}


@pytest.mark.parametrize("table", [InstanceSettings, Ec2SpotSettings, PlatformSettings])
@given(position=st.integers(0, 40), letter=st.sampled_from("aexz"))
def test_a_key_with_one_wrong_letter_is_refused_with_the_nearest_there_is(
    table: type[ConfigTable], position: int, letter: str
) -> None:
    names = [row.name for row in table.rows()]
    for name in names:
        place = position % len(name)
        wrong = name[:place] + letter + name[place + 1 :]
        if wrong in names:
            continue
        with pytest.raises(
            ConfigRefused, match=rf"^{wrong} is set, but is no configuration key .*: the nearest is {name} "
        ):
            require_known_keys([*names, wrong], table.rows())


@pytest.mark.parametrize(
    ("given_name", "said"),
    [
        ("instanceType", "the nearest is instance_type (`pulumi config rm instanceType` removes it)."),
        ("availability-zone", "the nearest is availability_zone (`pulumi config rm availability-zone` removes it)."),
        ("AMI_ID", "the nearest is ami_id (`pulumi config rm AMI_ID` removes it)."),
        ("a key; reboot", "`pulumi config rm 'a key; reboot'` removes it)."),
    ],
)
def test_a_key_of_another_spelling_is_refused_with_the_one_meant(given_name: str, said: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        require_known_keys([given_name], Ec2SpotSettings.rows())

    assert str(refused.value).endswith(said)


def test_a_key_that_is_near_to_none_is_refused_with_all_there_are() -> None:
    with pytest.raises(ConfigRefused, match=r"qqq is set, but .*: there are alarm_email, log_retention_days, "):
        require_known_keys(["qqq"], PlatformSettings.rows())


def test_keys_that_there_are_are_taken() -> None:
    require_known_keys([row.name for row in Ec2SpotSettings.rows()], Ec2SpotSettings.rows())
