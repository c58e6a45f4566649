"""Canaries in every secret, looked for everywhere: they are where docs/security.md says, and nowhere else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.machine.machine import Machine
from lab.world.gateway_life import GATEWAY_UNIT, run_inside
from lab.world.world import World, back_up, sh, write_note

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

MODEL_KEY = "ANTHROPIC_API_KEY"
CANARY = "sk-ant-canary-0f3c7d5e9b1a4682"
SECRETS_FOLDER = "/run/openclaw"

# Reads the canaries from its input, so that it does not itself hold them in its arguments or environment.
IN_PROCESSES = r"""
import json, pathlib, sys
canaries = [each.encode() for each in json.load(sys.stdin)]
found = []
for process in pathlib.Path("/proc").glob("[0-9]*"):
    for part in ("cmdline", "environ"):
        try:
            text, group = (process / part).read_bytes(), (process / "cgroup").read_text()
        except OSError:
            continue
        if any(canary in text for canary in canaries):
            found.append([part, group.strip().rpartition("/")[2]])
print(json.dumps(found))
"""


READ_SECRETS_FOLDER = f"""
import json, pathlib
found = pathlib.Path("{SECRETS_FOLDER}").glob("*env")
print(json.dumps({{each.name: [each.read_text(), oct(each.stat().st_mode & 0o777)] for each in found}}))
"""


@pytest.fixture(scope="module")
def canaries(world: World) -> Iterator[tuple[str, ...]]:
    """A token, each line of a key of several lines, and a model's key; stored as a user stores them."""
    cloud, name = world.cloud, "/openclaw-lab/dev/env/" + MODEL_KEY
    cloud.aws.client("ssm").put_parameter(Name=name, Type="SecureString", Value=CANARY, Overwrite=True)
    machine = world.ready_machine()
    sh(machine, f"systemctl restart {GATEWAY_UNIT}")
    machine.wait_for_gateway()
    write_note(machine, "workspace/secrecy.md", "a reason for a backup")
    back_up(machine)
    yield (cloud.gateway_token, CANARY, *(line for line in cloud.private_key.splitlines() if "--" not in line))
    cloud.aws.client("ssm").delete_parameter(Name=name)
    sh(world.ready_machine(), f"systemctl restart {GATEWAY_UNIT}")


def test_they_are_in_the_two_files_in_memory_and_with_the_gateway_alone(
    machine: Machine, canaries: tuple[str, ...]
) -> None:
    files = json.loads(run_inside(machine, ["python3", "-c", READ_SECRETS_FOLDER]))
    assert sorted(files) == [".env", "multiline.env"]
    assert all(canary in "".join(text for text, _mode in files.values()) for canary in canaries)
    assert {mode for _text, mode in files.values()} == {"0o600"}
    assert sh(machine, f"stat --file-system --format=%T {SECRETS_FOLDER}") == "tmpfs\n"
    seen = json.loads(run_inside(machine, ["python3", "-c", IN_PROCESSES], given=json.dumps(canaries)))
    assert seen
    assert {tuple(row) for row in seen} == {("environ", GATEWAY_UNIT)}


def test_no_object_of_any_bucket_holds_one_in_any_version(world: World, canaries: tuple[str, ...]) -> None:
    looked_at = 0
    for bucket in (row["Name"] for row in world.s3.list_buckets()["Buckets"]):
        for page in world.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for row in page.get("Versions", []):
                version = {} if row["VersionId"] == "null" else {"VersionId": row["VersionId"]}
                body = world.s3.get_object(Bucket=bucket, Key=row["Key"], **version)["Body"].read()
                assert not any(canary.encode() in body for canary in canaries), f"s3://{bucket}/{row['Key']}"
                looked_at += 1
    assert looked_at > 10


def test_no_log_and_nothing_that_the_machine_has_written_holds_one_after_a_crash_either(
    machine: Machine, world: World, canaries: tuple[str, ...]
) -> None:
    main = sh(machine, f"systemctl show --property=MainPID --value {GATEWAY_UNIT}").strip()
    assert re.search(r"Max core file size\s+0\s+0\s", sh(machine, f"cat /proc/{main}/limits"))
    sh(machine, f"systemctl kill --signal=SEGV {GATEWAY_UNIT}")
    world.ready_machine()
    journal = machine.run(["journalctl", "--no-pager", "--all", "--output=verbose"]).stdout
    console = machine.console_log.read_text(errors="replace")
    for canary in canaries:
        assert canary not in journal
        assert canary not in console
        # Logs, state, core files, what cloud-init keeps: all that the machine has ever written and not deleted.
        assert files_with(canary, machine.disk.written) == []


def test_neither_the_engines_state_nor_the_outputs_hold_one(world: World, canaries: tuple[str, ...]) -> None:
    told = json.dumps({**world.cloud.platform, **world.cloud.instance})
    for canary in canaries:
        assert canary not in told
        assert files_with(canary, world.scratch / "engine") == []


def test_neither_the_description_of_an_instance_nor_a_log_group_holds_one(
    world: World, canaries: tuple[str, ...]
) -> None:
    aws = world.cloud.aws
    told = json.dumps(
        [
            aws.client("ec2").describe_instances(),
            aws.client("ec2").describe_launch_template_versions(
                LaunchTemplateName="openclaw-lab-dev", Versions=["$Latest"]
            ),
            aws.client("cloudwatch").describe_alarms(),
            aws.client("ssm").describe_parameters(),
            [
                aws.client("logs").filter_log_events(logGroupName=group["logGroupName"])["events"]
                for group in aws.client("logs").describe_log_groups()["logGroups"]
            ],
        ],
        default=str,
    )
    assert not [canary for canary in canaries if canary in told]


def files_with(canary: str, folder: Path) -> list[str]:
    found = subprocess.run(
        ["grep", "--recursive", "--files-with-matches", "--fixed-strings", "--file=-", str(folder)],
        input=canary + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode in (0, 1), found.stderr
    return found.stdout.splitlines()
