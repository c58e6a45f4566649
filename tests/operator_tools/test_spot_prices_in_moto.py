import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.host.deadline import scaled
from lab.moto.server import EmbeddedAws

SCRIPT = Path(__file__).parents[2] / "scripts" / "ec2-spot-prices.py"

pytestmark = pytest.mark.subprocess


@pytest.fixture
def aws(embedded_aws: EmbeddedAws) -> EmbeddedAws:
    return embedded_aws


def run(aws: EmbeddedAws, *arguments: str, region: str = "us-east-1") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"AWS_ENDPOINT_URL": aws.endpoint_url, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(SCRIPT), "--region", region, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=scaled(60), check=False)


def test_the_runbook_s_command_prints_a_table(aws: EmbeddedAws) -> None:
    # In the notes' own region; the prices are invented (lab/moto/spot_market.py).
    finished = run(aws, "t4g.small", "t4g.medium", region="me-central-1")
    assert (finished.returncode, finished.stderr) == (0, "")
    rows = [line.split() for line in finished.stdout.splitlines() if line.startswith("t4g.")]
    assert {(row[0], row[3]) for row in rows} == {("t4g.small", "2"), ("t4g.medium", "4")}
    assert {row[1] for row in rows} == {"me-central-1a", "me-central-1b", "me-central-1c"}
    assert all(0 < float(row[6]) <= float(row[7]) <= float(row[8]) < 0.1 for row in rows)


def test_json_goes_to_standard_output_alone(aws: EmbeddedAws) -> None:
    finished = run(aws, "--json", "t4g.small")
    document = json.loads(finished.stdout)
    assert document["offers"][0]["vcpus"] == 2
    assert document["offers"][0]["memory_mib"] == 2048
    since = datetime.fromisoformat(document["offers"][0]["since"])
    assert timedelta(0) <= datetime.now(UTC) - since <= timedelta(hours=9, minutes=1)


@pytest.mark.parametrize(
    ("region", "names", "code", "sentence"),
    [
        (
            "us-east-1",
            ["t4g.smal", "m5.huge"],
            2,
            "us-east-1 offers no instance types t4g.smal or m5.huge; did you mean",
        ),
        ("mars-north-1", ["t4g.small"], 2, "There is no region 'mars-north-1'; did you mean"),
        (
            "me-central-1",
            ["mac1.metal"],
            1,
            "me-central-1 has no Linux/UNIX spot price of the last 7 days for mac1.metal.",
        ),
    ],
    ids=["unknown types", "unknown region", "no history"],
)
def test_bad_input_is_one_sentence(aws: EmbeddedAws, region: str, names: list[str], code: int, sentence: str) -> None:
    finished = run(aws, *names, region=region)
    assert (finished.returncode, finished.stdout) == (code, "")
    assert finished.stderr.startswith(sentence)
    assert finished.stderr.count("\n") == 1


def test_a_reader_that_leaves_early_is_no_error(aws: EmbeddedAws) -> None:
    environment = os.environ | {"AWS_ENDPOINT_URL": aws.endpoint_url, "PYTHONIOENCODING": "utf-8"}
    command = f'"{sys.executable}" "{SCRIPT}" --region us-east-1 t4g.small | true; exit "${{PIPESTATUS[0]}}"'
    finished = subprocess.run(
        ["/bin/bash", "-c", command], env=environment, capture_output=True, text=True, timeout=scaled(60), check=False
    )
    assert (finished.returncode, finished.stderr) == (0, "")


def test_help_needs_no_boto3() -> None:
    finished = subprocess.run(
        [sys.executable, "-S", str(SCRIPT), "--help"], capture_output=True, text=True, timeout=scaled(60), check=False
    )
    assert finished.returncode == 0
    assert "exit status: 0 prices were printed" in " ".join(finished.stdout.split())


def test_without_boto3_the_sentence_says_how_to_get_it() -> None:
    finished = subprocess.run(
        [sys.executable, "-S", str(SCRIPT), "--region", "us-east-1", "t4g.small"],
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )
    assert finished.returncode == 1
    assert "has no boto3; install it with: pip install boto3" in finished.stderr
