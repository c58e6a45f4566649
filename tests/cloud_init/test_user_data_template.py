from __future__ import annotations

import base64
import json
import shutil
import string
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

TEMPLATE = Path(__file__).parents[2] / "cloud_init" / "user-data.yaml.tmpl"
SHA256 = "0123456789abcdef" * 4
INSTANCE = {
    "stack": "production-eu",
    "region": "ap-southeast-2",
    "backup_bucket": "openclaw-lab-backup-production-eu-123456789012",
    "scripts_bucket": "openclaw-lab-scripts-production-eu-123456789012",
    "release_key": f"releases/{SHA256}/openclaw-release.tar",
    "release_sha256": SHA256,
    "image": "registry.example/openclaw/openclaw:2026.9.6-r20260927",
    "secrets_path": "/openclaw-lab/production-eu/env/",
    "agent_log_group": "/openclaw-lab/production-eu/agent",
    "gateway_log_group": "/openclaw-lab/production-eu/gateway",
    "bootstrap_log_group": "/openclaw-lab/production-eu/bootstrap",
    "metric_namespace": "OpenClawLab",
    "backup_interval_minutes": 20,
    "excludes": ["workspace/node_modules", "workspace/.venv"],
    "auto_approve_devices": False,
    "swap_size_mib": 2048,
    "log_retention_days": 30,
}


def rendered() -> str:
    values = {name: str(INSTANCE[name]) for name in ("stack", "region", "scripts_bucket", "release_key")}
    encoded = base64.b64encode(json.dumps(INSTANCE, separators=(",", ":")).encode()).decode()
    template = string.Template(TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(values, release_sha256=SHA256, instance_json_b64=encoded)


def document() -> dict[str, Any]:
    parsed = yaml.safe_load(rendered())
    assert isinstance(parsed, dict)
    return parsed


def test_the_rendered_text_is_cloud_config_below_4096_bytes() -> None:
    text = rendered()
    assert text.startswith("#cloud-config\n")
    assert len(text.encode()) < 4096


def test_the_template_needs_exactly_the_variables_of_the_contract() -> None:
    identifiers = string.Template(TEMPLATE.read_text(encoding="utf-8")).get_identifiers()
    wanted = {"instance_json_b64", "region", "scripts_bucket", "release_key", "release_sha256", "stack"}
    assert set(identifiers) == wanted


def test_instance_json_arrives_as_it_was_written() -> None:
    settings = document()["write_files"][0]
    assert (settings["path"], settings["permissions"]) == ("/etc/openclaw/instance.json", "0644")
    assert settings["encoding"] == "b64"
    assert json.loads(base64.b64decode(settings["content"])) == INSTANCE


def test_the_bootstrap_is_written_executable_and_run_once() -> None:
    parsed = document()
    bootstrap = parsed["write_files"][1]
    assert (bootstrap["path"], bootstrap["permissions"]) == ("/usr/local/sbin/openclaw-bootstrap", "0755")
    assert bootstrap["content"].startswith("#!/bin/bash\n")
    assert parsed["runcmd"] == [["/usr/local/sbin/openclaw-bootstrap"]]


def test_output_goes_to_the_file_that_cloudwatch_collects() -> None:
    assert document()["output"] == {"all": "| tee -a /var/log/cloud-init-output.log"}


def test_the_bootstrap_names_the_region_the_release_and_its_sum() -> None:
    script = document()["write_files"][1]["content"]
    assert f"expected={SHA256}\n" in script
    assert f"s3://{INSTANCE['scripts_bucket']}/{INSTANCE['release_key']}\n" in script
    assert f"--region {INSTANCE['region']} " in script


@pytest.mark.subprocess
@pytest.mark.skipif(shutil.which("cloud-init") is None, reason="cloud-init is not installed")
def test_cloud_inits_own_schema_accepts_it(tmp_path: Path) -> None:
    config = tmp_path / "user-data.yaml"
    config.write_text(rendered(), encoding="utf-8")
    checked = subprocess.run(["cloud-init", "schema", "--config-file", config], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "Valid" in checked.stdout


@pytest.mark.subprocess
@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing_in_the_bootstrap() -> None:
    script = document()["write_files"][1]["content"]
    checked = subprocess.run(["shellcheck", "-"], input=script, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "")
