"""CloudWatch log groups and metric filters."""

from __future__ import annotations

from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, physical_name, resource_inputs
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import INTEGER, SWITCH, TAGS, TEXT, an_object, map_of
from lab.resources.values import Inputs

RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
"""The periods that PutRetentionPolicy takes (botocore's documentation of the call)."""
TRANSFORMATION = an_object(
    "name namespace value",
    name=TEXT, namespace=TEXT, value=TEXT, defaultValue=TEXT, dimensions=map_of(TEXT), unit=TEXT,
)  # fmt: skip


class LogGroup(Handler):
    """A log group with its retention."""

    type = "aws:cloudwatch/logGroup:LogGroup"
    shape = resource_inputs(
        name=TEXT, namePrefix=TEXT, retentionInDays=INTEGER, kmsKeyId=TEXT, logGroupClass=TEXT, skipDestroy=SWITCH,
        tags=TAGS,
    )  # fmt: skip
    replace_on = frozenset({"name", "namePrefix", "logGroupClass"})
    name_key = "name"

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """Only certain retentions exist; 0 means for ever."""
        days = inputs.get("retentionInDays")
        if isinstance(days, int) and days not in (0, *RETENTION_DAYS):
            raise InvalidInput(f"logs are kept for one of {', '.join(map(str, RETENTION_DAYS))} days, not {days}")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the group."""
        group = physical_name(name, inputs)
        optional = {"tags": cloud.tags(inputs), "kmsKeyId": inputs.get("kmsKeyId"),
                    "logGroupClass": inputs.get("logGroupClass")}  # fmt: skip
        cloud.client("logs").create_log_group(
            logGroupName=group, **{key: value for key, value in optional.items() if value}
        )
        self._retain(cloud, group, inputs)
        return Created(group, {**(self.read(cloud, group) or {}), "tagsAll": cloud.tags(inputs)})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change retention and tags."""
        logs, tags, arn = cloud.client("logs"), cloud.tags(inputs), current.outputs["arn"]
        self._retain(cloud, current.id, inputs)
        stale = [key for key in current.outputs.get("tagsAll", {}) if key not in tags]
        if stale:
            logs.untag_resource(resourceArn=arn, tagKeys=stale)
        if tags:
            logs.tag_resource(resourceArn=arn, tags=tags)
        return {"tagsAll": tags}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing group's names."""
        found = cloud.client("logs").describe_log_groups(logGroupNamePrefix=identifier)["logGroups"]
        for group in found:
            if group["logGroupName"] == identifier:
                return {
                    "arn": group["arn"].removesuffix(":*"),
                    "name": identifier,
                    "retentionInDays": group.get("retentionInDays", 0),
                    "region": cloud.region,
                }
        return None

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the group, unless it is skipDestroy."""
        with ignoring_gone():
            if not current.inputs.get("skipDestroy"):
                cloud.client("logs").delete_log_group(logGroupName=current.id)

    def _retain(self, cloud: Region, group: str, inputs: Inputs) -> None:
        days = inputs.get("retentionInDays")
        if days:
            cloud.client("logs").put_retention_policy(logGroupName=group, retentionInDays=days)
        else:
            cloud.client("logs").delete_retention_policy(logGroupName=group)


class LogMetricFilter(Handler):
    """A metric made from lines of a log group."""

    type = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
    shape = resource_inputs(
        "logGroupName metricTransformation pattern",
        logGroupName=TEXT, metricTransformation=TRANSFORMATION, pattern=TEXT, name=TEXT,
    )  # fmt: skip
    replace_on = frozenset({"logGroupName", "name"})
    name_key = "name"

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Put the filter."""
        filter_name = physical_name(name, inputs)
        self._put(cloud, filter_name, inputs)
        return Created(filter_name, {"name": filter_name, "region": cloud.region})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Put the filter again."""
        self._put(cloud, current.id, inputs)
        return {"name": current.id}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the filter."""
        with ignoring_gone():
            cloud.client("logs").delete_metric_filter(
                logGroupName=current.inputs["logGroupName"], filterName=current.id
            )

    def _put(self, cloud: Region, filter_name: str, inputs: Inputs) -> None:
        wanted = inputs["metricTransformation"]
        transformation = {
            "metricName": wanted["name"],
            "metricNamespace": wanted["namespace"],
            "metricValue": str(wanted["value"]),
            "defaultValue": float(wanted["defaultValue"]) if "defaultValue" in wanted else None,
            "dimensions": wanted.get("dimensions"),
            "unit": wanted.get("unit"),
        }
        cloud.client("logs").put_metric_filter(
            logGroupName=inputs["logGroupName"],
            filterName=filter_name,
            filterPattern=inputs["pattern"],
            metricTransformations=[{key: value for key, value in transformation.items() if value is not None}],
        )


HANDLERS = (LogGroup(), LogMetricFilter())
