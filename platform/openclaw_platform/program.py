"""What the three Pulumi programs share: where they run, what the user set, and how a refusal reaches that user."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi.runtime import config as runtime_config

from openclaw_platform.config_keys import PlatformSettings
from openclaw_platform.config_table import ConfigTable, LookUp, require_known_keys
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs
from openclaw_platform.refusals import DeploymentRefused
from openclaw_platform.release import Release, build_release
from openclaw_platform.release_files import keep_archive, release_members
from openclaw_platform.wheels import pinned_wheels


@contextmanager
def one_sentence_refusals() -> Iterator[None]:
    """Turn a refusal into the error that Pulumi prints without a traceback."""
    try:
        yield
    except DeploymentRefused as refusal:
        raise pulumi.RunError(str(refusal)) from refusal


def current_scope() -> Scope:
    """Ask Pulumi for the stack, and AWS for the region and the account.

    Raises:
        ConfigRefused: when the stack's name cannot be part of AWS names, or the region is in another partition.
    """
    identity = aws.get_caller_identity()
    return Scope(
        stack=pulumi.get_stack(),
        region=aws.get_region().region,
        account_id=identity.account_id,
        partition=identity.arn.split(":")[1],
    )


def given(*tables: type[ConfigTable]) -> LookUp:
    """What the user has set in the running project, whose keys are those of the tables.

    Raises:
        ConfigRefused: when a key is set that none of the tables has.
    """
    project = f"{pulumi.get_project()}:"
    # Pulumi has no call that lists them: a program is given them in its memory, or in its environment.
    everything = {*runtime_config.CONFIG.get(), *runtime_config.get_config_env()}
    names = [key.removeprefix(project) for key in everything if key.startswith(project)]
    require_known_keys(names, [row for table in tables for row in table.rows()])
    return pulumi.Config().get


def prepare_release(settings: PlatformSettings, repository: Path) -> tuple[Release, Path]:
    """Build the release from the repository's files; return it with the path of its archive.

    Raises:
        WheelsUnavailable: when a pinned wheel cannot be had.
        ReleaseIncomplete: when a part of the repository is missing.
    """
    wheels = pinned_wheels(repository / settings.agent_requirements, repository / settings.wheels_folder)
    release = build_release(release_members(repository, wheels))
    return release, keep_archive(release, repository)


def export_outputs(outputs: Iterable[tuple[str, pulumi.Input[Any]]]) -> None:
    """Export each named output of the running stack."""
    for name, value in outputs:
        pulumi.export(name, value)


def known(outputs: PlatformOutputs[pulumi.Input[str]]) -> pulumi.Output[PlatformOutputs[str]]:
    """The platform's outputs as one output of plain values."""
    names = [name for name, _ in outputs.named()]
    values = pulumi.Output.all(*(value for _, value in outputs.named()))
    return values.apply(lambda texts: PlatformOutputs(**dict(zip(names, texts, strict=True))))
