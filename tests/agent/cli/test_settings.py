import json
from pathlib import Path

import pytest

from openclaw_agent.errors import UsageError
from openclaw_agent.settings import Settings, load_settings

WRITTEN = {
    "stack": "dev",
    "region": "me-central-1",
    "backup_bucket": "openclaw-lab-backup-dev-1",
    "excludes": ["logs/"],
    "metric_namespace": "OpenClawLab",
    "secrets_path": "/openclaw-lab/dev/env/",
}


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(WRITTEN))
    return path


def load(
    path: Path, *, bucket: str | None = None, region: str | None = None, state_dir: str | None = None, **env: str
) -> Settings:
    environment = {"OPENCLAW_AGENT_SETTINGS": str(path), **env}
    return load_settings(bucket=bucket, region=region, state_dir=state_dir, environment=environment)


def test_the_installers_file_says_everything(settings_file: Path) -> None:
    settings = load(settings_file)
    assert settings.bucket == "openclaw-lab-backup-dev-1"
    assert settings.region == "me-central-1"
    assert settings.excludes == ("logs/",)
    assert settings.on_instance
    assert settings.freezer == "compose:openclaw"
    assert settings.state_dir == Path("/opt/openclaw/state/.openclaw")
    assert settings.log_dir == Path("/var/log/openclaw")


def test_flags_win_over_the_file_and_the_file_over_the_environment(settings_file: Path) -> None:
    settings = load(settings_file, bucket="other", region="us-west-2", state_dir="/s", AWS_REGION="eu-west-1")
    assert (settings.bucket, settings.region, settings.state_dir) == ("other", "us-west-2", Path("/s"))
    assert load(settings_file, AWS_REGION="eu-west-1").region == "me-central-1"


@pytest.mark.parametrize(
    ("env", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({}, "us-east-1"),
        ({"AWS_REGION": "us-gov-west-1"}, "us-gov-west-1"),
    ],
)
def test_without_a_file_the_region_comes_from_the_environment(tmp_path: Path, env: dict[str, str], region: str) -> None:
    settings = load(tmp_path / "none", bucket="abc", **env)
    assert settings.region == region
    assert not settings.on_instance
    assert settings.freezer == "none"


def test_the_folders_can_be_moved_by_the_environment(tmp_path: Path) -> None:
    moved = load(tmp_path / "none", bucket="abc", OPENCLAW_AGENT_DIR="/a", OPENCLAW_STATE_DIR="/b")
    assert (moved.agent_dir, moved.state_dir, moved.log_dir) == (Path("/a"), Path("/b"), Path("/a/log"))
    assert load(tmp_path / "none", bucket="abc", OPENCLAW_LOG_DIR="/c").log_dir == Path("/c")


def test_a_symlink_to_the_state_folder_is_followed_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert load(tmp_path / "none", bucket="abc", state_dir=str(tmp_path / "link")).state_dir == tmp_path / "real"


@pytest.mark.parametrize("bucket", ["ab", "A-B", "a_b", "-ab", "ab-", "a" * 64, "a b", "s3://abc"])
def test_a_bucket_name_that_s3_would_refuse_is_refused_here(tmp_path: Path, bucket: str) -> None:
    with pytest.raises(UsageError, match="is not allowed: 3 to 63 of a-z"):
        load(tmp_path / "none", bucket=bucket)


@pytest.mark.parametrize("region", ["useast1", "us-east", "us-east-1a", "US-EAST-1", "us east 1"])
def test_a_region_that_is_none_is_refused(tmp_path: Path, region: str) -> None:
    with pytest.raises(UsageError, match="it must look like us-east-1"):
        load(tmp_path / "none", bucket="abc", region=region)


@pytest.mark.parametrize("freezer", ["compose", "compose:", "systemd", "docker:x", ""])
def test_a_freezer_that_is_none_is_refused(tmp_path: Path, freezer: str) -> None:
    with pytest.raises(UsageError, match=r"none, compose:<project> or systemd:<unit>"):
        load(tmp_path / "none", bucket="abc", OPENCLAW_FREEZER=freezer)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is no valid JSON"),
        ("[]", "must hold one JSON object"),
        ('{"backup_bucket": 7}', "backup_bucket in .* must be a text, not 7"),
        ('{"backup_bucket": "abc", "region": []}', r"region in .* must be a text, not \[\]"),
        ('{"backup_bucket": "abc", "excludes": "logs/"}', "excludes in .* must be a list of patterns, not 'logs/'"),
        ('{"backup_bucket": "abc", "excludes": [1]}', "must be a list of patterns"),
        ("{}", "No bucket: pass --bucket NAME, or write backup_bucket into"),
    ],
)
def test_a_settings_file_that_is_wrong_is_refused_by_name(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "instance.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=sentence):
        load(path)


def test_a_settings_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "folder")


def test_a_command_that_needs_no_bucket_takes_none(tmp_path: Path) -> None:
    assert (
        load_settings(needs_bucket=False, environment={"OPENCLAW_AGENT_SETTINGS": str(tmp_path / "none")}).bucket == ""
    )


