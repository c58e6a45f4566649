"""What the instance metadata service answers, as pure functions of the instance, its events and the clock.

Paths, status codes and fields follow the EC2 user guide's pages on instance metadata, IMDSv2 and spot interruptions.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

CREDENTIALS_LIFETIME = timedelta(hours=6)


class SpotAction(Enum):
    """What EC2 announces to do with an interrupted spot instance."""

    TERMINATE = "terminate"
    STOP = "stop"
    HIBERNATE = "hibernate"


@dataclass(frozen=True, slots=True)
class InstanceIdentity:
    """What an instance may learn about itself."""

    instance_id: str
    instance_type: str
    region: str
    availability_zone: str
    local_ipv4: str
    role: str
    account_id: str = "123456789012"
    image_id: str = "ami-00000000000000000"
    architecture: str = "x86_64"
    user_data: str = ""
    access_key_id: str = "testing"
    secret_access_key: str = "testing"  # noqa: S105 - the embedded AWS takes any key; this is its customary one
    session_token: str = "testing"  # noqa: S105 - as above


@dataclass(frozen=True, slots=True)
class Interruption:
    """A spot interruption notice: what happens to the instance, and when (UTC)."""

    at: datetime
    action: SpotAction = SpotAction.TERMINATE


@dataclass(frozen=True, slots=True)
class InstanceEvents:
    """What EC2 has announced to an instance so far; nothing announced is `None`."""

    interruption: Interruption | None = None
    rebalance_recommended_at: datetime | None = None
    target_lifecycle_state: str | None = "InService"
    role_revoked: bool = False


def answer(path: str, identity: InstanceIdentity, events: InstanceEvents, now: datetime) -> str | None:
    """Returns the body for a path under `/latest/`, or None where EC2 answers 404.

    The path has no leading `/latest/`; one slash at the end makes no difference.
    """
    found = _ANSWERS.get(path.strip("/"))
    if found is not None:
        return found(identity, events, now)
    if path.strip("/") == f"{_CREDENTIALS_PATH}/{identity.role}":
        return None if events.role_revoked else role_credentials(identity, now)
    return None


def role_credentials(identity: InstanceIdentity, now: datetime) -> str:
    """Returns the JSON document with the role's temporary credentials; they expire six hours from now."""
    return json.dumps(
        {
            "Code": "Success",
            "LastUpdated": _timestamp(now),
            "Type": "AWS-HMAC",
            "AccessKeyId": identity.access_key_id,
            "SecretAccessKey": identity.secret_access_key,
            "Token": identity.session_token,
            "Expiration": _timestamp(now + CREDENTIALS_LIFETIME),
        },
        indent=2,
    )


def identity_document(identity: InstanceIdentity, now: datetime) -> str:
    """Returns the instance identity document (unsigned, as the lab needs no signature)."""
    return json.dumps(
        {
            "accountId": identity.account_id,
            "architecture": identity.architecture,
            "availabilityZone": identity.availability_zone,
            "imageId": identity.image_id,
            "instanceId": identity.instance_id,
            "instanceType": identity.instance_type,
            "pendingTime": _timestamp(now),
            "privateIp": identity.local_ipv4,
            "region": identity.region,
            "version": "2017-09-30",
        },
        indent=2,
    )


def _interruption(events: InstanceEvents) -> str | None:
    notice = events.interruption
    return None if notice is None else json.dumps({"action": notice.action.value, "time": _timestamp(notice.at)})


def _termination_time(events: InstanceEvents) -> str | None:
    notice = events.interruption
    if notice is None or notice.action is not SpotAction.TERMINATE:
        return None
    return _timestamp(notice.at)


def _rebalance(events: InstanceEvents) -> str | None:
    at = events.rebalance_recommended_at
    return None if at is None else json.dumps({"noticeTime": _timestamp(at)})


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_CREDENTIALS_PATH = "meta-data/iam/security-credentials"
_Answer = Callable[[InstanceIdentity, InstanceEvents, datetime], str | None]
_ANSWERS: dict[str, _Answer] = {
    "user-data": lambda identity, events, now: identity.user_data or None,
    "dynamic/instance-identity/document": lambda identity, events, now: identity_document(identity, now),
    "meta-data/ami-id": lambda identity, events, now: identity.image_id,
    "meta-data/instance-id": lambda identity, events, now: identity.instance_id,
    "meta-data/instance-type": lambda identity, events, now: identity.instance_type,
    "meta-data/instance-life-cycle": lambda identity, events, now: "spot",
    "meta-data/local-ipv4": lambda identity, events, now: identity.local_ipv4,
    "meta-data/placement/region": lambda identity, events, now: identity.region,
    "meta-data/placement/availability-zone": lambda identity, events, now: identity.availability_zone,
    _CREDENTIALS_PATH: lambda identity, events, now: None if events.role_revoked else identity.role,
    "meta-data/spot/instance-action": lambda identity, events, now: _interruption(events),
    "meta-data/spot/termination-time": lambda identity, events, now: _termination_time(events),
    "meta-data/events/recommendations/rebalance": lambda identity, events, now: _rebalance(events),
    "meta-data/autoscaling/target-lifecycle-state": lambda identity, events, now: events.target_lifecycle_state,
}
