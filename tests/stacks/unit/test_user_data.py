import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.user_data import instance_json, render_user_data
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs
from openclaw_platform.refusals import ConfigRefused
from openclaw_platform.release_files import USER_DATA_TEMPLATE

TEMPLATE = (Path(__file__).parents[3] / USER_DATA_TEMPLATE).read_text()


@pytest.fixture
def settings() -> InstanceSettings:
    return InstanceSettings({"availability_zone": "me-central-1a", "extra_excludes": "logs/"}.get)


def test_instance_json_holds_every_setting_of_the_contract(
    scope: Scope, settings: InstanceSettings, platform: PlatformOutputs[str]
) -> None:
    assert json.loads(instance_json(scope, settings, platform)) == {
        "stack": "dev",
        "region": "me-central-1",
        "backup_bucket": "openclaw-lab-backup-dev-123456789012",
        "scripts_bucket": "openclaw-lab-scripts-dev-123456789012",
        "release_key": f"releases/{'a' * 64}/openclaw-release.tar",
        "release_sha256": "a" * 64,
        "image": "ghcr.io/openclaw/openclaw:2026.9.6",
        "secrets_path": "/openclaw-lab/dev/env/",
        "scaling_group": "openclaw-lab-dev",
        "lifecycle_hook": "openclaw-lab-dev-final-backup",
        "agent_log_group": "/openclaw-lab/dev/agent",
        "gateway_log_group": "/openclaw-lab/dev/gateway",
        "bootstrap_log_group": "/openclaw-lab/dev/bootstrap",
        "log_retention_days": 30,
        "metric_namespace": "OpenClawLab/dev",
        "backup_interval_minutes": 20,
        "backup_budget_usd": 0.5,
        "excludes": ["logs/"],
        "auto_approve_devices": False,
        "swap_size_mib": 2048,
    }


def test_the_real_template_renders_small_and_whole(
    scope: Scope, settings: InstanceSettings, platform: PlatformOutputs[str]
) -> None:
    rendered = render_user_data(TEMPLATE, scope, settings, platform)

    assert len(rendered.encode()) < 4_096
    assert rendered.startswith("#cloud-config\n")
    written = {entry["path"]: entry for entry in yaml.safe_load(rendered)["write_files"]}
    settings_file = written["/etc/openclaw/instance.json"]
    assert base64.b64decode(settings_file["content"]).decode() == instance_json(scope, settings, platform)
    bootstrap = written["/usr/local/sbin/openclaw-bootstrap"]["content"]
    assert platform.release_sha256 in bootstrap
    assert f"s3://{platform.scripts_bucket}/{platform.release_key}" in bootstrap


def test_the_longest_names_still_leave_it_small(settings: InstanceSettings, platform: PlatformOutputs[str]) -> None:
    scope = Scope("a" * 29, "ap-southeast-1", "123456789012")
    long = replace(
        platform,
        backup_bucket=scope.backup_bucket,
        scripts_bucket=scope.scripts_bucket,
        agent_log_group=scope.agent_log_group,
        gateway_log_group=scope.gateway_log_group,
        bootstrap_log_group=scope.bootstrap_log_group,
    )

    assert len(render_user_data(TEMPLATE, scope, settings, long).encode()) < 4_096


def test_more_than_ec2_takes_is_refused(scope: Scope, platform: PlatformOutputs[str]) -> None:
    excludes = ",".join(f"{'x' * 190}{number}" for number in range(80))
    many = InstanceSettings({"availability_zone": "me-central-1a", "extra_excludes": excludes}.get)

    with pytest.raises(
        ConfigRefused, match=r"^extra_excludes makes the user-data [0-9,]+ bytes long, .* 16,384: list "
    ):
        render_user_data(TEMPLATE, scope, many, platform)
