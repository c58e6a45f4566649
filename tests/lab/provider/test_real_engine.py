"""The three programs under the real Pulumi engine, with the embedded AWS as its provider; `make test-engine` runs it.

What the CLI prints at each step stays in .cache/engine/.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.engine.engine import Engine
from lab.host.deadline import scaled
from lab.moto.server import EmbeddedAws
from lab.provider.cli import cli_environment, find_cli
from lab.provider.server import ProviderServer
from lab.provider.working_copy import make_working_copy

REPOSITORY = Path(__file__).resolve().parents[3]
KEPT = REPOSITORY / ".cache" / "engine"
ZONE = "us-east-1a"
RELEASED = ("cloud_init", "scripts")

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
        typed = [str(self.program), *words, "--non-interactive", "--color", "never"]
        return self._run(project, f"pulumi {' '.join(words)}", typed, fails)

    def make(self, target: str, stack: str) -> str:
        """Run a target of the Makefile without a terminal; -o: the environment is that of the tests."""
        typed = ["make", "-s", "-o", ".venv/.ready", target, f"STACK={stack}", "YES=1"]
        return self._run(".", f"make {target} STACK={stack} YES=1", typed, fails=False)

    def _run(self, project: str, shown: str, typed: list[str], fails: bool) -> str:
        done = subprocess.run(
            typed,
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
        name = " ".join([project.replace(".", "root"), *shown.split()[:3]])
        (KEPT / f"{number:03d} {name}.txt".replace("/", "-")).write_text(f"$ {shown}\n{done.stdout}")
        assert (done.returncode != 0) is fails, done.stdout[-4000:]
        return done.stdout

    def start(self, project: str, stack: str, **config: str) -> None:
        self(project, "stack", "select", "--create", stack)
        for key, value in config.items():
            self(project, "config", "set", "--stack", stack, key, value)

    def resources(self, project: str, stack: str) -> dict[str, dict[str, Any]]:
        exported = json.loads(self(project, "stack", "export", "--stack", stack, "--show-secrets"))
        return {row["urn"]: row for row in exported["deployment"].get("resources", [])}

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
    # What a release is made of, as it is now: whoever works on it meanwhile would change what is compared below.
    for name in RELEASED:
        (folder / "repository" / name).unlink()
        shutil.copytree(REPOSITORY / name, folder / "repository" / name, ignore=shutil.ignore_patterns("__pycache__"))
    with EmbeddedAws() as aws, ProviderServer(aws) as provider:
        environment = cli_environment(aws, provider.attached, folder, program)
        yield Cli(aws, folder / "repository", folder, environment, program)


@dataclass(frozen=True)
class Deployed:
    """All three projects deployed for the first time: by project, each resource and the outputs."""

    resources: dict[str, dict[str, dict[str, Any]]]
    outputs: dict[str, dict[str, Any]]


STACKS = {"platform": "dev", "ec2_spot": "dev", ".": "single"}
CONFIG = {"platform": {}, "ec2_spot": {"availability_zone": ZONE}, ".": {"availability_zone": ZONE}}
every_project = pytest.mark.parametrize("project", STACKS)


@pytest.fixture(scope="module")
def deployed(cli: Cli) -> Deployed:
    """In the order in which a person does it."""
    for project, stack in STACKS.items():
        cli.start(project, stack, **CONFIG[project])
        cli(project, "up", "--yes", "--stack", stack)
    resources = {project: cli.resources(project, stack) for project, stack in STACKS.items()}
    return Deployed(resources, {project: cli.outputs(project, stack) for project, stack in STACKS.items()})


@pytest.fixture(autouse=True)
def no_warning_of_ours(cli: Cli) -> Iterator[None]:
    """Nothing that the CLI prints is about how the lab gives it its language."""
    yield
    assert [log.name for log in KEPT.glob("*.txt") if "pulumi-language-python" in log.read_text()] == []


@every_project
def test_a_second_up_and_a_refresh_find_nothing_to_change(cli: Cli, deployed: Deployed, project: str) -> None:
    cli(project, "up", "--yes", "--stack", STACKS[project], "--skip-preview", "--expect-no-changes")
    cli(project, "refresh", "--yes", "--stack", STACKS[project], "--skip-preview", "--expect-no-changes")


@pytest.mark.parametrize("project", ["ec2_spot", "."])
def test_a_preview_without_the_zone_is_refused_in_a_sentence(cli: Cli, deployed: Deployed, project: str) -> None:
    cli.start(project, "zoneless")

    said = cli(project, "preview", "--stack", "zoneless", fails=True)

    # By the CLI's own check of the typed configuration, before the program runs.
    assert "Stack 'zoneless' is missing configuration value 'availability_zone'" in said
    assert "Traceback" not in said
    cli(project, "stack", "rm", "--yes", "zoneless")


@pytest.mark.parametrize(
    ("project", "wrong", "nearest"),
    [
        ("platform", "log_retention_day", "log_retention_days"),
        ("ec2_spot", "instence_type", "instance_type"),
        (".", "alarm_mail", "alarm_email"),
    ],
)
def test_a_key_with_a_typo_is_told_by_a_preview(
    cli: Cli, deployed: Deployed, project: str, wrong: str, nearest: str
) -> None:
    cli.start(project, STACKS[project], **{wrong: "x"})

    said = cli(project, "preview", "--stack", STACKS[project], fails=True)

    assert f"error: {wrong} is set, but is no configuration key of this project: the nearest is {nearest} " in said
    assert "Traceback" not in said
    cli(project, "config", "rm", "--stack", STACKS[project], wrong)


@pytest.mark.parametrize("project", ["ec2_spot", "."])
def test_a_changed_setting_is_named_in_the_preview_and_rolls_the_group(
    cli: Cli, deployed: Deployed, project: str
) -> None:
    stack = STACKS[project]
    cli(project, "config", "set", "--stack", stack, "backup_interval_minutes", "30")

    shown = cli(project, "preview", "--diff", "--stack", stack)
    said = cli(project, "up", "--yes", "--stack", stack, "--skip-preview")

    sentence = "because this changes: backup_interval_minutes from 20 to 30."
    assert (
        f"warning: The instance is replaced (a final backup, then a new instance that restores it), {sentence}" in shown
    )
    assert re.search(r'~ description *: "release .* settings [0-9a-f]{8}" => "release .* settings [0-9a-f]{8}"', shown)
    # The alarm on missing backups looks back for as many of them.
    assert changes(said) == {"aws:ec2:LaunchTemplate", "aws:autoscaling:Group", "aws:cloudwatch:MetricAlarm"}
    cli(project, "up", "--yes", "--stack", stack, "--skip-preview", "--expect-no-changes")


def test_a_changed_script_is_a_new_release_for_the_platform_and_named_for_the_instance(
    cli: Cli, deployed: Deployed
) -> None:
    script = cli.copy / "cloud_init" / "install.sh"
    text = script.read_text()
    script.write_text(f"{text}# changed\n")

    of_the_platform = cli("platform", "up", "--yes", "--stack", "dev", "--skip-preview")
    shown = cli("ec2_spot", "preview", "--stack", "dev")

    script.write_text(text)
    assert changes(of_the_platform) == {"aws:s3:BucketObjectv2"}
    old = str(deployed.outputs["platform"]["release_sha256"])[:12]
    new = str(cli.outputs("platform", "dev")["release_sha256"])[:12]
    assert old != new
    assert f"because this changes: release from {old} to {new}." in shown


@pytest.mark.parametrize(("project", "half"), [("platform", "platform"), ("ec2_spot", "instance"), (".", "instance")])
def test_what_aws_refuses_in_the_middle_is_told_and_the_next_up_goes_on(
    cli: Cli, deployed: Deployed, project: str, half: str
) -> None:
    stack = f"broken-{project.replace('.', 'root').replace('_', '-')}"
    name = f"openclaw-lab-{stack}"
    cli.start(project, stack, **CONFIG[project])
    if project == "ec2_spot":
        cli.start("platform", stack)
        cli("platform", "up", "--yes", "--stack", stack, "--skip-preview")
    if half == "platform":
        cli.aws.client("ecr").create_repository(repositoryName=name)
    else:
        name = f"{name}-instance"
        cli.aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")

    said = cli(project, "up", "--yes", "--stack", stack, "--skip-preview", fails=True)
    assert name in said
    assert "Exception calling application" not in said
    assert "Traceback" not in said
    if half == "platform":
        cli.aws.client("ecr").delete_repository(repositoryName=name)
    else:
        cli.aws.client("iam").delete_role(RoleName=name)
    cli(project, "up", "--yes", "--stack", stack, "--skip-preview")

    cli(project, "up", "--yes", "--stack", stack, "--skip-preview", "--expect-no-changes")


@every_project
def test_an_existing_bucket_is_imported(cli: Cli, deployed: Deployed, project: str) -> None:
    name = f"made-by-hand-{project.replace('.', 'root').replace('_', '-')}"
    cli.aws.client("s3").create_bucket(Bucket=name)
    cli.start(project, "imports", **CONFIG[project])

    words = ["aws:s3/bucket:Bucket", "kept", name, "--yes", "--generate-code=false", "--stack", "imports"]
    cli(project, "import", *words)

    found = next(row for urn, row in cli.resources(project, "imports").items() if urn.endswith("::kept"))
    assert (found["id"], found["inputs"]["bucket"]) == (name, name)


def test_a_type_that_nothing_serves_is_an_error(cli: Cli, deployed: Deployed) -> None:
    cli.start("platform", "strange")

    words = ["aws:sqs/queue:Queue", "queue", "x", "--yes", "--generate-code=false", "--stack", "strange"]
    said = cli("platform", "import", *words, fails=True)

    assert "no handler for the resource type aws:sqs/queue:Queue" in said


def test_both_engines_make_the_same_resources_with_the_same_properties_and_outputs(
    cli: Cli, deployed: Deployed, tmp_path: Path
) -> None:
    """All three projects, each in a fresh account of its own for either engine."""
    with EmbeddedAws() as aws:
        ours = Engine(aws, tmp_path / "state")
        for project, stack in STACKS.items():
            outputs = ours.up(cli.copy / project, stack, CONFIG[project])

            theirs = deployed.resources[project]
            name = next(iter(theirs)).split("::")[1]
            mine = {row.urn: row for row in ours.resources(name, stack)}
            assert {urn for urn in mine if "pulumi:providers" not in urn} == {
                urn for urn in theirs if "pulumi:providers" not in urn
            }
            for urn, row in mine.items():
                if row.custom and not row.external and "pulumi:providers" not in urn:
                    assert stable(theirs[urn]["inputs"]) == stable(plain(row.inputs)), urn
                    assert bool(theirs[urn].get("protect")) == row.protect, urn
            assert stable(deployed.outputs[project]) == stable(outputs)


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


def settings_of(aws: EmbeddedAws, bucket: str) -> tuple[Any, ...]:
    """What keeps a bucket private, versioned and bounded."""
    s3 = aws.client("s3")
    return (
        s3.get_bucket_versioning(Bucket=bucket)["Status"],
        s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"],
        s3.get_bucket_policy(Bucket=bucket)["Policy"],
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"],
    )


@pytest.mark.parametrize(("projects", "stack"), [(("ec2_spot", "platform"), "dev"), ((".",), "single")])
def test_make_destroy_leaves_the_backups_as_they_were_and_says_why(
    cli: Cli, deployed: Deployed, projects: tuple[str, ...], stack: str
) -> None:
    bucket = f"openclaw-lab-backup-{stack}-{cli.aws.account_id}"
    cli.aws.client("s3").put_object(Bucket=bucket, Key="latest/manifest.json", Body=b"{}")
    before = settings_of(cli.aws, bucket)

    for _ in range(2):
        said = cli.make("destroy", stack)
        assert said.splitlines()[-2].startswith(f"== The backup bucket {bucket} stays, with its settings and the image")

    assert settings_of(cli.aws, bucket) == before
    assert cli.aws.client("s3").head_object(Bucket=bucket, Key="latest/manifest.json")
    left = {row["type"] for each in projects for row in cli.resources(each, stack).values() if row.get("custom")}
    assert {each.split(":")[1].split("/")[0] for each in left} <= {"s3", "ecr", "providers"}
    groups = cli.aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert f"openclaw-lab-{stack}" not in {group["AutoScalingGroupName"] for group in groups}


def test_the_runbook_typed_again_is_the_page_of_the_docs(cli: Cli) -> None:
    """The lines of the notes and the runbook, in a session of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "lab.cloud.transcript", "--check"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": "scripts"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=scaled(300),
        check=False,
    )

    assert done.returncode == 0, done.stdout
