from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cloud_init import instance_files
from cloud_init.instance_files import InstallerSettings, SettingsError

CLOUD_INIT = Path(__file__).parents[2] / "cloud_init"
INSTANCE: dict[str, Any] = {
    "stack": "dev",
    "region": "me-central-1",
    "image": "registry.example/openclaw/openclaw:2026.9.6",
    "agent_log_group": "/openclaw-lab/dev/agent",
    "gateway_log_group": "/openclaw-lab/dev/gateway",
    "bootstrap_log_group": "/openclaw-lab/dev/bootstrap",
    "metric_namespace": "OpenClawLab",
    "backup_interval_minutes": 20,
    "auto_approve_devices": False,
    "swap_size_mib": 2048,
}


def settings_file(folder: Path, **changes: object) -> Path:
    path = folder / "instance.json"
    path.write_text(json.dumps({**INSTANCE, **changes}), encoding="utf-8")
    return path


def settings(folder: Path, **changes: object) -> InstallerSettings:
    return instance_files.read_settings(settings_file(folder, **changes))


def cloudwatch() -> dict[str, Any]:
    template = (CLOUD_INIT / "amazon-cloudwatch-agent.json").read_text(encoding="utf-8")
    texts = {name: value for name, value in INSTANCE.items() if isinstance(value, str)}
    parsed = json.loads(instance_files.fill_placeholders(template, texts))
    assert isinstance(parsed, dict)
    return parsed


def test_logs_go_to_the_three_groups_of_the_stack() -> None:
    files = cloudwatch()["logs"]["logs_collected"]["files"]["collect_list"]
    assert {file["file_path"]: file["log_group_name"] for file in files} == {
        **{
            f"/var/log/openclaw/{name}.log": "/openclaw-lab/dev/agent"
            for name in ("backup", "restore", "lifecycle", "watch", "secrets", "health")
        },
        "/var/log/openclaw-gateway/gateway.log": "/openclaw-lab/dev/gateway",
        "/var/log/cloud-init-output.log": "/openclaw-lab/dev/bootstrap",
    }


def test_each_log_has_its_own_stream_and_no_wildcard_of_which_only_the_newest_is_read() -> None:
    files = cloudwatch()["logs"]["logs_collected"]["files"]["collect_list"]
    assert len({file["log_stream_name"] for file in files}) == len(files)
    assert not any("*" in file["file_path"] for file in files)


def test_three_metrics_are_collected_with_the_stack_as_their_only_dimension() -> None:
    metrics = cloudwatch()["metrics"]
    assert metrics["namespace"] == "OpenClawLab"
    assert metrics["aggregation_dimensions"] == [["Stack"]]
    collected = metrics["metrics_collected"]
    assert {name: section["measurement"] for name, section in collected.items()} == {
        "mem": ["mem_used_percent"],
        "swap": ["swap_used_percent"],
        "disk": ["disk_used_percent"],
    }
    assert all(section["append_dimensions"] == {"Stack": "dev"} for section in collected.values())
    assert cloudwatch()["agent"]["omit_hostname"] is True


def test_the_disk_metric_is_of_the_root_and_its_finer_copies_are_dropped() -> None:
    disk = cloudwatch()["metrics"]["metrics_collected"]["disk"]
    assert disk["resources"] == ["/"]
    assert disk["drop_original_metrics"] == disk["measurement"]


def test_awkward_characters_survive_the_placeholders() -> None:
    filled = instance_files.fill_placeholders('{"a": "x {{name}}", "b": [1, "{instance_id}"]}', {"name": '"\\{}\n$'})
    assert json.loads(filled) == {"a": 'x "\\{}\n$', "b": [1, "{instance_id}"]}


def test_a_placeholder_without_a_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match=re.escape("instance.json lacks colour")):
        instance_files.fill_placeholders('{"a": "{{colour}}"}', {})


def test_the_gateways_environment_holds_the_image_and_leaves_the_host_some_memory(tmp_path: Path) -> None:
    lines = instance_files.gateway_environment(settings(tmp_path), memory_mib=1848).splitlines()
    assert lines == [
        "AWS_REGION=me-central-1",
        "OPENCLAW_IMAGE=registry.example/openclaw/openclaw:2026.9.6",
        "OPENCLAW_MEMORY_LIMIT=1570m",
        "OPENCLAW_MEMORY_AND_SWAP_LIMIT=3618m",
        "OPENCLAW_SWAP_MIB=2048",
        "OPENCLAW_GATEWAY_LOG_MIB_PER_HOUR=4",
        "OPENCLAW_AUTO_APPROVE=no",
    ]