def test_a_settings_file_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "instance.json"
    path.write_bytes(b'{"stack": "\xff"}')
    with pytest.raises(UsageError, match=r"instance\.json is no UTF-8 text"):
        load(path, bucket="abc")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENCLAW_S3_ATTEMPTS", "x"),
        ("OPENCLAW_S3_ATTEMPTS", "0"),
        ("OPENCLAW_S3_ATTEMPTS", "1.5"),
        ("OPENCLAW_S3_ATTEMPTS", "101"),
        ("OPENCLAW_S3_STALL_SECONDS", "nan"),
        ("OPENCLAW_S3_STALL_SECONDS", "inf"),
        ("OPENCLAW_S3_STALL_SECONDS", "0"),
        ("OPENCLAW_S3_STALL_SECONDS", "soon"),
    ],
)
def test_a_limit_of_the_s3_client_that_is_none_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name}={value} is not allowed: a (whole )?number from"):
        load(tmp_path / "none", bucket="abc", **{name: value})


def test_the_limits_of_the_s3_client_are_what_the_environment_says_or_the_defaults(tmp_path: Path) -> None:
    default = load(tmp_path / "none", bucket="abc")
    assert (default.s3_attempts, default.s3_stall_seconds) == (6, 30)
    chosen = load(tmp_path / "none", bucket="abc", OPENCLAW_S3_ATTEMPTS="2", OPENCLAW_S3_STALL_SECONDS="0.5")
    assert (chosen.s3_attempts, chosen.s3_stall_seconds) == (2, 0.5)


@pytest.mark.parametrize("flag", ["bucket", "region", "state_dir"])
def test_an_empty_flag_is_no_missing_one(settings_file: Path, flag: str) -> None:
    with pytest.raises(UsageError, match=f"--{flag.replace('_', '-')} '' is not allowed"):
        load(settings_file, **{flag: ""})


PLACES = {
    "OPENCLAW_AGENT_DIR": Path("/var/lib/openclaw-agent"),
    "OPENCLAW_LOG_DIR": Path("/var/log/openclaw"),
    "OPENCLAW_STATE_DIR": Path("/opt/openclaw/state/.openclaw"),
}


@pytest.mark.parametrize("names", [*([name] for name in PLACES), list(PLACES)])
def test_an_empty_variable_is_as_if_it_were_unset(tmp_path: Path, names: list[str]) -> None:
    settings = load(tmp_path / "none", bucket="abc", **dict.fromkeys(names, ""))
    assert {
        "OPENCLAW_AGENT_DIR": settings.agent_dir,
        "OPENCLAW_LOG_DIR": settings.log_dir,
        "OPENCLAW_STATE_DIR": settings.state_dir,
    } == PLACES
    assert load_settings(bucket="abc", environment={"OPENCLAW_AGENT_SETTINGS": ""}).bucket == "abc"


@pytest.mark.parametrize("name", [*PLACES, "OPENCLAW_AGENT_SETTINGS"])
@pytest.mark.parametrize("text", ["clone", ".", "../agent", " ", "~/agent"])
def test_a_relative_place_is_refused(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(UsageError) as told:
        load_settings(bucket="abc", environment={"OPENCLAW_AGENT_SETTINGS": str(tmp_path / "none"), name: text})
    assert str(told.value) == f"{name}={text} is not allowed: give a path that begins with /."


@pytest.mark.parametrize(
    ("state", "agent", "logs"),
    [
        ("s", "s", "l"),
        ("s", "s/agent", "l"),
        ("s", "s/../s/x/agent", "l"),
        ("s", "link/agent", "l"),
        ("a/state", "a", "l"),
        ("a/b/c", "a/", "l"),
        ("s", "a", "s"),
        ("s", "a", "s/logs/deeper"),
        ("s", "a", "link/logs"),
    ],
)
def test_folders_that_lie_in_each_other_are_refused(tmp_path: Path, state: str, agent: str, logs: str) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "link").symlink_to("s")
    places = {"OPENCLAW_STATE_DIR": state, "OPENCLAW_AGENT_DIR": agent, "OPENCLAW_LOG_DIR": logs}
    with pytest.raises(UsageError, match=r"folder \S+ is not allowed: it "):
        load(tmp_path / "none", bucket="abc", **{name: f"{tmp_path}/{place}" for name, place in places.items()})


@pytest.mark.parametrize("place", ["/", "//", "/etc", "/usr/", "/home/../home", "/var/lib", "/tmp"])
def test_a_folder_of_the_system_is_refused(tmp_path: Path, place: str) -> None:
    for moved in ({"state_dir": place}, {"OPENCLAW_AGENT_DIR": place}):
        with pytest.raises(UsageError, match="must be a folder of its own, not the system's"):
            load(tmp_path / "none", bucket="abc", **moved)


def test_folders_beside_each_other_are_allowed(tmp_path: Path) -> None:
    settings = load(
        tmp_path / "none",
        bucket="abc",
        state_dir=str(tmp_path / "state"),
        OPENCLAW_AGENT_DIR=str(tmp_path / "state-agent"),
        OPENCLAW_LOG_DIR=str(tmp_path / "state-agent" / "log"),
    )
    assert settings.agent_dir == tmp_path / "state-agent"
