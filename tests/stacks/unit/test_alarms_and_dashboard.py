import json
import re

import jmespath  # type: ignore[import-untyped]
import pytest

from cloud_init.instance_files import GATEWAY_MEMORY_PERCENT
from openclaw_ec2_spot.alarm_rules import (
    ALARMS_OF_ABSENCE,
    NO_SNAPSHOT_IN_S3,
    AlarmRule,
    Metric,
    MissingMetric,
    alarm_rules,
    measured_in,
    minutes_without_backup,
)
from openclaw_ec2_spot.connecting import dashboard_link, gateway_command, shell_command
from openclaw_ec2_spot.dashboard import dashboard_body
from openclaw_platform.bucket_events import BucketEvent
from openclaw_platform.names import Scope


@pytest.mark.parametrize(("interval", "minutes"), [(5, 60), (20, 60), (30, 90), (60, 180)])
def test_the_backup_alarm_waits_for_three_intervals_and_at_least_an_hour(interval: int, minutes: int) -> None:
    rule = next(iter(alarm_rules(interval)))

    assert minutes_without_backup(interval) == minutes
    assert rule.metric is Metric.BACKUP_SUCCEEDED
    assert rule.periods * 5 == minutes
    assert rule.missing is MissingMetric.BREACHING


def test_only_missing_backups_are_alarming_in_themselves() -> None:
    silent_in_a_pause = [rule.name for rule in alarm_rules(20) if rule.missing is MissingMetric.BREACHING]
    assert silent_in_a_pause == list(ALARMS_OF_ABSENCE)


def test_what_s3_counts_is_in_no_namespace_that_the_instance_may_write_to(scope: Scope) -> None:
    fed_by_s3 = [rule for rule in alarm_rules(20) if isinstance(rule.metric, BucketEvent)]
    assert [rule.name for rule in fed_by_s3] == ["no-snapshot-in-s3", "backups-deleted"]
    for rule in fed_by_s3:
        found = measured_in(scope, rule.metric)
        assert (found.namespace, found.metric_name) == ("AWS/SNS", "NumberOfMessagesPublished")
        assert found.value.endswith("-dev")


@pytest.mark.parametrize("rule", list(alarm_rules(60)), ids=lambda rule: rule.name)
def test_a_window_is_one_that_cloudwatch_takes(rule: AlarmRule) -> None:
    # PutMetricAlarm: a day where the period is shorter than an hour, else a week.
    assert rule.period * rule.periods <= (86_400 if rule.period < 3600 else 7 * 86_400)


def test_a_day_without_changes_sets_no_alarm_off() -> None:
    (rule,) = [rule for rule in alarm_rules(60) if rule.name == NO_SNAPSHOT_IN_S3]
    # The first snapshot of a day comes within an interval after midnight, at most 25 hours after the last one's first.
    assert rule.period * rule.periods >= (24 + 1) * 3600


def test_what_the_agent_measures_stays_within_the_free_ten() -> None:
    assert len(Metric) <= 10


def test_the_dashboard_shows_every_metric_and_stays_within_the_grid(scope: Scope) -> None:
    body = dashboard_body(scope, scope.agent_log_group, ["arn:alarm"])

    text = json.dumps(body)
    assert all(metric.value in text for metric in Metric)
    assert all(widget["x"] + widget["width"] <= 24 for widget in body["widgets"])
    assert "SOURCE '/openclaw-lab/dev/agent'" in json.loads(text)["widgets"][-1]["properties"]["query"]


def test_a_gateway_that_uses_what_it_may_sets_no_alarm_off() -> None:
    (rule,) = [rule for rule in alarm_rules(20) if rule.metric is Metric.MEMORY_USED_PERCENT]
    assert rule.threshold >= GATEWAY_MEMORY_PERCENT + 10


def test_the_commands_find_the_instance_when_typed(scope: Scope) -> None:
    assert shell_command(scope) == (
        "aws ssm start-session --region me-central-1 --target "
        '"$(aws autoscaling describe-auto-scaling-groups --region me-central-1 '
        "--auto-scaling-group-names openclaw-lab-dev "
        '--query "AutoScalingGroups[0].Instances[?LifecycleState==\'InService\'].InstanceId | [0]" --output text)"'
    )
    assert gateway_command(scope).endswith("""--parameters '{"portNumber":["18789"],"localPortNumber":["18789"]}'""")
    assert dashboard_link(scope).endswith("#dashboards/dashboard/openclaw-lab-dev-me-central-1")


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ([("i-old", "Terminating:Wait"), ("i-new", "InService")], "i-new"),
        ([("i-one", "InService")], "i-one"),
        ([("i-new", "Pending"), ("i-old", "InService")], "i-old"),
        ([("i-old", "Terminating")], None),
        ([], None),
    ],
)
def test_a_command_goes_to_the_instance_in_service_and_not_to_one_that_comes_or_goes(
    scope: Scope, members: list[tuple[str, str]], found: str | None
) -> None:
    (query,) = re.findall(r'--query "([^"]+)"', shell_command(scope))
    instances = [{"InstanceId": identity, "LifecycleState": state} for identity, state in members]
    assert jmespath.search(query, {"AutoScalingGroups": [{"Instances": instances}]}) == found
