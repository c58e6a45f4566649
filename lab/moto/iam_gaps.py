"""Where moto, told to enforce IAM, asks another question than AWS; applied inside the server's process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def judge_as_aws() -> None:
    """Close all of them; call once, before the server starts."""
    judge_cloudwatch_by_the_name_of_its_actions()
    judge_each_key_of_a_batch()
    judge_named_things_by_their_names()


def judge_cloudwatch_by_the_name_of_its_actions() -> None:
    """CloudWatch signs as `monitoring`, but its actions are called `cloudwatch:…`; moto takes the one for the other."""
    from moto.iam.access_control import IAMRequestBase

    original = IAMRequestBase.__init__

    def init(self: IAMRequestBase, *args: Any, **more: Any) -> None:
        original(self, *args, **more)
        service, _, action = self._action.partition(":")
        self._action = f"{'cloudwatch' if service == 'monitoring' else service}:{action}"

    IAMRequestBase.__init__ = init  # type: ignore[method-assign]


def judge_each_key_of_a_batch() -> None:
    """DeleteObjects: moto asks about the bucket once, AWS about each key, and about versions by an action of their own.

    What is denied is told key by key, and the others are deleted.
    """
    import xmltodict  # type: ignore[import-untyped]
    from moto.s3.exceptions import BucketAccessDeniedError
    from moto.s3.responses import S3Response

    original = S3Response._bucket_response_delete_keys

    def delete_keys(self: S3Response, bucket_name: str, authenticated: bool = True) -> Any:
        body = xmltodict.parse(self.body, strip_whitespace=False)
        objects = body["Delete"].get("Object", [])
        objects = objects if isinstance(objects, list) else [objects]
        allowed = [row for row in objects if may_delete(self, bucket_name, row)]
        denied = [row["Key"] for row in objects if row not in allowed]
        if not denied:
            return original(self, bucket_name)
        deleted, locked = self.backend.delete_objects(bucket_name, allowed, False) if allowed else ([], [])
        self.data["Action"] = "DeleteObjects"
        return self.serialized(result_of(deleted, [*denied, *locked]))

    def may_delete(self: S3Response, bucket_name: str, row: dict[str, Any]) -> bool:
        self.data["Action"] = "DeleteObjectVersion" if row.get("VersionId") else "DeleteObject"
        try:
            self._authenticate_and_authorize_s3_action(bucket_name=bucket_name, key_name=row["Key"])
        except BucketAccessDeniedError:
            return False
        return True

    def result_of(deleted: list[Any], denied: list[str]) -> Any:
        from moto.core.responses import ActionResult

        return ActionResult(
            {
                "Deleted": [{"Key": key, "VersionId": version or None} for key, version, _marker in deleted],
                "Errors": [{"Key": key, "Code": "AccessDenied", "Message": "Access Denied"} for key in denied],
            }
        )

    S3Response._bucket_response_delete_keys = delete_keys  # type: ignore[method-assign]


def judge_named_things_by_their_names() -> None:
    """SSM, Logs, ECR, Auto Scaling, SNS: moto asks about an action on everything, AWS on the thing that it names.

    What names nothing is judged as if for everything, as before.
    """
    from moto.autoscaling.responses import AutoScalingResponse
    from moto.ecr.responses import ECRResponse
    from moto.logs.responses import LogsResponse
    from moto.sns.responses import SNSResponse
    from moto.ssm.responses import SimpleSystemManagerResponse

    def named(service: str, *forms: tuple[str, str]) -> Callable[[Any], str]:
        def determine_resource(self: Any) -> str:
            for parameter, form in forms:
                name = self._get_param(parameter)
                if isinstance(name, str) and name:
                    return form.format(f"arn:aws:{service}:{self.region}:{self.current_account}", name.rstrip("/"))
            return "*"

        return determine_resource

    for response, determine in (
        (SimpleSystemManagerResponse, named("ssm", ("Path", "{}:parameter{}"), ("Name", "{}:parameter{}"))),
        (LogsResponse, named("logs", ("logGroupName", "{}:log-group:{}:log-stream:any"))),
        (ECRResponse, named("ecr", ("repositoryName", "{}:repository/{}"))),
        (
            AutoScalingResponse,
            named("autoscaling", ("AutoScalingGroupName", "{}:autoScalingGroup:any:autoScalingGroupName/{}")),
        ),
        (SNSResponse, named("sns", ("TopicArn", "{1}"))),
    ):
        response._determine_resource = determine  # type: ignore[union-attr]
