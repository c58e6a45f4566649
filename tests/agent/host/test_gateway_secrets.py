import grp
import json
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from openclaw_agent.cli import fetch_secrets
from openclaw_agent.host.gateway_secrets import MULTILINE_FILE, TOKEN_NAME, Secret, write_secrets
from tests.support.privileges import root_only
from tests.support.simulated_instance import FreshBucket


@pytest.fixture
def path(world: FreshBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A secrets path of this test's own, named in a settings file as the installer writes it."""
    secrets_path = f"/openclaw-lab/{world.bucket}/env/"
    settings = tmp_path / "instance.json"
    settings.write_text(
        json.dumps({"stack": "dev", "region": world.aws.region, "backup_bucket": "b-b", "secrets_path": secrets_path})
    )
    monkeypatch.setenv("OPENCLAW_AGENT_SETTINGS", str(settings))
    monkeypatch.setenv("OPENCLAW_LOG_DIR", str(tmp_path / "log"))
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    return secrets_path


def put_secret(world: FreshBucket, name: str, value: str) -> None:
    world.aws.client("ssm").put_parameter(Name=name, Value=value, Type="SecureString")


def test_secrets_are_written_for_their_owner_alone_and_never_shown(
    world: FreshBucket, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_secret(world, path + TOKEN_NAME, "t0ken=with$signs\"and'quotes")
    for number in range(12):
        put_secret(world, f"{path}VARIABLE_{number}", f"value {number}")
    put_secret(world, f"{path}deeper/IGNORED", "not directly below the path")
    target = tmp_path / "run" / ".env"
    assert fetch_secrets.main(["--to", str(target)]) == 0
    lines = target.read_text().splitlines()
    assert f"{TOKEN_NAME}=t0ken=with$signs\"and'quotes" in lines
    assert len(lines) == 13
    assert not any("IGNORED" in line for line in lines)
    assert stat.S_IMODE(target.stat().st_mode) in (0o600, 0o640)
    told = "".join(capsys.readouterr()) + (tmp_path / "log" / "secrets.log").read_text()
    assert TOKEN_NAME in told
    assert "t0ken" not in told


def test_a_key_of_several_lines_is_stored_and_fetched_as_it_is(world: FreshBucket, path: str, tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIGTAgEA\n-----END PRIVATE KEY-----\n"
    put_secret(world, path + TOKEN_NAME, "from-a-file\n")
    put_secret(world, path + "KEY", key)
    target = tmp_path / "run" / ".env"
    assert fetch_secrets.main(["--to", str(target)]) == 0
    assert target.read_text() == f"{TOKEN_NAME}=from-a-file\n"
    quoted = target.with_name(MULTILINE_FILE)
    assert quoted.read_text() == 'KEY="' + key.replace("\n", "\\n") + '"\n'
    assert stat.S_IMODE(quoted.stat().st_mode) in (0o600, 0o640)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("OTHER", "x", f"There is no {TOKEN_NAME}"),
        ("NOT-A-NAME", "x", "cannot be an environment variable"),
        (TOKEN_NAME, "two\nlines", "more than one line or none; a token is one line of text"),
        (TOKEN_NAME, "\r\n", "more than one line or none; a token is one line of text"),
    ],
    ids=["no token", "bad name", "token of two lines", "token of no line"],
)
def test_secrets_that_cannot_be_used_leave_the_old_file(
    world: FreshBucket,
    path: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    sentence: str,
) -> None:
    put_secret(world, path + name, value)
    target = tmp_path / ".env"
    target.write_text("OLD=1\n")
    assert fetch_secrets.main(["--to", str(target)]) == 1
    assert target.read_text() == "OLD=1\n"
    told = capsys.readouterr().err
    assert sentence in told
    assert "two\nlines" not in told


def test_an_unreachable_ssm_is_one_sentence(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    assert fetch_secrets.main(["--to", str(tmp_path / ".env")]) == 1
    assert f"The secrets below {path} cannot be fetched (EndpointConnectionError)" in capsys.readouterr().err


def test_without_a_secrets_path_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "instance.json").write_text('{"stack": "dev"}')
    monkeypatch.setenv("OPENCLAW_AGENT_SETTINGS", str(tmp_path / "instance.json"))
    monkeypatch.setenv("OPENCLAW_LOG_DIR", str(tmp_path / "log"))
    assert fetch_secrets.main(["--to", str(tmp_path / ".env")]) == 2
    assert "No secrets path: the settings file has no secrets_path." in capsys.readouterr().err
    assert not (tmp_path / ".env").exists()


def test_a_folder_that_the_secrets_cannot_have_is_named(
    world: FreshBucket, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_secret(world, path + TOKEN_NAME, "t0ken")
    (tmp_path / "file").write_text("x")
    assert fetch_secrets.main(["--to", f"{tmp_path}/file/run/.env"]) == 1
    told = capsys.readouterr().err
    assert f"The folder {tmp_path}/file/run cannot be created (Not a directory)." in told
    assert "t0ken" not in told


@root_only("only root gives files away")
@pytest.mark.parametrize(("docker", "group", "mode"), [(4242, 4242, 0o640), (None, 0, 0o600)], ids=["docker", "none"])
def test_the_docker_group_may_read_the_secrets_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, docker: int | None, group: int, mode: int
) -> None:
    groups = {} if docker is None else {"docker": SimpleNamespace(gr_gid=docker)}
    monkeypatch.setattr(grp, "getgrnam", groups.__getitem__)
    target = tmp_path / ".env"
    write_secrets([Secret("A", "a"), Secret("B", "b")], target)
    status = target.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, group, mode)
    assert target.read_text() == "A=a\nB=b\n"
