"""What is looked at: each check is a function that returns findings, and breaks nothing where it cannot look."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import botocore.exceptions as aws_errors

from openclaw_ec2_spot.config_keys import Ec2SpotSettings
from operator_tools.account.errors import AccountError
from operator_tools.instance.session import INSTALL_PAGE, PLUGIN
from operator_tools.secrets_store.command import missing, stored_names
from operator_tools.settings.stack_config import EC2_SPOT, PROJECTS, read_stack_config
from operator_tools.stack.stack import Stack

SPOT_QUOTA = "L-34B43A08"
"""Service Quotas' code of the vCPUs of all standard spot instances (A, C, D, H, I, M, R, T, Z)."""
SPOT_ROLE = "AWSServiceRoleForEC2Spot"


class State(StrEnum):
    """How a check ended; only `TO_DO` fails the command."""

    OK = "ok"
    TO_DO = "to do"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and the words that mend it ("" where nothing is to be done)."""

    check: str
    state: State
    text: str
    fix: str = ""

    def document(self) -> dict[str, str]:
        """For JSON."""
        return {"check": self.check, "state": self.state.value, "text": self.text, "fix": self.fix}


def findings(stack: Stack) -> Iterator[Finding]:
    """Yield what each check found, in the order in which one needs the next.

    Raises:
        AccountError: there are no usable credentials, so that nothing else can be asked.
    """
    yield Finding("credentials", State.OK, f"account {stack.scope.account_id}")
    yield Finding("region", State.OK, stack.region)
    for name, check in _CHECKS:
        try:
            yield from check(stack)
        except AccountError as problem:
            yield Finding(name, State.NOTE, f"not looked at: {problem}")


def _placement(stack: Stack) -> Iterator[Finding]:
    config = read_stack_config(EC2_SPOT, stack.name)
    wanted = Ec2SpotSettings.instance_type.read(config.get)
    zone = config.get("availability_zone")
    if zone is None:
        yield Finding(
            "zone", State.TO_DO, "no zone is chosen", config.set_command("availability_zone", f"{stack.region}a")
        )
        return
    client = stack.client("ec2")
    with stack.account.told_in_a_sentence("ec2", "DescribeInstanceTypeOfferings"):
        pages = client.get_paginator("describe_instance_type_offerings").paginate(
            LocationType="availability-zone", Filters=[{"Name": "location", "Values": [zone]}]
        )
        offered = {row["InstanceType"] for page in pages for row in page["InstanceTypeOfferings"]}
    if not offered:
        yield Finding(
            "zone", State.TO_DO, f"{stack.region} has no zone {zone}", config.set_command("availability_zone", "ZONE")
        )
        return
    for name in wanted:
        if name in offered:
            yield Finding("type", State.OK, f"{zone} offers {name}")
        else:
            yield Finding(
                "type", State.TO_DO, f"{zone} offers no {name}", f"openclaw-lab prices {name} --region {stack.region}"
            )


def _quota(stack: Stack) -> Iterator[Finding]:
    wanted = Ec2SpotSettings.instance_type.read(read_stack_config(EC2_SPOT, stack.name).get)
    with stack.account.told_in_a_sentence("ec2", "DescribeInstanceTypes"):
        described = stack.client("ec2").describe_instance_types(
            Filters=[{"Name": "instance-type", "Values": [wanted[0]]}]
        )["InstanceTypes"]
    needs = described[0]["VCpuInfo"]["DefaultVCpus"] if described else 2
    with stack.account.told_in_a_sentence("service-quotas", "GetServiceQuota"):
        try:
            quota = stack.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode=SPOT_QUOTA)
        except aws_errors.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchResourceException":
                raise
            yield Finding("spot quota", State.NOTE, "AWS does not tell it for this account")
            return
    vcpus = int(quota["Quota"]["Value"])
    if vcpus >= needs:
        yield Finding("spot quota", State.OK, f"{vcpus} vCPUs, of which {wanted[0]} takes {needs}")
    else:
        yield Finding(
            "spot quota",
            State.TO_DO,
            f"{vcpus} vCPUs, and {wanted[0]} takes {needs}: nothing would be launched",
            f"aws service-quotas request-service-quota-increase --region {stack.region} --service-code ec2 "
            f"--quota-code {SPOT_QUOTA} --desired-value {max(4, needs)}",
        )


def _spot_role(stack: Stack) -> Iterator[Finding]:
    with stack.account.told_in_a_sentence("iam", "GetRole"):
        try:
            stack.client("iam").get_role(RoleName=SPOT_ROLE)
        except aws_errors.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchEntity":
                raise
            yield Finding(
                "spot role",
                State.NOTE,
                f"{SPOT_ROLE} is not there; AWS makes it with the first spot instance, or says so",
                "aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
            )
            return
    yield Finding("spot role", State.OK, SPOT_ROLE)


def _programs(stack: Stack) -> Iterator[Finding]:
    for program, needed_for, fix in (
        ("pulumi", "preview, up and destroy", "curl -fsSL https://get.pulumi.com | sh"),
        (PLUGIN, "connect and tunnel", f"brew install --cask {PLUGIN}, or {INSTALL_PAGE}"),
    ):
        if shutil.which(program):
            yield Finding(program, State.OK, "installed")
        else:
            yield Finding(program, State.TO_DO, f"not installed; {needed_for} need it", fix)


def _settings(stack: Stack) -> Iterator[Finding]:
    for project in PROJECTS:
        config = read_stack_config(project, stack.name)
        if not config.exists:
            yield Finding(
                project.folder,
                State.TO_DO,
                f"the stack {stack.name} is not configured",
                f"pulumi -C {project.folder} stack init {stack.name} && pulumi -C {project.folder} config set "
                f"aws:region {stack.region}",
            )
            continue
        problems = list(config.problems())
        if config.region not in (None, stack.region):
            problems.append(
                f"{project.folder} is configured for {config.region}, and you asked about {stack.region}. "
                f"Next: openclaw-lab doctor --region {config.region}"
            )
        for problem in problems:
            text, _, fix = problem.partition(" Next: ")
            yield Finding(project.folder, State.TO_DO, text.rstrip("."), fix)
        if not problems:
            yield Finding(project.folder, State.OK, f"{len(config.values)} keys set, all known and allowed")


def _secrets(stack: Stack) -> Iterator[Finding]:
    names = stored_names(stack)
    lacks = missing(names)
    for what, words in lacks:
        yield Finding("secrets", State.TO_DO, f"{what} is missing", stack.words(words))
    if not lacks:
        yield Finding("secrets", State.OK, ", ".join(sorted(names)))


_CHECKS: tuple[tuple[str, Callable[[Stack], Iterator[Finding]]], ...] = (
    ("zone and type", _placement),
    ("spot quota", _quota),
    ("spot role", _spot_role),
    ("programs", _programs),
    ("settings", _settings),
    ("secrets", _secrets),
)
