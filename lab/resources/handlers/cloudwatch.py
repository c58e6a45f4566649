"""CloudWatch alarms and dashboards."""

from __future__ import annotations

import json
from typing import Any

from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, physical_name, resource_inputs
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import (
    DIMENSIONS,
    INTEGER,
    JSON,
    NUMBER,
    SWITCH,
    TAGS,
    TEXT,
    TEXTS,
    an_object,
    list_of,
    to_aws,
)
from lab.resources.values import Inputs, known_text

METRIC = an_object(
    "metricName period stat",
    metricName=TEXT, namespace=TEXT, period=INTEGER, stat=TEXT, unit=TEXT, dimensions=DIMENSIONS,
)  # fmt: skip
METRIC_QUERY = an_object(
    "id", id=TEXT, accountId=TEXT, expression=TEXT, label=TEXT, metric=METRIC, period=INTEGER, returnData=SWITCH
)
ALARM = resource_inputs(
    "comparisonOperator evaluationPeriods",
    name=TEXT.named("AlarmName"), actionsEnabled=SWITCH, alarmActions=TEXTS, alarmDescription=TEXT,
    comparisonOperator=TEXT, datapointsToAlarm=INTEGER, dimensions=DIMENSIONS,
    evaluateLowSampleCountPercentiles=TEXT.named("EvaluateLowSampleCountPercentile"), evaluationPeriods=INTEGER,
    extendedStatistic=TEXT, insufficientDataActions=TEXTS, metricName=TEXT,
    metricQueries=list_of(METRIC_QUERY).named("Metrics"), namespace=TEXT, okActions=TEXTS.named("OKActions"),
    period=INTEGER, statistic=TEXT, tags=TAGS, threshold=NUMBER, thresholdMetricId=TEXT, treatMissingData=TEXT,
    unit=TEXT,
)  # fmt: skip
COMPARISONS = (
    "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold",
    "LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold",
)  # fmt: skip
MISSING_DATA = ("missing", "ignore", "breaching", "notBreaching")
SHORT_PERIODS = (10, 20, 30)


class MetricAlarm(Handler):
    """An alarm on one metric, or on an expression over several."""

    type = "aws:cloudwatch/metricAlarm:MetricAlarm"
    shape = ALARM
    replace_on = frozenset({"name"})
    name_key = "name"

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """Closed sets and periods that PutMetricAlarm refuses outside of, and moto does not."""
        for key, allowed in (("comparisonOperator", COMPARISONS), ("treatMissingData", MISSING_DATA)):
            value = known_text(inputs.get(key))
            if value is not None and value not in allowed:
                raise InvalidInput(f"{key} is one of {', '.join(allowed)}, not '{value}'")
        period = inputs.get("period")
        if isinstance(period, int) and period not in SHORT_PERIODS and (period <= 0 or period % 60):
            raise InvalidInput(f"an alarm's period is 10, 20, 30 or a multiple of 60 seconds, not {period}")
        if ("metricName" in inputs) == ("metricQueries" in inputs):
            raise InvalidInput("an alarm has either metricName or metricQueries")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Put the alarm."""
        alarm = physical_name(name, inputs)
        return Created(alarm, self._put(cloud, alarm, inputs))

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Put the alarm again, which replaces it whole."""
        return self._put(cloud, current.id, inputs)

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the alarm."""
        with ignoring_gone():
            cloud.client("cloudwatch").delete_alarms(AlarmNames=[current.id])

    def _put(self, cloud: Region, alarm: str, inputs: Inputs) -> Inputs:
        request: dict[str, Any] = to_aws(ALARM, {key: value for key, value in inputs.items() if key != "region"})
        request["AlarmName"] = alarm
        request["Tags"] = cloud.tag_list(inputs)
        for query in request.get("Metrics", []):
            metric = query.pop("Metric", None)
            if metric:
                stat = {key: metric.pop(key) for key in ("Period", "Stat", "Unit") if key in metric}
                query["MetricStat"] = {"Metric": metric, **stat}
        if not request["Tags"]:
            del request["Tags"]
        cloud.client("cloudwatch").put_metric_alarm(**request)
        arn = cloud.arn("cloudwatch", f"alarm:{alarm}")
        return {"arn": arn, "name": alarm, "region": cloud.region, "tagsAll": cloud.tags(inputs)}


class Dashboard(Handler):
    """A dashboard; its name is unique in the whole account."""

    type = "aws:cloudwatch/dashboard:Dashboard"
    shape = resource_inputs("dashboardBody dashboardName", dashboardBody=JSON, dashboardName=TEXT)
    replace_on = frozenset({"dashboardName"})
    name_key = "dashboardName"

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """A body is an object with widgets; PutDashboard says so, moto does not."""
        body = known_text(inputs.get("dashboardBody"))
        if body is not None and not isinstance(json.loads(body), dict):
            raise InvalidInput("a dashboard's body is a JSON object")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Put the dashboard."""
        return Created(inputs["dashboardName"], self._put(cloud, inputs))

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Put the dashboard again."""
        return self._put(cloud, inputs)

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the dashboard."""
        with ignoring_gone():
            cloud.client("cloudwatch").delete_dashboards(DashboardNames=[current.id])

    def _put(self, cloud: Region, inputs: Inputs) -> Inputs:
        name = inputs["dashboardName"]
        cloud.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=inputs["dashboardBody"])
        return {"dashboardArn": cloud.arn("cloudwatch", f"dashboard/{name}", region=False), "region": cloud.region}


HANDLERS = (MetricAlarm(), Dashboard())
