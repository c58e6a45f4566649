"""What the platform stack tells the instance's stack."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

Text = TypeVar("Text")


@dataclass(frozen=True, slots=True)
class PlatformOutputs(Generic[Text]):
    """The platform's outputs: `PlatformOutputs[str]` once known, of Pulumi's outputs while a program runs."""

    backup_bucket: Text
    scripts_bucket: Text
    release_key: Text
    release_sha256: Text
    repository_url: Text
    repository_arn: Text
    alarm_topic_arn: Text
    agent_log_group: Text
    gateway_log_group: Text
    bootstrap_log_group: Text
    log_retention_days: Text
    region: Text
    account_id: Text
    backup_kms_key_arn: Text

    def named(self) -> Iterator[tuple[str, Text]]:
        """Each output's name and value, in the order above."""
        for name in OUTPUT_NAMES:
            yield name, getattr(self, name)


OUTPUT_NAMES: tuple[str, ...] = tuple(field.name for field in fields(PlatformOutputs))
"""The names under which the platform stack exports its outputs."""
