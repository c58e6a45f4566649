"""`openclaw-lab status`, `outputs`, `logs`, `doctor` and `secrets` on an embedded AWS; and what mistakes say."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.moto.server import EmbeddedAws
from openclaw_agent.host.gateway_secrets import TOKEN_NAME
from operator_tools.program.commands import COMMANDS
from operator_tools.settings import stack_config
from tests.support.operated_stack import OperatedStack, with_history

Lab = Callable[..., tuple[int, str, str]]

INSIDE = {
    "gateway": {"active": True, "ready": True, "image": "ghcr.io/openclaw/openclaw:2026.9.6"},
    "devices": 1,
    "last_backup": {"time": "2026-11-25T08:00:00+00:00", "result": "unchanged"},
    "last_drill": None,
    "next": {"openclaw-s3-backup.timer": "2026-11-25T08:20:00+00:00"},
    "failed_units": [],
    "disk_percent": 31.0,
    "memory_percent": 58.0,
}


@pytest.fixture
def stack(embedded_aws: EmbeddedAws, tmp_path: Path) -> OperatedStack:
    return OperatedStack(embedded_aws, tmp_path)


def test_status_of_a_paused_stack_says_that_all_is_in_s3(lab: Lab, stack: OperatedStack) -> None:
    stack.group(desired=0)
    world = stack.bucket()
    with_history(world)

    code, out, err = lab("status")

    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"Safe, and paused: everything is in S3, as of {world.snapshots()[-1]}."
    assert "instance  none: paused" in out
    assert "alarms    none" in out
    assert out.splitlines()[-1] == f"Next: openclaw-lab resume --stack {stack.name}"


def test_status_before_the_first_backup_is_not_safe(lab: Lab, stack: OperatedStack) -> None:
    stack.group()
    stack.bucket()

    code, out, _err = lab("status", "--quick")

    assert code == 0
    assert out.splitlines()[0] == "NOT SAFE YET: nothing has been backed up."


def test_an_alarm_that_fires_comes_first(lab: Lab, stack: OperatedStack) -> None:
    stack.group(desired=0)
    with_history(stack.bucket())
    watch = stack.aws.client("cloudwatch", "us-east-1")
    watch.put_metric_alarm(
        AlarmName=f"{stack.scope.name}-disk-full",
        MetricName="x",
        Namespace="x",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    watch.set_alarm_state(AlarmName=f"{stack.scope.name}-disk-full", StateValue="ALARM", StateReason="a test")

    told = json.loads(lab("status", "--quick", "--json")[1])

    assert (told["alarms"], told["safe"]) == (["disk-full"], False)
    assert told["verdict"] == "LOOK: 1 alarm fires: disk-full."


@pytest.mark.subprocess
def test_status_shows_what_the_instance_tells_of_itself(lab: Lab, stack: OperatedStack) -> None:
    instance = stack.group()
    with_history(stack.bucket())

    with stack.reached(instance, answer=f"echo '{json.dumps(INSIDE)}'"):
        code, out, err = lab("status")

    assert (code, err) == (0, "")
    assert stack.scripts == ["/usr/local/bin/openclaw-lab status --json"]
    assert "Safe: what is there is backed up." in out
    assert f"instance  {instance}, t4g.small, us-east-1a, up 0 min" in out
    assert "gateway   ready, openclaw:2026.9.6, 1 device paired" in out
    assert "machine   disk 31.0 %, memory 58.0 %" in out
    assert ", next 08:20 UTC" in out
    assert "cost      about $" in out


def test_an_instance_that_is_not_reached_is_a_line_and_no_failure(lab: Lab, stack: OperatedStack) -> None:
    instance = stack.group()
    with_history(stack.bucket())

    code, out, err = lab("status")

    assert (code, err) == (0, "")
    assert f"gateway   not asked: {instance} has not reported to Systems Manager (yet)" in out


def test_outputs_have_the_notes_own_lines(lab: Lab, stack: OperatedStack) -> None:
    stack.group()
    told = json.loads(lab("outputs", "--json")[1])

    assert told["backup_bucket"] == stack.scope.backup_bucket
    assert told["connect_command"].startswith("aws ssm start-session --region us-east-1 --target ")


def test_logs_are_printed_from_old_to_new_and_obeyed_by_no_terminal(lab: Lab, stack: OperatedStack) -> None:
    client, group = stack.aws.client("logs", "us-east-1"), stack.scope.gateway_log_group
    client.create_log_group(logGroupName=group)
    client.create_log_stream(logGroupName=group, logStreamName="i-1/gateway")
    now = int(time.time() * 1000)
    rows = [{"timestamp": now - 2000, "message": "one"}, {"timestamp": now - 1000, "message": "two\x1b[31m"}]
    client.put_log_events(logGroupName=group, logStreamName="i-1/gateway", logEvents=rows)

    code, out, _err = lab("logs", "gateway", "--since", "10 min ago")

    assert code == 0
    assert [line.split("  ", 1)[1] for line in out.splitlines()[:2]] == ["one", "two?[31m"]
    assert len(json.loads(lab("logs", "--json", "--lines", "1")[1])["lines"]) == 1


def test_secrets_are_put_checked_and_shown(lab: Lab, stack: OperatedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _err = lab("secrets", "check")
    assert code == 1
    assert f"Missing: the gateway's token. Next: openclaw-lab secrets put {TOKEN_NAME} --generate" in out

    assert lab("secrets", "put", TOKEN_NAME, "--generate")[0] == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-secret\n"))
    code, out, err = lab("secrets", "put", "ANTHROPIC_API_KEY")
    assert code == 0
    assert "sk-secret" not in out + err

    code, out, _err = lab("secrets", "check")
    assert code == 0
    assert "Missing" not in out
    assert "sk-secret" not in out
    assert lab("secrets", "show", "ANTHROPIC_API_KEY")[1] == "sk-secret\n"
    assert len(lab("secrets", "show", TOKEN_NAME)[1].strip()) == 64
    (row,) = stack.aws.client("ssm", "us-east-1").describe_parameters(
        ParameterFilters=[{"Key": "Name", "Values": [stack.scope.secrets_path + TOKEN_NAME]}]
    )["Parameters"]
    assert row["Type"] == "SecureString"


@pytest.mark.parametrize(
    ("words", "given", "sentence"),
    [
        (["put", "not a name"], "x", "'not a name' is no name of a variable"),
        (["put", "KEY"], "", "Nothing was given for KEY; nothing was stored."),
        (["put", "KEY"], "x" * 4097, "The value of KEY is not allowed: at most 4,096 characters"),
        (["show", "KEY"], "", "has no secret KEY. Next: openclaw-lab secrets check"),
    ],
)
def test_a_secret_that_cannot_be_is_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, words: list[str], given: str, sentence: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    code, out, err = lab("secrets", *words)
    assert code in (1, 2)
    assert out == ""
    assert sentence in err


def configure(repository: Path, stack: str, **rows: str) -> None:
    for project in stack_config.PROJECTS:
        folder = repository / project.folder
        folder.mkdir(parents=True)
        own = {key: value for key, value in rows.items() if key.startswith(project.folder)}
        lines = [f"  {project.namespace}:{key.split('__')[1]}: {value}" for key, value in own.items()]
        (folder / f"Pulumi.{stack}.yaml").write_text("\n".join(["config:", "  aws:region: us-east-1", *lines, ""]))


def test_doctor_says_what_is_to_be_done_and_how(
    lab: Lab, stack: OperatedStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path / "r", stack.name, ec2_spot__instance_typ="t4g.small", ec2_spot__root_volume_size_gib="3")
    monkeypatch.setattr(stack_config, "REPOSITORY", tmp_path / "r")

    code, out, err = lab("doctor")

    assert (code, err) == (1, "")
    assert "ok     credentials" in out
    assert "to do: zone: pulumi -C ec2_spot config set availability_zone us-east-1a" in out
    assert "ec2_spot has no key 'instance_typ'; did you mean instance_type" in out
    assert "root_volume_size_gib is '3', but must be a whole number from 8 to 1024" in out
    assert "session-manager-plugin  not installed" in out
    assert f"to do: secrets: openclaw-lab secrets put {TOKEN_NAME} --generate --stack {stack.name}" in out
    told = json.loads(lab("doctor", "--json")[1])
    assert told["ok"] is False
    assert {row["state"] for row in told["checks"]} == {"ok", "to do", "note"}


def test_doctor_is_content_where_everything_is_there(
    lab: Lab, stack: OperatedStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path / "r", stack.name, ec2_spot__availability_zone="us-east-1a")
    monkeypatch.setattr(stack_config, "REPOSITORY", tmp_path / "r")
    for program in ("pulumi", "session-manager-plugin"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-secret\n"))
    assert lab("secrets", "put", "ANTHROPIC_API_KEY")[0] == 0
    assert lab("secrets", "put", TOKEN_NAME, "--generate")[0] == 0

    code, out, err = lab("doctor")

    assert (code, err) == (0, "")
    assert (
        "type         us-east-1a offers t4g.small" in " ".join(out.split("\n")) or "us-east-1a offers t4g.small" in out
    )
    assert out.splitlines()[-1].startswith("Next: openclaw-lab cost")


MISTAKES = {
    "typo": (["restor", "--at", "1h"], {}, 2, "openclaw-lab: 'restor' is no command; did you mean restore"),
    "unknown flag": (["snapshots", "--calender"], {}, 2, "snapshots takes no '--calender'; did you mean --calendar"),
    "no --at": (["restore"], {}, 2, "openclaw-lab restore: the following arguments are required: --at"),
    "no credentials": (
        ["status"],
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        1,
        "There are no AWS credentials; run aws configure",
    ),
    "no such region": (["status", "--region", "us-esat-1"], {}, 2, "There is no region 'us-esat-1'; did you mean"),
    "no stack's name": (["status", "--stack", "Rest Room"], {}, 2, "The stack's name is 'Rest Room', but must be"),
    "nobody answers": (["status"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, 1, "EC2 Auto Scaling cannot be reached"),
    "not deployed": (["status"], {}, 1, "There is no stack {stack} in us-east-1: check --stack and --region"),
    "no bucket": (["snapshots"], {}, 1, "There is no backup bucket {bucket}: check --stack and --region, or deploy"),
    "no logs": (["logs"], {}, 1, "There is no log group /openclaw-lab/{stack}/gateway: nothing is deployed. Next: "),
    "no time": (["logs", "--since", "soon"], {}, 2, "'soon' is no time; allowed is '2 hours ago'"),
    "no plugin": (["tunnel"], {}, 1, "The Session Manager plugin is not installed. Next: brew install"),
    "no plugin to connect": (["connect"], {}, 1, "The Session Manager plugin is not installed. Next: brew install"),
    "no id": (["devices", "approve", "x y"], {}, 2, "'x y' is no id of a request. Next: openclaw-lab devices"),
    "no port": (["tunnel", "--port", "80"], {}, 2, "argument --port: '80' is no port; allowed is 1024 to 65535"),
}


@pytest.mark.parametrize(("words", "environment", "code", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence(
    lab: Lab,
    stack: OperatedStack,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    environment: dict[str, str],
    code: int,
    sentence: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    ended, out, err = lab(*words)

    assert (ended, out) == (code, "")
    assert sentence.format(stack=stack.name, bucket=stack.scope.backup_bucket) in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["backup-now"], ["devices"], ["restore", "--at", "latest"], ["secrets", "apply"]])
def test_on_a_paused_stack_what_needs_an_instance_says_how_to_have_one(
    lab: Lab, stack: OperatedStack, words: list[str]
) -> None:
    stack.group(desired=0)
    code, out, err = lab(*words)
    assert (code, out) == (1, "")
    assert err == f"{stack.name} is paused: no instance runs. Next: openclaw-lab resume --stack {stack.name}\n"


def test_an_unknown_snapshot_stops_a_restore_before_anything(lab: Lab, stack: OperatedStack) -> None:
    stack.group()
    world = stack.bucket()
    with_history(world)
    code, out, err = lab("restore", "--at", "2026-03-04-07", "--yes")
    assert (code, out) == (2, "")
    assert err.startswith("There is no complete snapshot '2026-03-04-07'")


def test_every_command_has_its_help(lab: Lab) -> None:
    for row in COMMANDS:
        code, out, err = lab(row.name, "--help")
        assert (code, err) == (0, "")
        assert out.startswith(f"usage: openclaw-lab {row.name}")


def test_the_wizard_asks_writes_both_configurations_and_stores_the_secrets(
    lab: Lab, stack: OperatedStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("platform", "ec2_spot"):
        (tmp_path / "r" / folder).mkdir(parents=True)
    monkeypatch.setattr(stack_config, "REPOSITORY", tmp_path / "r")
    # Region and type by Enter; a zone that is none, then Enter; a mail; a model key; no channel.
    answers = ["", "", "us-east-1", "", "you@example.com", "sk-secret", "", ""]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*answers, ""])))

    code, out, err = lab("wizard")

    assert code == 0, err
    assert "sk-secret" not in out + err
    config = stack_config.read_stack_config(stack_config.EC2_SPOT, stack.name)
    assert (config.region, config.get("instance_type")) == ("us-east-1", "t4g.small")
    assert str(config.get("availability_zone")).startswith("us-east-1")
    platform = stack_config.read_stack_config(stack_config.PLATFORM, stack.name)
    assert platform.get("alarm_email") == "you@example.com"
    assert list(config.problems()) == list(platform.problems()) == []
    assert lab("secrets", "show", "ANTHROPIC_API_KEY")[1] == "sk-secret\n"
    assert len(lab("secrets", "show", TOKEN_NAME)[1].strip()) == 64


def test_a_wizard_that_is_left_early_has_written_nothing(
    lab: Lab, stack: OperatedStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack_config, "REPOSITORY", tmp_path / "r")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n\n"))

    code, _out, err = lab("wizard")

    assert code == 2
    assert err.splitlines()[-1] == "The input ended before the last question; nothing was written."
    assert not (tmp_path / "r").exists()
    assert lab("secrets", "check")[0] == 1
