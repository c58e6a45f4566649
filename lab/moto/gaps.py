"""What moto leaves out of AWS and the lab leans on; applied inside the server's process by `close_gaps()`.

Each function closes one gap and says why. Where moto is merely too permissive, the handlers check instead.
"""

from __future__ import annotations

import copy
import functools
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from lab.moto.iam_gaps import judge_as_aws
from lab.moto.lifecycle_actions import answer_lifecycle_actions
from lab.moto.run_command import run_commands_for_real
from lab.moto.spot_market import open_spot_market

DELETE_OBJECTS_LIMIT = 1000
CONNECTION_FACTS = {"aws:securetransport": "true", "s3:tlsversion": "1.3"}


def close_gaps() -> None:
    """Close all of them; call once, before the server starts."""
    honour_connection_conditions()
    decide_conditional_writes_one_at_a_time()
    limit_delete_objects()
    hide_folders_of_deleted_keys()
    report_delete_markers()
    lock_buckets_that_hold_objects()
    judge_as_aws()
    launch_from_the_whole_template()
    keep_user_data_of_later_versions()
    hide_deprecated_images()
    answer_lifecycle_actions()
    parse_managed_policies_once()
    list_own_services_once()
    parse_timestamps_once()
    open_spot_market()
    run_commands_for_real()


HEADER_CONDITION = "s3:x-amz-"
"""S3's condition keys of this beginning are the request's headers (S3's list of condition keys)."""


def without_satisfied_denies(policy: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """Return a bucket policy without the statements whose conditions on the request do not hold here.

    The lab's loopback or bridge counts as TLS 1.3, since its bytes never leave the machine. `headers` are those of the
    request, by their names in lower case.
    """
    statements = policy.get("Statement", [])
    if isinstance(statements, dict):
        statements = [statements]
    kept = []
    for statement in statements:
        conditions = {operator: dict(block) for operator, block in (statement.get("Condition") or {}).items()}
        holds = True
        for operator, block in conditions.items():
            for key in [key for key in block if _is_known(key.lower())]:
                holds = holds and _holds(operator, _fact(key.lower(), headers), block.pop(key))
        if holds:
            remaining = {operator: block for operator, block in conditions.items() if block}
            rest = {key: value for key, value in statement.items() if key != "Condition"}
            kept.append(rest | ({"Condition": remaining} if remaining else {}))
    return policy | {"Statement": kept}


def _is_known(key: str) -> bool:
    return key in CONNECTION_FACTS or key.startswith(HEADER_CONDITION)


def _fact(key: str, headers: Mapping[str, str]) -> str | None:
    fact = CONNECTION_FACTS.get(key) or headers.get(key.removeprefix("s3:"))
    return None if fact is None else fact.lower()


def _holds(operator: str, fact: str | None, wanted: object) -> bool:
    values = [str(value).lower() for value in (wanted if isinstance(wanted, list) else [wanted])]
    if operator == "Null":
        return ("true" if fact is None else "false") in values
    if fact is None:
        # A key that the request has not: only a negated operator, or one with IfExists, is satisfied by it.
        return "Not" in operator or operator.endswith("IfExists")
    if operator == "StringNotEquals":
        return fact not in values
    comparisons: dict[str, Callable[[str], bool]] = {
        "Bool": lambda value: value == fact,
        "BoolIfExists": lambda value: value == fact,
        "StringEquals": lambda value: value == fact,
        "NumericLessThan": lambda value: float(fact) < float(value),
        "NumericLessThanEquals": lambda value: float(fact) <= float(value),
        "NumericGreaterThanEquals": lambda value: float(fact) >= float(value),
    }
    comparison = comparisons.get(operator)
    # An operator that is not known here counts as satisfied, so that a Deny stays a Deny.
    return comparison is None or any(comparison(value) for value in values)


def honour_connection_conditions() -> None:
    """Bucket policies: moto ignores `Condition`, so a TLS-only Deny would block every object call."""
    from flask import has_request_context, request
    from moto.iam.access_control import IAMPolicy, PermissionResult
    from moto.s3.models import FakeBucket

    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        headers = {name.lower(): value for name, value in request.headers} if has_request_context() else {}
        policy = without_satisfied_denies(json.loads(self.policy), headers)
        evaluated = IAMPolicy(json.dumps(policy))
        return evaluated.is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]


def decide_conditional_writes_one_at_a_time() -> None:
    """PutObject with If-Match or If-None-Match: moto's threads check first and write later, so two racers could win."""
    from moto.s3.responses import S3Response

    original = S3Response.put_object
    lock = threading.Lock()

    def put_object(self: S3Response) -> Any:
        if self.headers.get("If-Match") or self.headers.get("If-None-Match"):
            with lock:
                return original(self)
        return original(self)

    S3Response.put_object = put_object  # type: ignore[method-assign]


