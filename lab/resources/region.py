"""What a handler or an invoke needs of the embedded AWS: clients of one region, and facts that are asked for often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from lab.moto.server import EmbeddedAws
from lab.resources.errors import InvalidInput


def default_tags(setting: Any) -> dict[str, str]:
    """Return the tags of a provider's `defaultTags`, which Pulumi hands to providers as JSON text."""
    written = json.loads(setting) if isinstance(setting, str) else setting
    return dict((written or {}).get("tags") or {})


@dataclass(frozen=True)
class Region:
    """One region of the embedded AWS, as one provider sees it; not slotted, because it caches what it asked."""

    aws: EmbeddedAws
    region: str
    default_tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def account_id(self) -> str:
        """The twelve digits of the account."""
        return self.aws.account_id

    @property
    def partition(self) -> str:
        """The first part of every ARN of this region."""
        prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
        return next((name for prefix, name in prefixes.items() if self.region.startswith(prefix)), "aws")

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return self.aws.client(service, self.region)

    def arn(self, service: str, rest: str, *, region: bool = True, account: bool = True) -> str:
        """Return an ARN; some services leave out the region, some the account."""
        return ":".join(
            ("arn", self.partition, service, self.region if region else "", self.account_id if account else "", rest)
        )

    def tags(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """Return the resource's tags on top of its provider's default tags."""
        return {**self.default_tags, **(inputs.get("tags") or {})}

    def tag_list(self, inputs: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the tags as most AWS calls want them."""
        return [{"Key": key, "Value": value} for key, value in self.tags(inputs).items()]

    @cached_property
    def zones(self) -> list[str]:
        """The names of the region's availability zones."""
        answer = self.client("ec2").describe_availability_zones()
        return [zone["ZoneName"] for zone in answer["AvailabilityZones"]]

    def check_zone(self, zone: str) -> None:
        """Refuse a zone that the region does not have.

        Raises:
            InvalidInput: names the zone and those there are.
        """
        if zone not in self.zones:
            raise InvalidInput(f"The zone '{zone}' is not in {self.region}, which has {', '.join(self.zones)}.")

    def instance_type(self, name: str) -> dict[str, Any]:
        """Return what `DescribeInstanceTypes` says of a type.

        Raises:
            InvalidInput: AWS has no such type.
        """
        if name not in self._instance_types:
            try:
                answer = self.client("ec2").describe_instance_types(InstanceTypes=[name])
            except ClientError:
                raise InvalidInput(f"The instance type '{name}' does not exist.") from None
            self._instance_types[name] = answer["InstanceTypes"][0]
        return self._instance_types[name]

    def zones_with_type(self, name: str) -> list[str]:
        """Return the zones of the region that offer an instance type."""
        if name not in self._offerings:
            answer = self.client("ec2").describe_instance_type_offerings(
                LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": [name]}]
            )
            self._offerings[name] = [offer["Location"] for offer in answer["InstanceTypeOfferings"]]
        return self._offerings[name]

    @cached_property
    def _instance_types(self) -> dict[str, dict[str, Any]]:
        return {}

    @cached_property
    def _offerings(self) -> dict[str, list[str]]:
        return {}