def test_a_tiny_machine_still_gives_the_gateway_something(tmp_path: Path) -> None:
    assert "OPENCLAW_MEMORY_LIMIT=512m\n" in instance_files.gateway_environment(settings(tmp_path), memory_mib=400)


@pytest.mark.parametrize("image", ["a b", "x\nOPENCLAW_AUTO_APPROVE=yes", "$(reboot)", ""])
def test_what_is_no_image_name_is_refused(tmp_path: Path, image: str) -> None:
    with pytest.raises(SettingsError, match="is no image name"):
        instance_files.gateway_environment(settings(tmp_path, image=image), memory_mib=2048)


@pytest.mark.parametrize(
    ("minutes", "times"),
    [
        pytest.param(15, ["*-*-* *:00/15:00 UTC"], id="divides the hour"),
        pytest.param(720, ["*-*-* 00:00:00 UTC", "*-*-* 12:00:00 UTC"], id="twice a day"),
        pytest.param(1440, ["*-*-* 00:00:00 UTC"], id="daily"),
        pytest.param(
            500, ["*-*-* 00:00:00 UTC", "*-*-* 08:20:00 UTC", "*-*-* 16:40:00 UTC"], id="divides nothing, from midnight"
        ),
    ],
)
def test_backups_are_due_every_so_many_minutes_from_midnight(minutes: int, times: list[str]) -> None:
    assert instance_files.backup_times(minutes) == times


def test_an_hourly_backup_has_a_time_for_each_hour() -> None:
    assert len(instance_files.backup_times(60)) == 24


@pytest.mark.parametrize("minutes", [0, -1, 1441])
def test_an_interval_outside_a_day_is_refused_with_what_is_allowed(minutes: int) -> None:
    with pytest.raises(SettingsError, match=f"backup_interval_minutes is {minutes}; 1 to 1440 is allowed"):
        instance_files.backup_times(minutes)


def test_the_drop_in_replaces_the_shipped_interval() -> None:
    assert instance_files.backup_timer_dropin(30) == "[Timer]\nOnCalendar=\nOnCalendar=*-*-* *:00/30:00 UTC\n"


def test_the_shipped_interval_needs_no_drop_in() -> None:
    unit = (CLOUD_INIT / "units" / "openclaw-s3-backup.timer").read_text(encoding="utf-8")
    assert f"OnCalendar={instance_files.backup_times(20)[0]}\n" in unit
    assert instance_files.backup_timer_dropin(20) is None


def test_all_files_are_written_and_an_old_drop_in_goes(tmp_path: Path) -> None:
    dropin = tmp_path / "etc/systemd/system/openclaw-s3-backup.timer.d/interval.conf"
    instance_files.write_instance_files(settings(tmp_path, backup_interval_minutes=30), CLOUD_INIT, tmp_path, 2048)
    assert dropin.exists()
    instance_files.write_instance_files(settings(tmp_path), CLOUD_INIT, tmp_path, 2048)
    assert not dropin.exists()
    assert json.loads((tmp_path / "etc/openclaw/amazon-cloudwatch-agent.json").read_text(encoding="utf-8"))
    assert (tmp_path / "etc/openclaw/gateway.env").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param("{", "is not JSON", id="no JSON"),
        pytest.param("[]", "must hold one JSON object, not list", id="no object"),
        pytest.param("{}", "image must be a text, not null", id="a value is missing"),
    ],
)
def test_damaged_settings_are_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "instance.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=sentence):
        instance_files.read_settings(path)


def test_true_is_no_number_of_minutes(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="backup_interval_minutes must be a whole number, not true"):
        settings(tmp_path, backup_interval_minutes=True)


def test_the_command_says_one_sentence_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.json"
    monkeypatch.setattr(sys, "argv", ["instance_files.py", "--settings", str(missing), "--root", str(tmp_path)])
    assert instance_files.main() == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{missing} cannot be read (No such file or directory): user-data must write it first."]