def limit_delete_objects() -> None:
    """DeleteObjects: AWS refuses more than 1,000 keys in one request, moto takes any number."""
    from moto.s3.exceptions import MalformedXML
    from moto.s3.responses import S3Response

    original = S3Response._bucket_response_delete_keys

    def delete_keys(self: S3Response, bucket_name: str, authenticated: bool = True) -> Any:
        if self.body.count(b"<Object>") > DELETE_OBJECTS_LIMIT:
            raise MalformedXML
        return original(self, bucket_name, authenticated)

    S3Response._bucket_response_delete_keys = delete_keys  # type: ignore[method-assign]


def hide_folders_of_deleted_keys() -> None:
    """In a versioned bucket moto still lists a prefix whose every key is deleted; S3 does not."""
    from moto.s3.models import FakeDeleteMarker, S3Backend

    original = S3Backend.list_objects

    def list_objects(self: Any, bucket: Any, *rest: Any, **options: Any) -> Any:
        shown = copy.copy(bucket)
        shown.keys = {name: key for name, key in bucket.keys.items() if not isinstance(key, FakeDeleteMarker)}
        return original(self, shown, *rest, **options)

    S3Backend.list_objects = list_objects  # type: ignore[method-assign]


def report_delete_markers() -> None:
    """S3 notifications: moto reports no deletion in a versioned bucket, where it makes a delete marker."""
    from moto.s3 import notifications
    from moto.s3.models import S3Backend

    original = S3Backend._set_delete_marker

    def set_delete_marker(self: S3Backend, bucket_name: str, key_name: str) -> Any:
        before = self.get_bucket(bucket_name).keys.get(key_name)
        marker = original(self, bucket_name, key_name)
        # A marker over a marker is an event to S3 as well, but moto's has no size and sum to report.
        if hasattr(before, "etag"):
            event = notifications.S3NotificationEvent.OBJECT_REMOVED_DELETE_MARKER_CREATED_EVENT
            notifications.send_event(self.account_id, event, self.get_bucket(bucket_name), before)
        return marker

    S3Backend._set_delete_marker = set_delete_marker  # type: ignore[method-assign]


