"""The three programs under the real Pulumi engine, with the embedded AWS as its provider; `make test-engine` runs it.

What the CLI prints at each step stays in .cache/engine/.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.cloud.working_copy import make_working_copy
from lab.engine.engine import Engine
from lab.host.deadline import scaled
from lab.moto.server import EmbeddedAws
from lab.provider.cli import cli_environment, find_cli
from lab.provider.server import ProviderServer

REPOSITORY = Path(__file__).resolve().parents[3]
KEPT = REPOSITORY / ".cache" / "engine"
ZONE = "us-east-1a"

pytestmark = [pytest.mark.engine, pytest.mark.subprocess]


@dataclass(frozen=True)
class Cli:
    """The CLI in a working copy, on an embedded AWS of its own."""

    aws: EmbeddedAws
    copy: Path
    folder: Path
    environment: dict[str, str]
    program: Path

    def __call__(self, project: str, *words: str, fails: bool = False) -> str:
        done = subprocess.run(
            [str(self.program), *words, "--non-interactive", "--color", "never"],
            cwd=self.copy / project,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=scaled(300),
            check=False,
        )
        KEPT.mkdir(parents=True, exist_ok=True)
        number = len(list(KEPT.iterdir())) + 1
        log = KEPT / f"{number:02d} {project.replace('.', 'root')} {' '.join(words[:2])}.txt".replace("/", "-")
        log.write_text(f"$ pulumi {' '.join(words)}\n{done.stdout}")
        assert (done.returncode != 0) is fails, done.stdout[-4000:]
        return done.stdout

    def start(self, project: str, stack: str, **config: str) -> None:
        self(project, "stack", "select", "--create", stack)
        for key, value in config.items():
            self(project, "config", "set", "--stack", stack, key, value)

    def resources(self, project: str, stack: str) -> dict[str, dict[str, Any]]:
        exported = json.loads(self(project, "stack", "export", "--stack", stack, "--show-secrets"))
        return {row["urn"]: row for row in exported["deployment"]["resources"]}

    def outputs(self, project: str, stack: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(project, "stack", "output", "--stack", stack, "--json"))
        return found


def changes(said: str) -> set[str]:
    """The names of what an update changed, out of the CLI's lines (`~  aws:ec2:LaunchTemplate instance updated …`)."""
    rows = (line.split() for line in said.splitlines())
    return {row[1] for row in rows if len(row) > 3 and row[0] in {"~", "+", "-", "+-", "++", "--"} and "ed" in row[3]}


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    program = find_cli()
    if program is None:
        pytest.fail("The Pulumi CLI is neither on the PATH nor built: make pulumi-cli.")
    for old in KEPT.glob("*.txt"):
        old.unlink()
    folder = tmp_path_factory.mktemp("cloud")
    make_working_copy(REPOSITORY, folder / "repository")
    with EmbeddedAws() as aws, ProviderServer(aws) as provider:
        environment = cli_environment(aws, provider.attached, folder, program)
        yield Cli(aws, folder / "repository", folder, environment, program)


@pytest.fixture(scope="module")
def dev(cli: Cli) -> Cli:
    """Both stacks deployed."""
    cli.start("platform", "dev")
    cli("platform", "up", "--yes")
    cli.start("ec2_spot", "dev", availability_zone=ZONE)
    cli("ec2_spot", "up", "--yes")
    return cli


@pytest.mark.parametrize("project", ["platform", "ec2_spot"])
def test_a_second_up_and_a_refresh_find_nothing_to_change(dev: Cli, project: str) -> None:
    dev(project, "up", "--yes", "--expect-no-changes")
    dev(project, "refresh", "--yes", "--expect-no-changes")


def test_a_preview_without_the_zone_is_refused_in_a_sentence(dev: Cli) -> None:
    dev.start("ec2_spot", "zoneless")

    said = dev("ec2_spot", "preview", "--stack", "zoneless", fails=True)

    assert "availability_zone" in said
    assert "Traceback" not in said
    dev("ec2_spot", "stack", "rm", "--yes", "zoneless")


def test_a_changed_setting_updates_what_follows_from_it_and_rolls_the_group(dev: Cli) -> None:
    dev("ec2_spot", "config", "set", "--stack", "dev", "backup_interval_minutes", "30")

    said = dev("ec2_spot", "up", "--yes", "--stack", "dev", "--skip-preview")

    # The alarm on missing backups looks back for as many of them.
    assert changes(said) == {"aws:ec2:LaunchTemplate", "aws:autoscaling:Group", "aws:cloudwatch:MetricAlarm"}
    dev("ec2_spot", "up", "--yes", "--stack", "dev", "--expect-no-changes")


