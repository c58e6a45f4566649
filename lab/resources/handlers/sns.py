"""SNS topics, their policies and subscriptions."""

from __future__ import annotations

import json

from botocore.exceptions import ClientError

from lab.resources.handlers.base import Created, Handler, ignoring_gone, is_gone, physical_name, resource_inputs
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import JSON, SWITCH, TAGS, TEXT, json_text
from lab.resources.values import Inputs


class Topic(Handler):
    """A topic."""

    type = "aws:sns/topic:Topic"
    shape = resource_inputs(name=TEXT, namePrefix=TEXT, displayName=TEXT, kmsMasterKeyId=TEXT, tags=TAGS)
    replace_on = frozenset({"name", "namePrefix"})
    name_key = "name"

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the topic; its id is its ARN."""
        topic = physical_name(name, inputs)
        arn = cloud.client("sns").create_topic(Name=topic, Tags=cloud.tag_list(inputs))["TopicArn"]
        self._set(cloud, arn, inputs)
        return Created(arn, {**(self.read(cloud, arn) or {}), "tagsAll": cloud.tags(inputs)})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change the attributes and tags."""
        sns, tags = cloud.client("sns"), cloud.tags(inputs)
        self._set(cloud, current.id, inputs)
        stale = [key for key in current.outputs.get("tagsAll", {}) if key not in tags]
        if stale:
            sns.untag_resource(ResourceArn=current.id, TagKeys=stale)
        if tags:
            sns.tag_resource(ResourceArn=current.id, Tags=cloud.tag_list(inputs))
        return {"tagsAll": tags}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing topic's names."""
        try:
            found = cloud.client("sns").get_topic_attributes(TopicArn=identifier)["Attributes"]
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return {
            "arn": identifier,
            "name": identifier.rpartition(":")[2],
            "owner": found.get("Owner", cloud.account_id),
            "region": cloud.region,
        }

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the topic."""
        with ignoring_gone():
            cloud.client("sns").delete_topic(TopicArn=current.id)

    def _set(self, cloud: Region, arn: str, inputs: Inputs) -> None:
        for key, attribute in (("displayName", "DisplayName"), ("kmsMasterKeyId", "KmsMasterKeyId")):
            if key in inputs:
                cloud.client("sns").set_topic_attributes(
                    TopicArn=arn, AttributeName=attribute, AttributeValue=inputs[key]
                )


class TopicPolicy(Handler):
    """Who may publish to a topic."""

    type = "aws:sns/topicPolicy:TopicPolicy"
    shape = resource_inputs("arn policy", arn=TEXT, policy=JSON)
    replace_on = frozenset({"arn"})
    unique = True

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Set the policy."""
        return Created(inputs["arn"], self._set(cloud, inputs["arn"], json_text(inputs["policy"])))

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Set the policy again."""
        return self._set(cloud, current.id, json_text(inputs["policy"]))

    def delete(self, cloud: Region, current: Resource) -> None:
        """Set the policy that a new topic has: its owner alone."""
        owner_only = {
            "Version": "2008-10-17",
            "Id": "__default_policy_ID",
            "Statement": [
                {
                    "Sid": "__default_statement_ID",
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:GetTopicAttributes", "SNS:SetTopicAttributes"],
                    "Resource": current.id,
                    "Condition": {"StringEquals": {"AWS:SourceOwner": cloud.account_id}},
                }
            ],
        }
        with ignoring_gone():
            self._set(cloud, current.id, json.dumps(owner_only))

    def _set(self, cloud: Region, arn: str, policy: str) -> Inputs:
        cloud.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
        return {"owner": cloud.account_id, "region": cloud.region}


class TopicSubscription(Handler):
    """Who hears of what a topic says."""

    type = "aws:sns/topicSubscription:TopicSubscription"
    shape = resource_inputs(
        "endpoint protocol topic",
        endpoint=TEXT, protocol=TEXT, topic=TEXT, filterPolicy=JSON, filterPolicyScope=TEXT, rawMessageDelivery=SWITCH,
        endpointAutoConfirms=SWITCH,
    )  # fmt: skip
    replace_on = frozenset({"endpoint", "protocol", "topic"})
    unique = True

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Subscribe the endpoint."""
        arn = cloud.client("sns").subscribe(
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        self._set(cloud, arn, inputs)
        # A person confirms an e-mail address by a click, so the provider reports it as pending.
        waits = inputs["protocol"] in ("email", "email-json")
        return Created(
            arn,
            {
                "arn": arn,
                "ownerId": cloud.account_id,
                "pendingConfirmation": waits,
                "confirmationWasAuthenticated": not waits,
                "region": cloud.region,
            },
        )

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change filter and delivery."""
        self._set(cloud, current.id, inputs)
        return {}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Unsubscribe."""
        with ignoring_gone():
            cloud.client("sns").unsubscribe(SubscriptionArn=current.id)

    def _set(self, cloud: Region, arn: str, inputs: Inputs) -> None:
        attributes = {
            "FilterPolicy": json_text(inputs["filterPolicy"]) if "filterPolicy" in inputs else None,
            "FilterPolicyScope": inputs.get("filterPolicyScope"),
            "RawMessageDelivery": str(inputs["rawMessageDelivery"]).lower() if "rawMessageDelivery" in inputs else None,
        }
        for name, value in attributes.items():
            if value is not None:
                cloud.client("sns").set_subscription_attributes(
                    SubscriptionArn=arn, AttributeName=name, AttributeValue=value
                )


HANDLERS = (Topic(), TopicPolicy(), TopicSubscription())