def lock_buckets_that_hold_objects() -> None:
    """Object lock: moto locks new buckets alone; AWS any that has versions, since November 2023.

    Nor does moto know a checksum that comes without `x-amz-sdk-checksum-algorithm`, which is the SDKs' own header.
    """
    from moto.s3.exceptions import InvalidBucketState
    from moto.s3.models import S3Backend
    from moto.s3.responses import S3Response
    from requests.structures import CaseInsensitiveDict

    original = S3Response._key_response_put

    def key_response_put(self: S3Response, query: dict[str, Any], key_name: str) -> Any:
        # A copy inside S3 sends no bytes that could have a sum.
        carried = self.headers.get("x-amz-checksum-sha256") or self.headers.get("x-amz-copy-source")
        if carried and self.backend.get_bucket(self.bucket_name).has_default_lock:
            self.headers = CaseInsensitiveDict({**self.headers, "x-amz-sdk-checksum-algorithm": "SHA256"})
        return original(self, query, key_name)

    def put_object_lock_configuration(
        self: S3Backend,
        bucket_name: str,
        lock_enabled: bool,
        mode: str | None = None,
        days: int | None = None,
        years: int | None = None,
    ) -> None:
        bucket = self.get_bucket(bucket_name)
        if not bucket.is_versioned:
            raise InvalidBucketState("Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
        bucket.object_lock_enabled = bucket.object_lock_enabled or lock_enabled
        bucket.default_lock_mode, bucket.default_lock_days, bucket.default_lock_years = mode, days, years

    S3Response._key_response_put = key_response_put  # type: ignore[method-assign]
    S3Backend.put_object_lock_configuration = put_object_lock_configuration  # type: ignore[method-assign]


def launch_from_the_whole_template() -> None:
    """Auto Scaling: moto's instances take only image, type, user-data and tags from their launch template.

    Metadata options, instance profile, security groups, the public address and the spot lifecycle are added, so that
    what the lab reads back from an instance is what AWS would show. An instance type comes from the first override.
    """
    from moto.autoscaling.models import FakeAutoScalingGroup
    from moto.ec2.models.instances import MetadataOptions

    original_launch = FakeAutoScalingGroup.replace_autoscaling_group_instances
    original_type = FakeAutoScalingGroup.instance_type

    def instance_type(self: FakeAutoScalingGroup) -> str:
        overrides = (self.mixed_instances_policy or {}).get("LaunchTemplate", {}).get("Overrides") or [{}]
        return str(overrides[0].get("InstanceType") or original_type.fget(self))  # type: ignore[attr-defined]

    def launch(self: FakeAutoScalingGroup, count_needed: int, propagated_tags: dict[str, str]) -> None:
        before = len(self.instance_states)
        original_launch(self, count_needed, propagated_tags)
        if self.ec2_launch_template is None:
            return
        version = self.ec2_launch_template.get_version(self.launch_template_version)
        template = version.data
        interface = (template.get("NetworkInterfaces") or [{}])[0]
        for state in self.instance_states[before:]:
            instance: Any = state.instance
            instance.add_tags({"aws:ec2launchtemplate:version": str(version.number)})
            if template.get("MetadataOptions"):
                instance.metadata_options = MetadataOptions(template["MetadataOptions"])
            groups = template.get("SecurityGroupIds") or interface.get("Groups") or interface.get("SecurityGroupId")
            if groups and instance.nics:
                found = [self.ec2_backend.get_security_group_from_id(group) for group in groups]
                instance.security_groups = [group for group in found if group is not None]
                instance.nics[0]._group_set = []
            profile = template.get("IamInstanceProfile")
            if profile:
                self.ec2_backend.associate_iam_instance_profile(
                    instance.id,
                    iam_instance_profile_name=profile.get("Name"),
                    iam_instance_profile_arn=profile.get("Arn"),
                )
            if _is_spot(self.mixed_instances_policy, template):
                instance.lifecycle = "spot"

    FakeAutoScalingGroup.replace_autoscaling_group_instances = launch  # type: ignore[method-assign]
    FakeAutoScalingGroup.instance_type = property(instance_type)  # type: ignore[assignment]


def keep_user_data_of_later_versions() -> None:
    """Launch templates: moto keeps user-data of versions after the first in a type that its own launch rejects."""
    from moto.core.types import Base64EncodedString
    from moto.ec2.models.launch_templates import LaunchTemplate

    original = LaunchTemplate.create_version

    def create_version(self: LaunchTemplate, data: dict[str, Any], description: str) -> Any:
        if isinstance(data.get("UserData"), str):
            data = data | {"UserData": Base64EncodedString(data["UserData"])}
        return original(self, data, description)

    LaunchTemplate.create_version = create_version  # type: ignore[method-assign]


def hide_deprecated_images() -> None:
    """EC2: moto deprecates no images; AWS hides a deprecated one unless it is asked for by its id or included.

    A filter by `image-id` is no such question: it does not find the image.
    """
    from botocore.utils import parse_to_aware_datetime
    from moto.core.responses import ActionResult
    from moto.core.utils import utcnow
    from moto.ec2.models.amis import Ami
    from moto.ec2.responses.amis import AmisResponse

    def enable_image_deprecation(self: AmisResponse) -> ActionResult:
        (image,) = self.ec2_backend.describe_images(ami_ids=[self._get_param("ImageId")])
        image.deprecation_time = parse_to_aware_datetime(self._get_param("DeprecateAt")).replace(tzinfo=None)
        return ActionResult({"Return": True})

    def describe_images(self: AmisResponse) -> Any:
        answer: Any = original(self)
        if not self._get_param("ImageIds", []) and not self._get_bool_param("IncludeDeprecated"):
            shown = [image for image in answer.result["Images"] if not is_deprecated(image)]
            answer = ActionResult({"Images": shown})
        return answer

    def is_deprecated(image: Ami) -> bool:
        ends = getattr(image, "deprecation_time", None)
        return ends is not None and ends <= utcnow()

    original = AmisResponse.describe_images
    AmisResponse.describe_images = describe_images  # type: ignore[method-assign]
    AmisResponse.enable_image_deprecation = enable_image_deprecation  # type: ignore[attr-defined]


def parse_managed_policies_once() -> None:
    """IAM: moto parses AWS's 1,200 managed policies again after every reset, which takes most of a second."""
    from moto.iam.models import IAMBackend

    original = IAMBackend._init_aws_policies
    parsed: dict[tuple[str, str], list[Any]] = {}

    def init_aws_policies(self: IAMBackend) -> list[Any]:
        key = (self.account_id, self.region_name)
        if key not in parsed:
            parsed[key] = original(self)
        # Copies, because an attachment is counted in the policy itself.
        return [copy.copy(policy) for policy in parsed[key]]

    IAMBackend._init_aws_policies = init_aws_policies  # type: ignore[method-assign]


def list_own_services_once() -> None:
    """Every service: moto lists its own folder twice for each request, which takes a quarter of a small one."""
    from moto import backends

    services = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: services


def parse_timestamps_once() -> None:
    """S3: moto keeps times as text and parses each for every listing, which takes a third of it."""
    from botocore.utils import parse_to_aware_datetime
    from moto.core.serialize import TimestampSerializer

    convert = TimestampSerializer._convert_timestamp_to_str
    parse = functools.lru_cache(maxsize=16_384)(parse_to_aware_datetime)

    def convert_timestamp_to_str(self: TimestampSerializer, value: Any, timestamp_format: str) -> str:
        return convert(self, parse(value) if isinstance(value, str) else value, timestamp_format)

    TimestampSerializer._convert_timestamp_to_str = convert_timestamp_to_str  # type: ignore[method-assign]


def _is_spot(policy: dict[str, Any] | None, template: dict[str, Any]) -> bool:
    if (template.get("InstanceMarketOptions") or {}).get("MarketType") == "spot":
        return True
    distribution = (policy or {}).get("InstancesDistribution") or {}
    share = distribution.get("OnDemandPercentageAboveBaseCapacity", 100)
    return int(share) == 0 and int(distribution.get("OnDemandBaseCapacity") or 0) == 0