def test_what_aws_refuses_in_the_middle_is_told_and_the_next_up_goes_on(cli: Cli, dev: Cli) -> None:
    iam = cli.aws.client("iam")
    cli.start("platform", "broken")
    cli("platform", "up", "--yes", "--stack", "broken", "--skip-preview")
    cli.start("ec2_spot", "broken", availability_zone=ZONE)
    iam.create_role(RoleName="openclaw-lab-broken-instance", AssumeRolePolicyDocument="{}")

    said = cli("ec2_spot", "up", "--yes", "--stack", "broken", "--skip-preview", fails=True)
    assert "openclaw-lab-broken-instance" in said
    assert "Exception calling application" not in said
    iam.delete_role(RoleName="openclaw-lab-broken-instance")
    cli("ec2_spot", "up", "--yes", "--stack", "broken", "--skip-preview")

    cli("ec2_spot", "up", "--yes", "--stack", "broken", "--expect-no-changes")
    cli("ec2_spot", "destroy", "--yes", "--stack", "broken", "--skip-preview")


def test_an_existing_bucket_is_imported(cli: Cli, dev: Cli) -> None:
    cli.aws.client("s3").create_bucket(Bucket="made-by-hand")
    cli.start("platform", "imports")

    words = ["aws:s3/bucket:Bucket", "kept", "made-by-hand", "--yes", "--generate-code=false", "--stack", "imports"]
    cli("platform", "import", *words)

    found = next(row for urn, row in cli.resources("platform", "imports").items() if urn.endswith("::kept"))
    assert (found["id"], found["inputs"]["bucket"]) == ("made-by-hand", "made-by-hand")


def test_a_type_that_nothing_serves_is_an_error(cli: Cli, dev: Cli) -> None:
    cli.start("platform", "strange")

    words = ["aws:sqs/queue:Queue", "queue", "x", "--yes", "--generate-code=false", "--stack", "strange"]
    said = cli("platform", "import", *words, fails=True)

    assert "no handler for the resource type aws:sqs/queue:Queue" in said


def test_both_engines_make_the_same_resources_with_the_same_properties_and_outputs(
    cli: Cli, dev: Cli, tmp_path: Path
) -> None:
    """All three projects, each in a fresh account of its own for either engine."""
    with EmbeddedAws() as aws:
        ours = Engine(aws, tmp_path / "state")
        for project, stack, config in (
            ("platform", "twin", {}),
            ("ec2_spot", "twin", {"availability_zone": ZONE}),
            (".", "single", {"availability_zone": ZONE}),
        ):
            cli.start(project, stack, **config)
            cli(project, "up", "--yes", "--stack", stack, "--skip-preview")
            outputs = ours.up(cli.copy / project, stack, config)

            theirs = cli.resources(project, stack)
            name = next(iter(theirs)).split("::")[1]
            mine = {row.urn: row for row in ours.resources(name, stack)}
            assert {urn for urn in mine if "pulumi:providers" not in urn} == {
                urn for urn in theirs if "pulumi:providers" not in urn
            }
            for urn, row in mine.items():
                if row.custom and not row.external and "pulumi:providers" not in urn:
                    assert stable(theirs[urn]["inputs"]) == stable(plain(row.inputs)), urn
            assert stable(cli.outputs(project, stack)) == stable(outputs)


IDS = ("vpc-", "subnet-", "sg-", "rtb-", "igw-", "vpce-", "lt-", "ami-", "rtbassoc-")


def plain(value: Any) -> Any:
    """Values of ours as the CLI's export has them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return {"asset": value.sha256} if hasattr(value, "sha256") else value


def stable(value: Any) -> Any:
    """Without what each account, and each engine, numbers for itself; a missing key is the same as null."""
    if isinstance(value, dict):
        if "hash" in value and len(value) > 1:
            return {"asset": value["hash"]}
        return {key: stable(item) for key, item in value.items() if item is not None and key != "__defaults"}
    if isinstance(value, list):
        return [stable(item) for item in value]
    if isinstance(value, str):
        return "an id" if value.startswith(IDS) else value
    return value


def test_destroy_leaves_the_protected_bucket_and_says_so(cli: Cli, dev: Cli) -> None:
    cli("ec2_spot", "destroy", "--yes", "--stack", "dev")
    said = cli("platform", "destroy", "--yes", "--stack", "dev", fails=True)
    assert "protect" in said

    cli("platform", "destroy", "--yes", "--stack", "dev", "--exclude-protected", "--skip-preview")

    left = {row["type"] for row in cli.resources("platform", "dev").values() if row.get("custom")}
    assert "aws:s3/bucket:Bucket" in left
    assert "aws:autoscaling/group:Group" not in left
