"""Topics to which S3 reports what happens in the backup bucket, so that an alarm need not believe the instance."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from openclaw_platform.bucket_events import BUCKET_EVENTS, BucketEvent
from openclaw_platform.names import Scope
from openclaw_platform.policies import bucket_topic_policy


@dataclass(frozen=True, slots=True)
class BucketReportsArgs:
    """Whose backup bucket is reported on, and the bucket once it is there."""

    scope: Scope
    bucket: pulumi.Input[str]


class BucketReports(pulumi.ComponentResource):
    """A topic for each kind of event, and the bucket's notifications to them."""

    def __init__(self, name: str, args: BucketReportsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("openclaw:platform:BucketReports", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        scope = args.scope
        bucket_arn = f"arn:{scope.partition}:s3:::{scope.backup_bucket}"

        def policy_of(topic_arn: str) -> str:
            return json.dumps(bucket_topic_policy(topic_arn, bucket_arn, scope.account_id))

        policies: list[pulumi.Resource] = []
        targets: list[aws.s3.BucketNotificationTopicArgs] = []
        for event in BUCKET_EVENTS:
            topic_name = scope.bucket_topic(event.name)
            topic = aws.sns.Topic(event.name, name=topic_name, tags=scope.tags(topic_name), opts=child)
            policies.append(
                aws.sns.TopicPolicy(event.name, arn=topic.arn, policy=topic.arn.apply(policy_of), opts=child)
            )
            targets += _targets(event, topic.arn)
        aws.s3.BucketNotification(
            name,
            bucket=args.bucket,
            topics=targets,
            # S3 publishes a test message to each topic before it takes the configuration.
            opts=pulumi.ResourceOptions(parent=self, depends_on=policies),
        )
        self.register_outputs({})


def _targets(event: BucketEvent, topic_arn: pulumi.Output[str]) -> list[aws.s3.BucketNotificationTopicArgs]:
    return [
        aws.s3.BucketNotificationTopicArgs(
            id=f"{event.name}-{number}",
            topic_arn=topic_arn,
            events=list(event.events),
            filter_prefix=prefix,
            filter_suffix=suffix or None,
        )
        for number, (prefix, suffix) in enumerate(event.filters, start=1)
    ]
