"""Who looks after the instance: alarms to the platform's topic, and one dashboard."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from openclaw_ec2_spot.alarm_rules import AlarmRule, alarm_name, alarm_rules, measured_in
from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.dashboard import dashboard_body
from openclaw_platform.names import Scope


@dataclass(frozen=True, slots=True)
class WatchingArgs:
    """What is watched, how often it backs up, whom to tell and where the agent's log is."""

    scope: Scope
    settings: InstanceSettings
    alarm_topic_arn: pulumi.Input[str]
    agent_log_group: pulumi.Input[str]


class Watching(pulumi.ComponentResource):
    """One alarm for each rule, and the dashboard."""

    def __init__(self, name: str, args: WatchingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("openclaw:ec2spot:Watching", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)

        alarms = [
            aws.cloudwatch.MetricAlarm(rule.name, _alarm(rule, args), child)
            for rule in alarm_rules(args.settings.backup_interval_minutes)
        ]
        aws.cloudwatch.Dashboard(
            name,
            dashboard_name=args.scope.dashboard,
            dashboard_body=pulumi.Output.all(args.agent_log_group, *(alarm.arn for alarm in alarms)).apply(
                lambda known: json.dumps(dashboard_body(args.scope, known[0], known[1:]))
            ),
            opts=child,
        )
        self.register_outputs({})


def _alarm(rule: AlarmRule, args: WatchingArgs) -> aws.cloudwatch.MetricAlarmArgs:
    name = alarm_name(args.scope.name, rule.name)
    counted = measured_in(args.scope, rule.metric)
    return aws.cloudwatch.MetricAlarmArgs(
        name=name,
        alarm_description=rule.meaning,
        namespace=counted.namespace,
        metric_name=counted.metric_name,
        dimensions={counted.dimension: counted.value},
        statistic=rule.statistic,
        comparison_operator=rule.comparison,
        threshold=rule.threshold,
        period=rule.period,
        evaluation_periods=rule.periods,
        datapoints_to_alarm=rule.periods,
        treat_missing_data=rule.missing.value,
        # Not in `ignore_changes`: what `make pause` silenced must never stay silent by a remembered value.
        actions_enabled=True,
        alarm_actions=[args.alarm_topic_arn],
        ok_actions=[args.alarm_topic_arn],
        tags=args.scope.tags(name),
    )
